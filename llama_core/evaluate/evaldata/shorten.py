"""A long list in a JSON file, cut to what a benchmark needs of it, without the whole of it in memory."""

import codecs
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

MOST = 64 << 20  # characters of one value of a list
_SPACE = re.compile(r"[\s,]*")


def shortened(pieces: Iterable[bytes], key: str, first: int | None, keys: Sequence[str]) -> bytes:
    """Return a JSON object with the first values of the list that another one has under `key`.

    `pieces`: that object as UTF-8. `first`: how many values; None: all. `keys`: what is kept of each. Raises
    ValueError where there is no such list, or not so many values.
    """
    kept = [{name: value[name] for name in keys if name in value} for value in _values(pieces, key, first)]
    if not kept or len(kept) < (first or 0):
        raise ValueError(f"its list {key!r} has {len(kept):,} values")
    return json.dumps({key: kept}, ensure_ascii=False, indent=0).encode()


def _values(pieces: Iterable[bytes], key: str, first: int | None) -> Iterator[dict[str, Any]]:
    """Yield the first values of the list, which are objects."""
    source, held, at = _decoded(pieces), "", 0
    for mark in (f'"{key}"', "["):
        while (found := held.find(mark, at)) < 0:
            held, at = held[-len(mark) :] + _next(source, f"it has no {mark}"), 0
        at = found + len(mark)
    decoder, n = json.JSONDecoder(), 0
    while first is None or n < first:
        space = _SPACE.match(held, at)
        at = space.end() if space else at
        if held.startswith("]", at):
            return
        try:
            value, at = decoder.raw_decode(held, at)
        except json.JSONDecodeError:
            if len(held) - at > MOST:
                raise ValueError(f"it has a value of more than {MOST:,} characters") from None
            held, at = held[at:] + _next(source, f"its list {key!r} is cut, or no JSON"), 0
            continue
        if not isinstance(value, dict):
            raise ValueError(f"its list {key!r} has a value that is no object")
        yield value
        n += 1


def _decoded(pieces: Iterable[bytes]) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")()
    for piece in pieces:
        yield decoder.decode(piece)


def _next(source: Iterator[str], otherwise: str) -> str:
    """Return the next piece of a text. Raises ValueError, with these words, at its end."""
    for text in source:
        return text
    raise ValueError(otherwise)
