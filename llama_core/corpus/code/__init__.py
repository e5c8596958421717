"""Source code: which language and licence a file has, where its docstrings are, what a checkout holds.

These modules know of no source and no recipe, and import nothing of the project but each other and `errors`.
"""
