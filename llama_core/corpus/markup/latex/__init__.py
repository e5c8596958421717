"""LaTeX to running text: from the files of a bundle to the text of each paper in it.

The modules, the lowest first; each imports only from its own line and the lines above it (`macros` also from
two modules of `packages` that need no macros, `conditions` and `acronym_list`):

    files, encoding, main     what \\input finds, how bytes become text, which files begin a paper
    commands, symbols         tables of LaTeX's commands: their arguments, what they become or stand for
    lexer, reader             the tokens of one file; those of all files, with arguments, within a budget
    definitions, macros       what a paper defines; macros expanded, inputs and conditionals followed
    math                      formulas, which stay TeX
    packages                  what packages print other than their arguments, a module each
    primitives                commands of plain TeX that need code of their own
    text, numbers             the lines that are written; the numbers that LaTeX would print
    citations, references     what \\cite prints; bibliographies that authors set by hand
    layout, sections          environments, tables and floats; headings, and where the text begins
    plain, paper              what only plain TeX has; all other commands, and `read_paper`

`layout`, `sections`, `plain` and `paper` are the layers of one renderer, each a subclass of the one before.
"""
