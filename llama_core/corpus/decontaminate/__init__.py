"""Decontamination: the evaluation sets, an index of their runs of words, and the stage that decides by it.

These modules import the documents, decisions and recipe of the corpus, and the store and steps, but no source
and no other stage.
"""
