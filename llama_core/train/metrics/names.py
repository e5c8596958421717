"""What groups of metrics begin with; the name of a source follows."""

LOSS = "loss/"
SECONDS = "seconds/"
"""The time of a part of a step, by its name."""
SAVING = "save_seconds"
"""The time of the newest save that has ended: so long before its time limit a job is asked to end."""
VALIDATION = "validation/bits_per_byte/"
"""Bits per byte of held-out text."""
