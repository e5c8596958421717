"""Rows of the benchmarks' files, and the values in them, each checked before it is believed."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from llama_core.corpus.formats import json_lines
from llama_core.errors import InputError
from llama_core.evaluate.benchmark import File

csv.field_size_limit(1 << 27)  # characters that a field of a table may have
T = TypeVar("T")


def items(
    files: Iterable[File],
    make: Callable[[Any], T],
    rows: Callable[[File], Iterator[tuple[int, Any]]],
    unit: str = "line",
) -> list[T]:
    """Return what `make` makes of each row of the files; it raises ValueError where a row is none.

    `rows` yields rows with their numbers, which count the file's `unit`, and names the place itself where
    there is no row. Raises InputError, which names the file and the place.
    """
    found = []
    for file in files:
        try:
            for number, row in rows(file):
                found.append(_made(make, f"{unit} {number}", row))
        except ValueError as error:
            parting = ", " if str(error).startswith(("line ", f"{unit} ")) else ": "
            raise InputError(f"{file.name}{parting}{error}") from error
    return found


def _made(make: Callable[[Any], T], place: str, row: Any) -> T:
    """Return what `make` makes of a row. Raises ValueError, which names the place of the row."""
    try:
        return make(row)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error


def json_rows(file: File) -> Iterator[tuple[int, Any]]:
    """Yield the values of lines of JSON with the lines' numbers, from 1. Raises ValueError."""
    yield from json_lines.values(file.content, file.name)


def json_list(file: File, key: str) -> Iterator[tuple[int, Any]]:
    """Yield the values of the list that a file's one JSON object has under a key, with their numbers, from 1.

    Raises ValueError.
    """
    yield from enumerate(value(json_lines.parse_line(file.content), key, list), 1)


def json_object(file: File) -> Iterator[tuple[int, Any]]:
    """Yield the one JSON value of a file, with the number 1. Raises ValueError."""
    yield 1, json_lines.parse_line(file.content)


def table_rows(file: File, delimiter: str = ",") -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows of a table whose first row names its columns, with their lines. Raises ValueError."""
    reader = csv.DictReader(io.StringIO(_decoded(file), newline=""), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if None in row or None in row.values():
                fields = len(reader.fieldnames or ())
                raise ValueError(f"line {reader.line_num}: it has not {fields} fields, as the first row has")
            yield reader.line_num, row
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {error}") from error


def bare_rows(file: File) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a table that names no columns, with their lines. Raises ValueError."""
    reader = csv.reader(io.StringIO(_decoded(file), newline=""), strict=True)
    try:
        for fields in reader:
            if fields:
                yield reader.line_num, fields
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {error}") from error


def plain_lines(file: File) -> Iterator[tuple[int, str]]:
    """Yield the lines of a text that are not white, with their numbers, from 1. Raises ValueError."""
    for number, line in enumerate(_decoded(file).split("\n"), 1):
        if line.strip():
            yield number, line.strip()


def _decoded(file: File) -> str:
    try:
        return file.content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = file.content[: error.start].count(b"\n") + 1
        raise ValueError(f"line {line}: it is not UTF-8") from None


def value(row: Any, key: str, *types: type) -> Any:
    """Return the value of a key. Raises ValueError where it is missing or of another type."""
    if not isinstance(row, dict):
        raise ValueError(f"it is no object with a key `{key}`")
    if key not in row:
        raise ValueError(f"the key `{key}` is missing: there are {', '.join(map(repr, row)) or 'none'}")
    if not isinstance(row[key], types) or (isinstance(row[key], bool) and bool not in types):
        kinds = " or ".join(_KINDS[t] for t in types)
        raise ValueError(f"`{key}` is {str(row[key])[:100]!r}, and not {kinds}")
    return row[key]


def text(row: Any, key: str) -> str:
    """Return the text of a key, which can be written as UTF-8. Raises ValueError."""
    found: str = value(row, key, str)
    try:
        found.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"`{key}` is no text: half of a surrogate pair stands alone in it") from error
    return found


def texts(row: Any, key: str) -> list[str]:
    """Return the list of texts of a key. Raises ValueError."""
    return [text({f"{key}.{i}": one}, f"{key}.{i}") for i, one in enumerate(value(row, key, list))]


def number(row: Any, key: str) -> int:
    """Return the whole number of a key, which may be written as a text. Raises ValueError."""
    found = value(row, key, int, str)
    if isinstance(found, str) and not (found.isascii() and found.isdecimal() and len(found) < 10):
        raise ValueError(f"`{key}` is {found[:100]!r}, and not a number")
    return int(found)


def checked(choices: Sequence[str], gold: int, key: str, empty: bool = False) -> tuple[str, ...]:
    """Return the choices. Raises ValueError where the right one is not among them, or is empty.

    `empty`: whether another one may be empty.
    """
    if not all(choices[gold : gold + 1] if empty else choices):
        raise ValueError(f"a choice is empty: {list(choices)!r}")
    if not 0 <= gold < len(choices):
        raise ValueError(f"`{key}` is {gold}, and there are {len(choices)} choices, from 0 on")
    return tuple(choices)


_KINDS = {
    dict: "an object",
    list: "a list",
    str: "a text",
    int: "a whole number",
    bool: "true or false",
    float: "a number",
}
