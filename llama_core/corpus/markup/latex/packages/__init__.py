"""What LaTeX's packages add that prints other than its arguments: a module each, over the reader of tokens.

    conditions    ifthen, etoolbox and their like: which of two branches is read
    acronyms      glossaries, acronym and acro: the first use in full
    algorithms    algorithm2e: steps of algorithms as lines
    changes       changes, trackchanges: what has replaced another text
    quantities    siunitx: numbers with units; `units` knows what each prints
    shorthands    babel: what a quote before a letter stands for

Each function takes the operands of a command off the tokens, and puts back what it prints.
"""
