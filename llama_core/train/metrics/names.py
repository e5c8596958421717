"""What groups of metrics begin with; the name of a source follows."""

LOSS = "loss/"
VALIDATION = "validation/bits_per_byte/"
"""Bits per byte of held-out text."""
