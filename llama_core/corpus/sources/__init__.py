"""Sources: one module for each kind of source, which reads its raw files as documents, and what these share.

They import `formats`, `markup` and `code`, and of the pipeline the recipe, the document and what opens files,
but no stage of it.
"""
