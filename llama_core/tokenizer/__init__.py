"""The tokenizer: the SentencePiece model, its training as a stage, and a report on how it segments text.

These modules import the recipe, the store and steps, and what reads training text, but no other stage.
"""
