"""Imports of large libraries, without the collection of garbage that takes a fifth of their time."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def lasting() -> Iterator[None]:
    """Collect no garbage for as long as it takes, and leave out of later collections what there is then.

    The objects of thousands of modules stay until the process ends, and Python would look at all of them
    again and again.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()
