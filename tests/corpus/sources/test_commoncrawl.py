"""Common Crawl: every record ends in an outcome, WET text is CCNet's, memory does not follow the file."""

import gzip
import io
import json
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from corpus import warcs
from corpus.helpers import SAMPLES, documents_of, is_conserved, needs_samples
from corpus.sources.memory import read_apart

from llama_core.corpus.document import (
    Document,
    Dropped,
    NonContent,
    Outcome,
    Quarantined,
    document_id,
)
from llama_core.corpus.formats.warc import Record, records
from llama_core.corpus.recipe import CommonCrawl
from llama_core.corpus.sources import commoncrawl
from llama_core.corpus.sources.raw import raw_file
from llama_core.errors import InputError

MB = 1 << 20


def source(**fields: object) -> CommonCrawl:
    return CommonCrawl.model_validate({"kind": "commoncrawl", "urls": ["a"], "min_chars": 1} | fields)


def read(path: Path, **fields: object) -> list[Outcome]:
    cfg = source(**fields)
    return [*commoncrawl.read("web", cfg, raw_file(cfg, f"file://{path}"))]


def read_bytes(tmp_path: Path, data: bytes, name: str = "a.warc.wet", **fields: object) -> list[Outcome]:
    path = tmp_path / name
    path.write_bytes(data)
    return read(path, **fields)


def named(outcomes: list[Outcome]) -> Counter[str]:
    def name(o: Outcome) -> str:
        if isinstance(o, Document):
            return "document"
        if isinstance(o, Quarantined):
            return o.error
        return o.kind if isinstance(o, NonContent) else o.reason if isinstance(o, Dropped) else "skipped"

    return Counter(map(name, outcomes))


def test_wet_text_is_what_ccnet_reads(tmp_path: Path) -> None:
    """CCNet strips each line; the first line of a record is its title, the rest its text."""
    body = "  A title \n First line.\t\n\n\xa0Second line.\r\nThird\n\n"
    (found,) = read_bytes(tmp_path, warcs.page(7, body))
    assert isinstance(found, Document)
    assert found.text == "First line.\n\nSecond line.\nThird"
    assert found.url == "https://site7.example/a" and found.date == "2016-12-03T17:00:00Z"
    meta = json.loads(found.meta)
    assert meta["title"] == "A title" and meta["languages"] == "eng,fra"
    assert (meta["offset"], meta["offset_in"], meta["digest"]) == (0, "file", "sha1:ABC")


def test_old_and_new_headers_give_the_same_text(tmp_path: Path) -> None:
    old, new = (
        read_bytes(tmp_path, warcs.page(1, "T\nA text.", layout)) for layout in (warcs.OLD, warcs.NEW)
    )
    assert isinstance(old[0], Document) and isinstance(new[0], Document) and old[0].text == new[0].text


@pytest.mark.parametrize(
    ("record", "name"),
    [
        (warcs.page(1, "T\nA text.", warcs.NEW.replace("text/plain", "Text/Plain")), "document"),
        (warcs.record("metadata", b"{}", "Application/JSON", "http://a/"), "wat_record"),
        (warcs.response(1, warcs.ARTICLE).replace(b"application/http", b"Application/HTTP"), "document"),
        (warcs.response(1, warcs.ARTICLE, WARC_Identified_Payload_Type="Text/HTML"), "document"),
    ],
)
def test_media_types_are_known_in_letters_of_either_case(tmp_path: Path, record: bytes, name: str) -> None:
    assert named(read_bytes(tmp_path, record)) == Counter([name])


