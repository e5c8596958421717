"""The format of checkpoints: who writes what is a function of layout and rank, and nothing is planned.

    step-00000050/layout.json    the grid of processes, and each parameter: dtype, shape, how it is split
                  00007.data     the bytes of rank 7's parts, one after the other
                  00007.table    the sha256 of each piece of them
                  state.json     how far the training has come

A part is what one rank has of one tensor: of a weight, or of a moment of it. Of ranks that have the same, the
first one writes it. Its rows are cut into pieces, each with a digest, so that whoever reads some of the rows
can check them. Which parts and pieces a rank has, and where they lie in its file, follows from the layout
(see `layout`). So a save exchanges nothing but the names and digests of the files, a table holds nothing that
would have to be believed, and a reader opens the tables of those ranks alone that have what it needs.
"""
