"""What LaTeX's packages add that prints other than its arguments: a module each, over the reader of tokens.

    conditions    ifthen, etoolbox and their like: which of two branches is read
    acronyms      glossaries, acronym and acro: the first use in full
    algorithms    algorithm2e: steps of algorithms as lines
    steps         algorithmic and algorithmicx: their keywords, and those that a paper defines
    preludes      clrscode and its like: TeX that is read where they are loaded
    internals     LaTeX's own commands with `@` in their names
    primitives    plain TeX's commands that read more than arguments
    changes       changes, trackchanges: what has replaced another text; fractions
    quantities    siunitx: numbers with units; `units` knows what each prints
    shorthands    babel: what a quote before a letter stands for

Each function takes the operands of a command off the tokens, and puts back what it prints.
"""