@pytest.mark.parametrize(
    ("record", "name"),
    [
        (warcs.info(), "warcinfo"),
        (warcs.page(1, "Only a title"), "empty"),
        (warcs.page(1, "T\nshort"), "too_short"),
        (warcs.page(1, b"T\nA \xff text which is no UTF-8."), "invalid_utf8"),
        (warcs.page(1, "T\nA \0 text with a zero byte."), "nul_byte"),
        (warcs.page(1, "T\nA text in UTF-16.".encode("utf-16")), "invalid_utf8"),
        (warcs.page(1, b"T\nA lone surrogate: \xed\xa0\x80."), "invalid_utf8"),
        (warcs.page(1, "x" * 5000), "too_long"),
        (warcs.page(1, "T\nA text without a URL.").replace(b"WARC-Target-URI", b"X-Gone"), "no_url"),
        (warcs.record("revisit", b"", "application/http", "http://a/"), "revisit"),
        (warcs.record("metadata", b"a: b", "application/warc-fields", "http://a/"), "metadata"),
        (warcs.record("metadata", b"{}", "application/json", "http://a/"), "wat_record"),
        (warcs.record("novelty", b"", "text/plain", "http://a/"), "unknown_type"),
        (warcs.record("conversion", b"{}", "application/pdf", "http://a/"), "not_text"),
        (warcs.record("response", b"v=0", "text/dns", "dns:a"), "not_http"),
        (warcs.record("response", b"SSH-2.0", "application/http", "http://a/"), "bad_http"),
        (warcs.response(1, "<p>Hello", WARC_Segment_Number="1"), "segmented_record"),
        (warcs.response(1, "GIF89a", "Content-Type: image/gif"), "not_html"),
        (warcs.response(1, b"%PDF-1.4\n%\xe2\xe3\xcf\xd3 1 0 obj"), "not_html"),
        (warcs.response(1, b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(range(200))), "not_html"),
        (warcs.response(1, b"PK\3\4" + bytes(range(200))), "not_html"),
        (warcs.response(1, gzip.compress(warcs.ARTICLE.encode())), "not_html"),
        (warcs.response(1, b"%PDF-1.4", WARC_Identified_Payload_Type="text/html"), "not_html"),
        (warcs.response(1, warcs.ARTICLE, WARC_Identified_Payload_Type="application/pdf"), "not_html"),
        (warcs.response(1, warcs.ARTICLE, "Content-Type: text/plain"), "not_html"),
        (warcs.response(1, "A text", "Server: a"), "not_html"),
        (warcs.response(1, warcs.ARTICLE, "Server: a"), "document"),
        (warcs.response(1, warcs.ARTICLE, "Content-Type: text/html, text/html"), "document"),
        (warcs.response(1, warcs.ARTICLE, "Content-Type: Text/HTML;Charset=UTF-8;q=1"), "document"),
        (warcs.response(1, warcs.ARTICLE, "Content-Type: text/html,text/html; charset=utf-8"), "document"),
        (warcs.response(1, warcs.ARTICLE, "Content-Type:"), "document"),
        (warcs.response(1, warcs.ARTICLE, "Content-Type: application/octet-stream"), "document"),
        (warcs.response(1, "GIF", "Content-Type: application/octet-stream"), "not_html"),
        (warcs.response(1, "<html>" + warcs.ARTICLE, "Content-Type: text/xml"), "document"),
        (warcs.response(1, "<?xml version='1.0'?><d>b", "Content-Type: text/xml"), "not_html"),
        (warcs.response(1, "<?xml version='1.0'?><rss><title>A title that is long"), "not_html"),
        (warcs.response(1, '{"words": "enough of them"}'), "not_html"),
        (warcs.response(1, "Plain words, and enough of them."), "document"),
        (warcs.response(1, warcs.ARTICLE, WARC_Identified_Payload_Type="text/plain"), "document"),
        (warcs.response(1, "Plain words of a text", WARC_Identified_Payload_Type="text/plain"), "not_html"),
        (warcs.response(1, warcs.ARTICLE).replace(b"WARC-Type: r", b"WARC-Type:\r\n r"), "document"),
        (warcs.response(1, warcs.ARTICLE, "Content-Type: unknown/unknown"), "document"),
        (warcs.response(1, warcs.ARTICLE, "Content-Type: image/png",
                        WARC_Identified_Payload_Type="application/xhtml+xml"), "document"),
        (warcs.response(1, "<p>" + "x" * 400, "Content-Encoding: gzip, pack200", "Content-Type: text/html"),
         "document"),  # an encoding that was taken off before it was stored
        (warcs.response(1, "Hello", "Content-Encoding: pack200", "Content-Type: text/html"),
         "unknown_encoding"),
        (warcs.response(1, b"\x1f\x8b\x08junk", "Content-Encoding: gzip", "Content-Type: text/html"),
         "damaged_payload"),
        (warcs.response(1, gzip.compress(b"<p>" + b"x" * 10**6), "Content-Encoding: gzip",
                        "Content-Type: text/html"), "too_long"),
        (warcs.response(1, "<p>Moved").replace(b"200 OK", b"301 OK"), "redirect"),
        (warcs.response(1, "<p>Gone").replace(b"200 OK", b"404 OK"), "http_error"),
        (warcs.response(1, warcs.ARTICLE), "document"),
        (warcs.response(1, "<p>&#xD800;" + warcs.ARTICLE), "document"),
    ],
)  # fmt: skip
def test_a_record_ends_in_an_outcome_of_its_own_name(tmp_path: Path, record: bytes, name: str) -> None:
    after = warcs.page(2, "T\nThe next text is read as well.")
    found = read_bytes(tmp_path, record + after, min_chars=12, max_record_bytes=4000)
    assert named(found) == Counter([name]) + Counter(["document"])


