"""Exact duplicates: rows of equal text."""

import numpy as np
import numpy.typing as npt


def first_of_equals(digests: npt.NDArray[np.bytes_]) -> npt.NDArray[np.int64]:
    """int64 (n,): for each row the first row with the same digest; itself where it is the first."""
    _, first, inverse = np.unique(digests, return_index=True, return_inverse=True)
    return first[inverse]
