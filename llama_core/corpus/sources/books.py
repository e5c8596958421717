"""Books, one document each: Project Gutenberg's (`gutenberg`), or any others as text, JSONL or Parquet.

Gutenberg has a book in up to three encodings (`11-0.txt` and `11.txt.utf-8` are UTF-8, `11-8.txt` Latin-1,
`11.txt` ASCII): of those in one folder the first in this order is read, and the others are not raw files.
Lines stay broken as they were printed.
"""

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any

from llama_core.corpus.document import Document, Dropped, NonContent, Outcome, Quarantined, document_id
from llama_core.corpus.formats import archives
from llama_core.corpus.markup.charsets import BYTEWISE, codec_of
from llama_core.corpus.markup.gutenberg import declared_encoding, read_book
from llama_core.corpus.markup.newlines import with_newlines
from llama_core.corpus.recipe import Books
from llama_core.corpus.sources import files, rules
from llama_core.corpus.sources.raw import Raw, find_files, open_unchanged

_TABLES = tuple(e for e, kind in files.FORMATS.items() if kind != "text")
_TEXTS = (".txt", ".txt.utf-8", ".txt.utf8")
ENDINGS = (*_TEXTS, ".zip", *_TABLES)

_VARIANT = re.compile(
    r"((?:.*/)?(?:\d+|pg\d+(?=\.txt)))(?:-(?P<kind>[08h]))?\.(?:txt(?P<utf8>\.utf-?8)?|zip)"
)
_HEAD_BYTES = 20_000  # first bytes of a book, in which a header speaks of Project Gutenberg
_RANKS = {"0": 0, "8": 1, None: 2, "h": 3}  # the last one is a zip of HTML


def raw_files(source: Books, key: str) -> list[Raw]:
    """Return the files of a source: for each book in a folder, one of its encodings. Raises InputError."""
    return _best_encodings(find_files(source, key, ENDINGS))


def _best_encodings(raws: list[Raw]) -> list[Raw]:
    """Keep, of the encodings of one book in one folder, the one that loses the least."""
    found: dict[str, tuple[tuple[int, bool, str], Raw]] = {}
    for raw in raws:
        variant = _VARIANT.fullmatch(raw.url)
        book = variant[1] if variant else raw.url
        rank = _RANKS[variant["kind"]] if variant and not variant["utf8"] else 0
        key = (rank, raw.url.endswith(".zip"), raw.url)
        if book not in found or key < found[book][0]:
            found[book] = key, raw
    return sorted((raw for _, raw in found.values()), key=lambda raw: raw.name)


def read(source_name: str, source: Books, raw: Raw) -> Iterator[Outcome]:
    """Yield an outcome for each text file, member of a zip, line of JSONL or row of Parquet.

    Raises InputError, and StoreError where the file cannot be read on.
    """
    url = raw.url.lower()
    if url.endswith(_TABLES):
        for record, offset, row in files.read_records(source, raw):
            place = f"{raw.url}#{record}"
            if isinstance(row, str):
                yield Quarantined(place, offset, row)
            elif not isinstance(text := row.pop("text", None), str):
                yield Quarantined(place, offset, "no_text")
            else:
                yield _outcome(source_name, source, place, offset, text, row)
        return
    with open_unchanged(source, raw) as file:
        if not url.endswith(".zip"):
            data = file.read(source.max_record_bytes + 1)
            yield _decoded(source_name, source, raw.url, 0, data)
            return
        archive = archives.open_archive(file, raw.url, source.max_record_bytes, _is_text)
        seen: set[str] = set()
        for member, data in archive:
            place = _plain(f"{raw.url}#{member.name}" if member.name else raw.url)
            if member.error:
                yield Quarantined(place, member.offset, member.error)
            elif member.kind != "file" or not _is_text(member.name):
                yield NonContent(member.kind if member.kind != "file" else "other_file")
            else:
                place = place if place not in seen else f"{place}@{member.offset}"
                seen.add(place)
                yield _decoded(source_name, source, place, member.offset, data)


def decode(data: bytes) -> str | None:
    """Return the text of a book by its byte order mark, as UTF-8, or as its Gutenberg header declares.

    Bytes that are not valid then are read as Windows' Latin-1, and so is a book whose header declares
    nothing, as the oldest ones do. Returns None where nothing says that the bytes are text.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _decode(data, "utf-16")
    data = data.removeprefix(codecs.BOM_UTF8)
    if (text := _decode(data, "utf-8")) is not None:
        return text
    declared = declared_encoding(data)
    if not declared and b"gutenberg" not in data[:_HEAD_BYTES].lower():
        return None
    return data.decode(codec_of(declared), BYTEWISE)


def _decode(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeError:
        return None


def _decoded(source_name: str, source: Books, place: str, offset: int, data: bytes) -> Outcome:
    if len(data) > source.max_record_bytes:
        return Quarantined(place, offset, "too_long")
    text = decode(data)
    if text is None:
        return Quarantined(place, offset, "invalid_utf8")
    return _outcome(source_name, source, place, offset, text, {})


def _outcome(
    source_name: str, source: Books, place: str, offset: int, text: str, fields: dict[str, Any]
) -> Outcome:
    if error := rules.text_error(text):
        return Quarantined(place, offset, error)
    book = read_book(with_newlines(text))
    if book.is_copyrighted:
        return Dropped("copyrighted", place, text)
    if reason := rules.text_reason(book.text, source.min_chars):
        return Dropped(reason, place, book.text)
    own = files.take_fields(fields)
    url = f"https://www.gutenberg.org/ebooks/{book.number}" if book.number else place
    meta = {"number": book.number, "title": book.title, "author": book.author, "offset": offset}
    return Document(
        id=document_id(source_name, place),
        text=book.text,
        source=source_name,
        url=own["url"] or url,
        license=own["license"] or source.license,
        language=own["language"] or book.language,
        date=own["date"] or book.date,
        meta=json.dumps({k: v for k, v in meta.items() if v != ""} | fields, default=str),
    )


def _is_text(name: str) -> bool:
    return name.lower().endswith(_TEXTS)


def _plain(place: str) -> str:
    return place.encode("utf-8", "replace").decode().replace("\0", "")
