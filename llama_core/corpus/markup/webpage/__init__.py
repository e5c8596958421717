"""Web pages: bytes from a server, read by `extract`, become running text.

Of the project these modules import only the rest of `markup` and `errors`.
"""
