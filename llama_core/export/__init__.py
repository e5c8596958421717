"""Exports of a trained model, in the formats that others load."""

REVISION = 4  # it is here so that reading it does not import torch
SMALL = 128 << 20  # bytes of a model's weights in float32 up to which it is small


def is_small(parameters: int) -> bool:
    """Tell whether a model is small: its export takes no longer than the start of a job, and no more memory.

    Such a model is exported by the process that asks for it, and checked as a whole, by transformers' own
    loader.
    """
    return 4 * parameters <= SMALL
