"""Wikitext: the source of a page, read by `page`, becomes running text.

Of the project these modules import only the rest of `markup` and `errors`.
"""
