"""Environment variables of this process and of what it starts, set for the length of a `with` block."""

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def variables(**values: str) -> Iterator[None]:
    """Set these variables, and put back afterwards what was there before."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def prefect_settings(**values: str) -> Iterator[None]:
    """Set variables of Prefect's, and make it read them, which it does by itself only at its import."""
    from prefect.context import refresh_global_settings_context

    try:
        with variables(**values):
            refresh_global_settings_context()
            yield
    finally:
        refresh_global_settings_context()
