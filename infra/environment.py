"""Environment variables of this process and of what it starts, set for the length of a `with` block."""

import contextlib
import os
from collections.abc import Iterator


def past_proxies() -> dict[str, str]:
    """Return the variables that keep a person's proxy out of what is between us and a server on loopback."""
    if not any(os.environ.get(name) for kind in ("http", "all") for name in _spelled(f"{kind}_proxy")):
        return {}
    there = [os.environ.get(name, "") for name in _spelled("no_proxy")]
    hosts = dict.fromkeys([*",".join(filter(None, there)).split(","), "127.0.0.1", "localhost"])
    return dict.fromkeys(_spelled("no_proxy"), ",".join(filter(None, map(str.strip, hosts))))


def _spelled(name: str) -> tuple[str, str]:
    return name, name.upper()


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
