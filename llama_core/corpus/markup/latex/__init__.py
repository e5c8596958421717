"""LaTeX to running text: from the files of a bundle to the text of each paper in it.

The modules, the lowest first; each imports only from its own line and the lines above it (`expansion.macros`
also from those of `packages` that need no macros: `acronym_list`, `conditions`, `internals`, `preludes`,
`shorthands` and `primitives`):

    files, encoding, main     what \\input finds, how bytes become text, which files begin a paper
    commands, symbols         tables of LaTeX's commands: their arguments, what they become or stand for
    expansion                 tokens, macros, inputs and conditionals: what TeX does while it reads
    text, numbers             the lines that are written; the numbers that LaTeX would print
    packages                  what packages print other than their arguments, a module each
    math                      formulas, which stay TeX
    citations, references     what \\cite prints; bibliographies that authors set by hand
    groups, layout, sections  groups and notes; environments, tables and floats; headings
    plain, citing, singles    what only plain TeX has; citations and references; single commands
    paper                     all other commands, and `read_paper`

`groups`, `layout`, `sections`, `plain`, `citing`, `singles` and `paper` are the layers of one renderer, each
a subclass of the one before.
"""