@pytest.mark.parametrize("name", ["a.arc.gz", "A.ARC"])
def test_an_arc_file_is_refused_with_what_to_do(name: str) -> None:
    with pytest.raises(InputError, match=rf"corpus.sources.web.urls: /x/{name} .*`warcio recompress"):
        commoncrawl.raw_files(source(urls=[f"/x/{name}"]), "corpus.sources.web")


def test_a_source_of_crawls_is_conserved(tmp_path: Path, ingested, store) -> None:  # type: ignore[no-untyped-def]
    pages = [warcs.page(i, f"T\nThe text of page {i}.") for i in range(30)]
    data = bytearray(warcs.members(warcs.info(), *pages))
    data[3000:3010] = b"0123456789"
    (tmp_path / "a.warc.wet.gz").write_bytes(data)
    (tmp_path / "b.warc.gz").write_bytes(warcs.members(warcs.info(), warcs.response(1, warcs.ARTICLE)))
    artifact = ingested(source(urls=[f"{tmp_path}/*.gz"]))
    assert is_conserved(artifact.counts) and artifact.counts["raw"] == 33
    assert artifact.counts["documents"] + artifact.counts["quarantined.damaged_stream"] == 31
    ids = [d.id for d in documents_of(artifact)]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("packed", [False, True])
def test_bytes_between_records_are_counted_and_are_no_records(
    tmp_path: Path,
    ingested,
    packed: bool,  # type: ignore[no-untyped-def]
) -> None:
    records = [warcs.response(i, warcs.ARTICLE) + b"\0" * i for i in range(1, 4)]
    data = warcs.members(*records) if packed else b"".join(records)
    (tmp_path / ("a.warc.gz" if packed else "a.warc")).write_bytes(data)
    artifact = ingested(source(urls=[f"{tmp_path}/a.*"]))
    assert is_conserved(artifact.counts) and artifact.counts["documents"] == artifact.counts["raw"] == 3
    assert artifact.counts["skipped_bytes"] == 6
    ids = [document_id("web", f"{artifact.shards[0].facts['url']}#{number}") for number in range(3)]
    assert [d.id for d in documents_of(artifact)] == ids


def test_a_documents_raw_record_is_found_again(tmp_path: Path) -> None:
    pages = [warcs.page(i, f"T\nThe text of page {i}.") for i in range(5)]
    data = warcs.members(*pages)
    for number, found in enumerate(read_bytes(tmp_path, data, "a.warc.wet.gz")):
        assert isinstance(found, Document)
        meta = json.loads(found.meta)
        assert meta["offset_in"] == "file" and meta["segment"].endswith("/a.warc.wet.gz")
        assert gzip.decompress(data[meta["offset"] :]).startswith(pages[number])


BOMB = 80 * MB  # twice what reading it may take


