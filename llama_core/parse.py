"""What comes from a store or from a stranger is parsed here: bounded, checked, and named where it is wrong.

Parsers of others raise whatever they like, recurse as deeply as a file says, and allocate what its header
claims. Here a file that is not as it should be is one DamagedError, which names the file and the key.
"""

import io
import json
import math
import re
from collections.abc import Iterator
from typing import Annotated, Any, NoReturn, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray
from pydantic import Field, Strict, TypeAdapter, ValidationError

from llama_core.errors import DamagedError

# A million values take 300 MB at most, once they are Python's.
MOST_BYTES = 32 << 20  # bytes of a file of JSON
MOST_VALUES = 1_000_000  # values in it, about
DEEPEST = 64  # lists and mappings inside each other
SHOWN = 120  # characters of a file's text that a message repeats
LONE_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")  # it may be half of a pair, which is no text

Text = Annotated[str, Strict()]
Whole = Annotated[int, Strict(), Field(ge=-(2**63), lt=2**63)]
Count = Annotated[int, Strict(), Field(ge=0, lt=2**63)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False), Strict()]

T = TypeVar("T")


def json_value(data: bytes, what: str, most_bytes: int = MOST_BYTES, most_values: int = MOST_VALUES) -> Any:
    """Return the value of UTF-8 JSON. `what`: the file's URL, or what else the message calls it.

    Raises DamagedError for what is not JSON: NaN and infinite numbers, a key that is there twice and half a
    surrogate pair are not. So does more than `most_bytes` or `most_values`, or DEEPEST lists in each other.
    """
    if len(data) > most_bytes:
        raise damaged(what, f"it has {len(data):,} bytes, where {most_bytes:,} is the most")
    opened = data.count(b"[") + data.count(b"{")
    if opened + data.count(b",") > most_values:
        raise damaged(what, f"it has more than {most_values:,} values")
    try:
        value = json.loads(
            data.decode(), object_pairs_hook=_mapping, parse_constant=_refuse, parse_float=_finite
        )
        if opened > DEEPEST and is_deeper(value, DEEPEST):
            raise RecursionError
        if LONE_SURROGATE.search(data):
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise damaged(what, f"its lists lie more than {DEEPEST} deep in each other") from None
    except (ValueError, MemoryError) as error:  # ValueError: no UTF-8, no JSON, or a number of 4,300 digits
        raise damaged(what, f"it is not JSON: {error}") from None
    return value


def is_deeper(value: Any, most: int) -> bool:
    """Tell whether more than `most` lists and mappings lie in each other: Python's limit is the stack's."""
    level: list[Any] = [value] if isinstance(value, dict | list) else []
    for _ in range(most):
        inside = (v for c in level for v in (c.values() if isinstance(c, dict) else c))
        level = [v for v in inside if isinstance(v, dict | list)]
        if not level:
            return False
    return True


def json_lines(data: bytes, what: str) -> Iterator[Any]:
    """Yield the value of each line of JSON; an empty line is none. Raises DamagedError with the line."""
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.strip():
            yield json_value(line, f"{what}, line {number},")


def json_fields(text: str, what: str) -> dict[str, Any]:
    """Return the mapping in a field of a row, which keeps what a source has said, so NaN as well.

    Raises DamagedError.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise damaged(what, f"it is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise damaged(what, "it is no mapping")
    return value


def shaped(kind: TypeAdapter[T], value: Any, what: str) -> T:
    """Return a value as the type it should have. Raises DamagedError, which names the key that has not."""
    try:
        return kind.validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        key = ".".join(map(str, first["loc"]))
        raise damaged(what, f"{shown(key)}: {first['msg']}" if key else first["msg"]) from None


def json_as(kind: TypeAdapter[T], data: bytes, what: str, **limits: int) -> T:
    """Return UTF-8 JSON as the type it should have. Raises DamagedError; `limits` as for `json_value`."""
    return shaped(kind, json_value(data, what, **limits), what)


def npy_column(data: bytes, what: str, dtype: DTypeLike) -> NDArray[Any]:
    """Return the one column that a NumPy file holds, of `dtype`: (N,). Raises DamagedError.

    NumPy's own reader allocates whatever shape the header claims.
    """
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            raise ValueError(f"its format has version {version}")
        shape, _, found = np.lib.format.read_array_header_1_0(file)
    except (ValueError, EOFError, MemoryError, RecursionError) as error:
        raise damaged(what, f"it is not a NumPy file: {error}") from None
    rest = len(data) - file.tell()
    if found != np.dtype(dtype) or found.hasobject or len(shape) != 1 or rest != shape[0] * found.itemsize:
        raise damaged(what, f"its header says {found} {shape}, and {rest:,} bytes follow")
    return np.frombuffer(data, found, offset=file.tell())


def damaged(what: str, why: str) -> DamagedError:
    """Return the error that says of a file what is wrong with it, in one line."""
    return DamagedError(f"{what} is damaged: {' '.join(why.split())[: 2 * SHOWN]}")


def shown(text: object) -> str:
    """Return a stranger's text as a message may hold it: printable, and not long."""
    text = str(text)
    short = text if len(text) <= SHOWN else text[:SHOWN] + " ..."
    return short if short.isprintable() else ascii(short)[1:-1]


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {shown(twice)!r} is there twice")
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")


def _finite(number: str) -> float:
    if math.isfinite(value := float(number)):
        return value
    raise ValueError(f"{shown(number)} is too large a number")
