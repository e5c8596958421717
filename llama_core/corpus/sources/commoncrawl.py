"""Common Crawl: the text of WET records, or the main content of the HTML pages of a WARC file.

WET text is taken as CCNet takes it (Wenzek et al. 2019): each line stripped, the first line the title.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from llama_core.corpus.document import (
    Document,
    Dropped,
    NonContent,
    Noted,
    Outcome,
    Quarantined,
    document_id,
)
from llama_core.corpus.formats.http_response import decode_payload, media_type, parse_response
from llama_core.corpus.formats.payload_type import is_binary, is_html, is_other_text
from llama_core.corpus.formats.warc import Gap, Record, records
from llama_core.corpus.markup.newlines import with_newlines
from llama_core.corpus.markup.webpage.extract import extract
from llama_core.corpus.recipe import CommonCrawl
from llama_core.corpus.sources import rules
from llama_core.corpus.sources.raw import Raw, find_files, open_unchanged
from llama_core.errors import InputError

ENDINGS = (".wet.gz", ".wet.zst", ".wet", ".warc.gz", ".warc.zst", ".warc")
_ARC = (".arc", ".arc.gz")

_TEXTS = frozenset({"conversion", "response"})
_OTHERS = frozenset({"warcinfo", "request", "metadata", "resource", "revisit", "continuation"})
_HTML = re.compile(r"[^/]+/.*htm.*")  # text/html, application/xhtml+xml and what people write for them
_SUCCESSES = (200, 203)  # the second: a proxy has changed the page
# What servers state that do not know what they send: the payload says whether it is HTML.
_NOTHING = frozenset(
    {
        "",
        "unknown/unknown",
        "application/unknown",
        "content/unknown",
        "text/unknown",
        "*/*",
        "text/*",
        "none/none",
        "application/octet-stream",
        "binary/octet-stream",
        "application/force-download",
        "application/x-httpd-php",
        "httpd/unix-directory",
        "application/xml",
        "text/xml",
    }
)

_Page = tuple[str, str]  # its title and its text


def raw_files(source: CommonCrawl, key: str) -> list[Raw]:
    """Return the files of a source. Raises InputError."""
    for url in source.urls:
        if url.lower().endswith(_ARC):
            raise InputError(
                f"{key}.urls: {url} is an ARC file, the format before WARC: convert it with `warcio "
                "recompress FILE.arc.gz FILE.warc.gz` (pip install warcio), and name the result"
            )
    return find_files(source, key, ENDINGS)


def read(source_name: str, source: CommonCrawl, raw: Raw) -> Iterator[Outcome]:
    """Yield an outcome for each record of a WET or WARC file.

    Raises InputError, and StoreError where the file cannot be read on.
    """
    with open_unchanged(source, raw) as file:
        number = -1
        for record in records(file, source.max_record_bytes, _TEXTS):
            if isinstance(record, Gap):
                yield Noted({"skipped_bytes": record.size})
                continue
            number += 1
            place = f"{raw.url}#{number}"
            found = _page(record, source.max_record_bytes)
            if isinstance(found, NonContent):
                yield found
            elif isinstance(found, str):
                yield Quarantined(place, record.offset, found)
            elif reason := rules.text_reason(found[1], source.min_chars):
                yield Dropped(reason, place, found[1])
            else:
                yield _document(record, found, source_name, source, raw, place)


def _page(record: Record, limit: int) -> _Page | NonContent | str:
    """Return what a record holds, or the name of what is wrong with it."""
    headers = record.headers
    if record.error or headers is None:
        return record.error
    kind = headers.get("warc-type", "").lower()
    if kind == "metadata" and _content_type(headers).startswith("application/json"):
        return "wat_record"  # the file is a WAT file, which holds no text
    if kind not in _TEXTS:
        return NonContent(kind if kind in _OTHERS else "unknown_type")
    if not headers.get("warc-target-uri"):
        return "no_url"  # the standard asks for one
    if "warc-segment-number" in headers:
        return "segmented_record"
    if kind == "conversion":
        return _text(record.body, headers)
    return _html(record.body, headers, limit)


def _content_type(headers: dict[str, str], default: str = "") -> str:
    """Return the record's content type in lower case, because the standard says that case does not count."""
    return headers.get("content-type", default).lower()


def _text(body: bytes, headers: dict[str, str]) -> _Page | NonContent | str:
    if not _content_type(headers, "text/plain").startswith("text/plain"):
        return NonContent("not_text")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return "invalid_utf8"
    if "\0" in text:
        return "nul_byte"
    title, _, text = "\n".join(map(str.strip, with_newlines(text).split("\n"))).partition("\n")
    return title, text.strip("\n")


def _html(body: bytes, headers: dict[str, str], limit: int) -> _Page | NonContent | str:
    if not _content_type(headers, "application/http").startswith("application/http"):
        return NonContent("not_http")
    response = parse_response(body)
    if response is None:
        return "bad_http"
    if response.status not in _SUCCESSES:
        return NonContent("redirect" if 300 <= response.status < 400 else "http_error")
    identified = media_type(headers.get("warc-identified-payload-type", ""))
    stated = identified or response.media_type
    is_stated = bool(_HTML.fullmatch(stated))
    # A crawler that saw no more than text has seen nothing.
    is_vague = stated in _NOTHING or (identified == "text/plain" and _HTML.fullmatch(response.media_type))
    if not is_stated and not is_vague:
        return NonContent("not_html")
    payload = decode_payload(response, limit, "warc-truncated" in headers)
    if isinstance(payload, str):
        return payload if is_stated else NonContent("not_html")
    if is_binary(payload) or is_other_text(payload) or not (is_stated or is_html(payload)):
        return NonContent("not_html")
    found = extract(payload, response.charset)
    if isinstance(found, str):
        return found
    return rules.text_error("".join(found)) or (found[0], with_newlines(found[1]))


def _document(
    record: Record, page: _Page, source_name: str, source: CommonCrawl, raw: Raw, place: str
) -> Document:
    assert record.headers is not None
    headers = record.headers
    title, text = page
    return Document(
        id=document_id(source_name, place),
        text=text,
        source=source_name,
        url=headers["warc-target-uri"].strip("<>").replace("\0", ""),
        license=source.license,
        language="",
        date=headers.get("warc-date", "").replace("\0", ""),
        meta=json.dumps(_meta(record, headers, title, raw.url), ensure_ascii=False),
    )


def _meta(record: Record, headers: dict[str, str], title: str, segment: str) -> dict[str, Any]:
    """Return what leads back to the raw bytes, and what the crawl says of the page.

    If the record can be read by itself (it begins a gzip member, or the file is not compressed), `offset` is
    in the file as it is stored and `offset_in` is `file`. Else `offset` is in the `decompressed` stream.
    """
    is_direct = record.file_offset is not None
    known = {
        "record_id": headers.get("warc-record-id"),
        "digest": headers.get("warc-payload-digest") or headers.get("warc-block-digest"),
        "languages": headers.get("warc-identified-content-language"),
        "truncated": headers.get("warc-truncated"),
        "title": title,
    }
    return {name: value for name, value in known.items() if value} | {
        "segment": segment,
        "offset": record.file_offset if is_direct else record.offset,
        "offset_in": "file" if is_direct else "decompressed",
    }