def bomb(path: Path, size: int, start: bytes, filling: bytes) -> Path:
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(start)
        block = filling * (MB // len(filling))
        for _ in range(size // len(block)):
            file.write(block)
    return path


def header(length: int) -> bytes:
    return warcs.OLD.format(url="http://a/", number=1, size=length).encode()


@pytest.mark.slow
def test_gzip_bombs_take_no_memory(tmp_path: Path) -> None:
    """`system/test_memory.py` reads a file of 10 GB."""
    bombs = {
        "zeros": (b"", b"\0", "not_warc"),
        "line ends": (b"", b"\n", "empty_file"),
        "one long line": (header(BOMB // 2), b"x", "wrong_length"),
        "a short length": (header(1), b"x\n", "wrong_length"),
        "a length beyond the end": (header(10**15), b"x\n", "truncated_record"),
        "a header": (b"WARC/1.0\r\n", b"a: b\r\n", "bad_header"),
    }
    paths = [bomb(tmp_path / f"{name}.warc.wet.gz", BOMB, *made) for name, (*made, _) in bombs.items()]
    found, grown = read_apart("commoncrawl", *paths)
    assert dict(zip(bombs, found, strict=True)) == {name: {error: 1} for name, (*_, error) in bombs.items()}
    assert grown < BOMB // 2


def test_a_record_of_one_long_line_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.wet"
    with path.open("wb") as file:
        file.write(header(200 * MB))
        file.seek(200 * MB, 1)  # a hole: it takes no room on the disk
        file.write(b"\r\n\r\n" + warcs.page(2, "T\n" + "The next text is read as well. " * 10))
    [found], grown = read_apart("commoncrawl", path)
    assert found == {"too_long": 1, "document": 1}
    assert grown < 40 * MB


# The records that SOURCES.md counts. Those that are no documents: `crate_example` has a record of one line,
# which is its title; one of `corrupt_warcconversion_1` has lost its URL; the last ones of `fragment1` and of
# `truncated` are cut; `file_headers_only` is a warcinfo with shorter line ends than its Content-Length says.
EXPECTED = {
    "cc-main-2020-34_16pages.warc.gz": {"warcinfo": 1, "request": 17, "document": 16, "metadata": 16},
    "whirlwind_cc-main-2024-22.warc.gz": {"warcinfo": 1, "request": 1, "document": 1, "metadata": 1},
    "whirlwind_cc-main-2024-22.warc.wat.gz": {"warcinfo": 1, "wat_record": 1},
    "ccscala_filter_test_1.warc.wet.gz": {"warcinfo": 1, "document": 25},
    "ccscala_truncated_unexpected_eof.warc.wet.gz": {"warcinfo": 1, "document": 15, "truncated_stream": 1},
    "ccscala_corrupt_starts_with_conversion.warc.wet.gz": {"warcinfo": 1, "document": 5},
    "ccscala_corrupt_warcconversion_1.warc.wet.gz": {"warcinfo": 1, "document": 4, "no_url": 1},
    "ccscala_file_headers_only.warc.wet.gz": {"truncated_record": 1},
    "ccscala_fragment1_incomplete_last.warc.wet.gz": {"warcinfo": 1, "document": 1, "truncated_record": 1},
    "ccscala_fragment3.warc.wet.gz": {"warcinfo": 1, "document": 5},
    "crate_example.warc.wet.gz": {"warcinfo": 1, "document": 1, "empty": 1},
    "dolma_wget-2024_sample-0000.warc.gz": {
        "warcinfo": 1, "request": 22, "document": 22, "resource": 2, "metadata": 1,
    },
}  # fmt: skip


@needs_samples
@pytest.mark.parametrize("name", EXPECTED)
def test_real_files_give_the_documents_that_they_hold(name: str) -> None:
    path = SAMPLES / "commoncrawl" / name
    if not path.exists():
        pytest.skip(f"{name} is not here")
    assert named(read(path)) == EXPECTED[name]


@needs_samples
@pytest.mark.parametrize("name", EXPECTED)
def test_another_reader_counts_the_same_records(name: str) -> None:
    """warcio says nothing of a file that is cut."""
    warcio = pytest.importorskip("warcio")
    path = SAMPLES / "commoncrawl" / name
    if not path.exists():
        pytest.skip(f"{name} is not here")
    plain = io.BytesIO(b"".join(inflated(path.read_bytes())))
    theirs: Counter[str] = Counter()
    stopped = False
    try:
        for record in warcio.ArchiveIterator(plain):
            record.content_stream().read()
            theirs[record.rec_type] += 1
    except warcio.exceptions.ArchiveLoadFailed:
        stopped = True
    with path.open("rb") as file:
        ours = [r for r in records(file, 64 * MB, frozenset()) if isinstance(r, Record)]
    kinds = Counter((r.headers or {}).get("warc-type", "") for r in ours)
    if stopped or any(r.error for r in ours):
        assert theirs <= kinds
    else:
        assert theirs == kinds


def inflated(data: bytes) -> Iterator[bytes]:
    """The bytes of all gzip members of a file, as far as it goes: warcio wants a member for each record."""
    while data:
        member = zlib.decompressobj(wbits=31)
        yield member.decompress(data)
        data = member.unused_data


@needs_samples
def test_real_text_is_read_whole() -> None:
    """The text has all bytes of the records, but for white space at the ends of lines."""
    path = SAMPLES / "commoncrawl" / "ccscala_filter_test_1.warc.wet.gz"
    found = [o for o in read(path) if isinstance(o, Document)]
    kept = sum(len((json.loads(o.meta)["title"] + "\n" + o.text).encode()) for o in found)
    with path.open("rb") as file:
        found_records = [r for r in records(file, MB, frozenset()) if isinstance(r, Record)]
        stated = [int((r.headers or {})["content-length"]) for r in found_records]
    assert 0.99 * sum(stated[1:]) < kept <= sum(stated[1:])
