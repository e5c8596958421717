"""What tells whether a text that a model has written is right: answers found in it, compared, counted."""
