"""Formats: readers that turn the bytes of a file (gzip, tar, zip, 7z, WARC, XML) into records or members.

They know of no source and no recipe, and import nothing of the project but each other and `errors`.
"""
