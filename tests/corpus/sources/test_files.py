"""The parsers of files, against plain references and against noise."""

import bz2
import gzip
import io
import json
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import zstandard
from corpus.helpers import cut, documents_of, is_conserved
from hypothesis import given
from hypothesis import strategies as st

from llama_core.artifact import Artifact
from llama_core.corpus.document import Document, Dropped, Quarantined
from llama_core.corpus.formats import streams
from llama_core.corpus.recipe import Files
from llama_core.corpus.sources import files
from llama_core.corpus.sources.raw import raw_file

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": partial(gzip.compress, mtime=0),
    "zst": lambda data: zstandard.ZstdCompressor().compress(data),
    "bz2": bz2.compress,
}


@pytest.mark.parametrize("which", PACKERS)
def test_what_comes_out_of_a_bomb_comes_in_pieces(which: str) -> None:
    """bzip2 may turn the bytes that it is given at a time into 10^6 times as many."""
    packed = PACKERS[which](b"\0" * 100_000_000)
    sizes = [len(piece) for piece in streams.chunks(io.BytesIO(packed), f"a.{which}")]
    assert sum(sizes) == 100_000_000 and max(sizes) < 80_000_000


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_a_name_in_capitals_is_unpacked_too(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"A.JSONL.{ending.upper()}"
    path.write_bytes(PACKERS[ending](b'{"text": "a"}\n{"text": "b"}\n'))
    source = Files(kind="files", urls=[str(path)])
    records = files.read_records(source, raw_file(source, str(path)))
    assert [fields for _, _, fields in records] == [{"text": "a"}, {"text": "b"}]


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("a.jsonl", b""),
        ("a.jsonl", b"\n \n"),
        *((f"a.json.{ending}", stored) for ending in ("gz", "zst") for stored in (b"", PACKERS[ending](b""))),
    ],
)
def test_a_file_without_a_record_is_quarantined_as_empty(tmp_path: Path, name: str, stored: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(stored)
    source = Files(kind="files", urls=[str(path)])
    outcomes = files.read("web", source, raw_file(source, str(path)))
    assert list(outcomes) == [Quarantined(f"{path}#0", 0, "empty_file")]


@given(
    lines=st.lists(st.binary(max_size=20).map(lambda b: b.replace(b"\n", b" ")), max_size=12),
    sizes=st.lists(st.integers(0, 9), max_size=20),
    limit=st.integers(1, 15),
)
def test_lines_do_not_depend_on_how_the_stream_was_cut(
    lines: list[bytes], sizes: list[int], limit: int
) -> None:
    data = b"\n".join(lines)
    found = [line for _, line in streams.lines(iter(cut(data, sizes)), limit)]
    expected = [line if len(line) <= limit else "too_long" for line in lines]
    if expected and expected[-1] == b"":
        expected.pop()  # what follows the last line end is no line
    assert found == expected


@given(lines=st.lists(st.binary(min_size=1, max_size=9).map(lambda b: b.replace(b"\n", b" ")), max_size=9))
def test_the_offset_of_a_line_is_where_it_stands(lines: list[bytes]) -> None:
    data = b"\n".join(lines)
    for offset, line in streams.lines(iter([data]), 100):
        assert isinstance(line, bytes) and data[offset : offset + len(line)] == line


@given(
    parts=st.lists(st.binary(max_size=2000), max_size=4),
    at=st.integers(0, 10_000),
    which=st.sampled_from(["gz", "zst", "bz2"]),
)
def test_a_compressed_stream_is_read_to_its_end_or_said_to_be_cut(
    parts: list[bytes], at: int, which: str
) -> None:
    pack = PACKERS[which]
    packed = b"".join(map(pack, parts))
    whole = list(streams.chunks(io.BytesIO(packed), f"a.{which}"))
    assert b"".join(whole) == b"".join(parts)
    found = list(streams.chunks(io.BytesIO(packed[:at]), f"a.{which}"))
    errors = [c for c in found if isinstance(c, str)]
    text = b"".join(c for c in found if isinstance(c, bytes))
    assert b"".join(parts).startswith(text)
    assert errors in ([], ["truncated_stream"]) and found[len(found) - len(errors) :] == errors
    starts = [sum(len(pack(p)) for p in parts[:i]) for i in range(len(parts) + 1)]
    assert bool(errors) == (min(at, len(packed)) not in starts)


@given(data=st.binary(max_size=400), which=st.sampled_from(["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.txt"]))
def test_noise_never_raises(data: bytes, which: str) -> None:
    reader = files._read_text if which.endswith("txt") else files._read_jsonl
    source = Files(kind="files", urls=[which])
    for record, offset, found in reader(io.BytesIO(data), which, 50, "text"):
        if isinstance(found, dict):
            outcome = files.to_outcome(found, "web", source, f"{which}#{record}", offset)
            assert isinstance(outcome, Document | Dropped | Quarantined)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(fields=st.dictionaries(st.sampled_from(["text", "url", "lang", "date", "meta", "x"]), json_values))
def test_any_json_object_becomes_strings_that_can_be_stored(fields: dict[str, object]) -> None:
    parsed = files._parse(json.dumps(fields).encode())
    assert isinstance(parsed, dict)
    source = Files(kind="files", urls=["a"], min_chars=1)
    outcome = files.to_outcome(parsed, "web", source, "a#0", 0)
    if isinstance(outcome, Document):
        for value in outcome.row():
            assert "\0" not in value.encode().decode()
        json.loads(outcome.meta)


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize("depth", [1, 98, 99, 100, 900, 990, 100_000])
def test_how_deep_json_may_go_does_not_depend_on_the_stack(opening: str, closing: str, depth: int) -> None:
    line = f'{{"text": "a text", "x": {opening * depth}1{closing * depth}}}'.encode()
    source = Files(kind="files", urls=["a"], min_chars=1)

    def outcome(frames: int) -> str:
        if frames:
            return outcome(frames - 1)
        fields = files._parse(line)
        return fields if isinstance(fields, str) else files.to_outcome(fields, "web", source, "a#0", 0).meta

    found = {outcome(frames) for frames in (0, 300, 600)}
    assert len(found) == 1 and (found == {"too_deep"}) == (depth > 99)


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz", "jsonl.zst"])
def test_each_odd_line_of_json_is_read_right_or_quarantined_by_itself(
    tmp_path: Path, ending: str, ingested: Callable[..., Artifact]
) -> None:
    text = "A text that is long enough to be kept by the source, and says little. " * 4
    read = [
        f'{{"text": "{text}1\u2028\u2029\u0085and more"}}',
        f'{{"text": "{text}2", "n": {"9" * 4000}}}',
        f'{{"text": "{text}3", "n": [NaN, -Infinity, 1e999]}}',
        f'\ufeff{{"text": "{text}4"}}',
        f'{{"text": "{text}5", "a\\ud800": "\\udfff"}}\r',
    ]
    bad = {
        f'{{"text": "{text}", "n": {"9" * 5000}}}': "not_json",
        f'{{"text": "{text}\\ud800"}}': "lone_surrogate",
        f'{{"text": "{text}\\u0000"}}': "nul_byte",
        f'{{"text": "{text}\0"}}': "not_json",
        f'{{"text": "{text}", "n": {"[" * 3000}{"]" * 3000}}}': "too_deep",
        f'["{text}"]': "no_text",
        f'{{"text": "{"x" * 70_000}"}}': "too_long",
        f'{{"text": "{text}"}}{{"text": "{text}"}}': "not_json",
    }
    lines = [line.encode() for pair in zip([*read, "", "", ""], bad, strict=True) for line in pair]
    whole = b"\n".join([*lines, b'{"text": "\xff"}', b"\0", b'{"text": "cu'])
    packing = ending.rpartition(".")[2]
    path = tmp_path / f"a.{ending}"
    path.write_bytes(PACKERS[packing](whole) if packing in PACKERS else whole)
    artifact = ingested(Files(kind="files", urls=[str(path)], max_record_bytes=1 << 16))
    assert [d.text[len(text)] for d in documents_of(artifact)] == list("12345")
    assert documents_of(artifact)[0].text == f"{text}1\n\n\nand more"
    expected = Counter(bad.values()) + Counter(invalid_utf8=1, not_json=2)
    assert {k: v for k, v in artifact.counts.items() if k.startswith("quarantined.")} == {
        f"quarantined.{name}": count for name, count in expected.items()
    }
    assert is_conserved(artifact.counts) and artifact.counts["raw"] == len(read) + len(bad) + 3
