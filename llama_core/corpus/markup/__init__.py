"""Markup: HTML, wikitext, LaTeX and the texts of Project Gutenberg to plain text, without touching a file.

These modules know of no source and no recipe, and import nothing of the project but each other and `errors`.
"""
