"""Lines of JSON. A line ends at its line feed alone, so a text may hold U+2028; white lines are none."""

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

from llama_core.corpus.formats.streams import chunks, lines
from llama_core.parse import is_deeper

MAX_LINE = 64 << 20  # bytes of a line in a file that is read whole
MAX_DEPTH = 100  # of nested objects and lists

_SAID = {
    "invalid_utf8": "it is not UTF-8",
    "not_json": "it is not JSON, or the file is cut here",
    "too_deep": f"its values are nested more than {MAX_DEPTH} deep",
    "too_long": f"it has more than {MAX_LINE >> 20} MiB",
    "damaged_stream": "the file is damaged here",
    "truncated_stream": "the file is cut here",
}


class LineError(ValueError):
    """A line that cannot be read. Its `name` is what quarantine counts it under."""

    def __init__(self, name: str):
        super().__init__(_SAID[name])
        self.name = name


def parse_line(line: bytes, constant: Callable[[str], Any] | None = None) -> Any:
    """Return the value of a line; `constant` makes values of NaN and the infinities. Raises LineError."""
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise LineError("invalid_utf8") from None
    try:
        value = json.loads(text, parse_constant=constant)
    except ValueError:
        raise LineError("not_json") from None
    except RecursionError:
        raise LineError("too_deep") from None
    if is_deeper(value, MAX_DEPTH):
        raise LineError("too_deep")
    return value


def values(data: bytes, name: str) -> Iterator[tuple[int, Any]]:
    """Yield the values of a file's lines after their numbers, which count from 1 and white lines too.

    `name`: its ending tells how the file is packed (.gz, .zst). Raises ValueError, which names the line.
    """
    found = lines(chunks(io.BytesIO(data), name.lower()), MAX_LINE)
    for number, (_, line) in enumerate(found, 1):
        try:
            if isinstance(line, str):
                raise LineError(line)
            if line.strip():
                yield number, parse_line(line)
        except LineError as error:
            raise ValueError(f"line {number}: {error}") from None
