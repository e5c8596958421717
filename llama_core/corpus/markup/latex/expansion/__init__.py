"""Tokens with macros expanded, files input and conditionals decided: what TeX does while it reads.

The modules, the lowest first:

    lexer, reader             the tokens of one file; those of all files, with arguments, within a budget
    arguments, definitions    the arguments of macros; what a paper defines
    counters                  numbers in registers and counters: set, advanced, printed
    comparisons, branches     TeX's conditionals, and the branches that are read
    macros                    the whole: macros are expanded, inputs followed, definitions learned
"""
