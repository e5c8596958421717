"""Parquet from outside: what is bad is named, by row, row group or file, and the rest is read."""

import io
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpus.helpers import documents_of, is_conserved
from corpus.sources.memory import read_apart
from hypothesis import given, settings
from hypothesis import strategies as st

from llama_core.artifact import Artifact
from llama_core.corpus.decontaminate import evaluation_sets
from llama_core.corpus.formats.parquet import ParquetRows, UnreadableError
from llama_core.corpus.formats.parquet_levels import longest_row
from llama_core.corpus.formats.parquet_pages import read_footer
from llama_core.corpus.recipe import Dataset, Files, GitHub
from llama_core.corpus.sources import files
from llama_core.corpus.sources.raw import raw_file
from llama_core.errors import InputError

LIMIT = 1 << 16
GOOD = "A text that is long enough to be kept by the source, and says little. " * 4
CENTURIES = 290_000 * 365 * 86_400 * 10**6  # microseconds: a year that Python has not


def parquet(table: pa.Table, **how: Any) -> bytes:
    data = io.BytesIO()
    pq.write_table(table, data, **how)
    return data.getvalue()


def read(data: bytes, limit: int = LIMIT, texts: tuple[str, ...] = ("text",)) -> list[tuple[int, Any]]:
    """The rows, or in their place the errors, after their numbers."""
    return list(ParquetRows(io.BytesIO(data), limit).rows(texts))


def refused(data: bytes) -> str:
    with pytest.raises(UnreadableError) as error:
        read(data)
    return error.value.name


@pytest.mark.parametrize(
    "column",
    [
        pa.array([0, CENTURIES, 1], pa.timestamp("us")),
        pa.array([0, -CENTURIES, 1], pa.timestamp("us", tz="UTC")),
        pa.array([0, 2**30, 1], pa.date32()),
        pa.array([0, 2**62, 1], pa.duration("s")),
        pa.array([[0], [1, CENTURIES], []], pa.list_(pa.timestamp("us"))),
        pa.array([None, 5, None], pa.timestamp("us", tz="Mars/Phobos")),
        pa.array([{"a": 1}, {"a": 2**30}, None], pa.struct([("a", pa.date32())])),
    ],
    ids=lambda column: str(column.type),
)
def test_a_row_whose_value_python_has_not_is_quarantined_by_itself(
    column: pa.Array, tmp_path: Path, ingested: Callable[..., Artifact]
) -> None:
    data = parquet(pa.table({"text": [f"{GOOD} {i}" for i in range(3)], "when": column}))
    assert [row if isinstance(row, str) else number for number, row in read(data)] == [0, "invalid_value", 2]
    (tmp_path / "a.parquet").write_bytes(data)
    artifact = ingested(Files(kind="files", urls=[f"{tmp_path}/a.parquet"]))
    assert [d.text[-1] for d in documents_of(artifact)] == ["0", "2"] and is_conserved(artifact.counts)
    assert artifact.counts["raw"] == 3 and artifact.counts["quarantined.invalid_value"] == 1


@pytest.mark.parametrize("place", ["text", "other", "list"])
def test_a_row_with_bytes_that_are_no_text_is_quarantined_by_itself(place: str) -> None:
    columns: dict[str, Any] = {"text": ["a", "SPOIL", "c"], "other": [1, 2, 3]}
    if place != "text":
        columns = {"text": ["a", "b", "c"], place: ["d", "SPOIL", "e"]}
    if place == "list":
        columns["list"] = [[value] for value in columns["list"]]
    data = parquet(pa.table(columns), compression="none").replace(b"SPOIL", b"SP\xffIL")
    found = [row if isinstance(row, str) else row["text"] for _, row in read(data)]
    assert found == ["a", "invalid_utf8", "c"]


def test_a_damaged_row_group_counts_once_and_the_others_are_read() -> None:
    table = pa.table({"text": [f"text {i} {'x' * (i % 50)}" for i in range(300)]})
    data = bytearray(parquet(table, row_group_size=100, use_dictionary=False, compression="zstd"))
    column = pq.ParquetFile(io.BytesIO(data)).metadata.row_group(1).column(0)
    for at in range(column.data_page_offset + 100, column.data_page_offset + 140):
        data[at] ^= 255
    found = read(bytes(data))
    errors = [(number, row) for number, row in found if isinstance(row, str)]
    assert errors == [(100, "damaged_parquet")]
    assert [n for n, row in found if not isinstance(row, str)] == [*range(100), *range(200, 300)]


def test_a_file_that_is_cut_anywhere_is_damaged() -> None:
    data = parquet(pa.table({"text": ["a", "b"] * 100}))
    for size in (0, 4, 7, 8, 12, 100, len(data) - 9, len(data) - 4, len(data) - 1):
        assert refused(data[:size]) == "damaged_parquet"
    assert refused(data[:-8] + struct.pack("<I", 1 << 31) + b"PAR1") == "damaged_parquet"
    assert refused(data[:-4] + b"PARE") == "encrypted_parquet"


def test_a_file_that_is_encrypted_in_whole_or_in_part_is_refused(tmp_path: Path) -> None:
    import base64

    import pyarrow.parquet.encryption as pe

    class Vault(pe.KmsClient):
        def wrap_key(self, key_bytes: bytes, master_key_identifier: str) -> bytes:
            return base64.b64encode(key_bytes)

        def unwrap_key(self, wrapped_key: bytes, master_key_identifier: str) -> bytes:
            return base64.b64decode(wrapped_key)

    table = pa.table({"text": ["a", "b"], "other": ["c", "d"]})
    for plain, said in ((False, "encrypted_parquet"), (True, "encrypted_parquet")):
        config = pe.EncryptionConfiguration(
            footer_key="key", column_keys={"key": ["text"]}, plaintext_footer=plain
        )
        properties = pe.CryptoFactory(lambda _: Vault()).file_encryption_properties(
            pe.KmsConnectionConfig(), config
        )
        path = tmp_path / f"{plain}.parquet"
        with pq.ParquetWriter(path, table.schema, encryption_properties=properties) as writer:
            writer.write_table(table)
        source = Files(kind="files", urls=[str(path)])
        (outcome,) = files.read("web", source, raw_file(source, f"file://{path}"))
        assert outcome.error == said


@pytest.mark.parametrize("stored", [True, False])
def test_a_column_whose_name_is_no_text_is_read_under_another(stored: bool) -> None:
    table = pa.table({"text": ["a", "b"], "café": [1, 2], "in": [{"né": ["x"]}, None]})
    data = parquet(table, store_schema=stored, row_group_size=1)
    for name in ("café", "né"):
        data = data.replace(name.encode(), name.encode()[:-2] + b"\xff\xff")
    rows = [{"text": "a", "caf??": 1, "in": {"n??": ["x"]}}, {"text": "b", "caf??": 2, "in": None}]
    assert read(data) == list(enumerate(rows))


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def deep(levels: int) -> bytes:
    """A file without rows whose one column lies so many groups deep."""
    group = bytes([0x35, 2, 0x18]) + varint(1) + b"a" + bytes([0x15, 2, 0])
    root = bytes([0x48]) + varint(6) + b"schema" + bytes([0x15, 2, 0])
    leaf = bytes([0x15, 2, 0x25, 2, 0x18]) + varint(1) + b"x" + bytes([0])
    elements = bytes([0xFC]) + varint(levels + 2) + root + group * levels + leaf
    footer = bytes([0x15, 2, 0x19]) + elements + bytes([0x16, 0, 0x19, 0x0C, 0])
    return b"PAR1" + footer + struct.pack("<I", len(footer)) + b"PAR1"


@pytest.mark.parametrize("levels", [101, 1000, 49_000, 60_000])
def test_a_schema_that_is_nested_too_deeply_costs_the_file_and_not_the_process(levels: int) -> None:
    assert refused(deep(levels)) in ("too_deep", "too_many_columns")
    assert ParquetRows(io.BytesIO(deep(90)), LIMIT).names == ["a"]


def test_a_row_is_too_long_by_its_text_or_by_all_of_it() -> None:
    rows = [
        {"text": "a" * LIMIT, "more": ["b"]},
        {"text": "a" * (LIMIT + 1), "more": ["b"]},
        {"text": "é" * (LIMIT // 2 + 1), "more": []},
        {"text": "a", "more": ["b" * LIMIT] * 3},
        {"text": "a", "more": ["b" * LIMIT] * 5},
        {"text": None, "more": None},
    ]
    kinds = {"plain": {"use_dictionary": False}, "dictionary": {"dictionary_pagesize_limit": 1 << 30}}
    for how in kinds.values():
        data = parquet(pa.Table.from_pylist(rows), **how)
        expected = [rows[0], "too_long", "too_long", rows[3], "too_long", rows[5]]
        assert [row for _, row in read(data)] == expected


@pytest.mark.parametrize(
    "kind",
    [
        pa.string_view(),  # as Polars writes texts
        pa.json_(),
        pa.list_view(pa.string()),
        pa.large_list_view(pa.string_view()),
        pa.struct([("a", pa.string_view())]),
    ],
    ids=str,
)
def test_values_that_share_memory_are_measured_one_by_one(kind: pa.DataType) -> None:
    def as_kind(text: str) -> Any:
        if pa.types.is_struct(kind):
            return {"a": text}
        return text if kind in (pa.string_view(), pa.json_()) else [text]

    # Together they are longer than a text may be.
    texts = [str(i % 5) * (LIMIT // 20) for i in range(200)]
    rows = [*map(as_kind, texts), None]
    found = read(parquet(pa.table({"text": pa.array(rows, kind)})))
    assert [row for _, row in found] == [{"text": row} for row in rows]
    long = pa.array([as_kind("8" * (4 * LIMIT + 1))], kind)
    assert read(parquet(pa.table({"text": long}))) == [(0, "too_long")]


@pytest.mark.parametrize("how", [{"use_dictionary": False}, {}])
def test_a_page_of_many_long_texts_is_no_bomb(how: dict[str, Any]) -> None:
    texts = [f"{i} {'x' * (LIMIT // 45)}" for i in range(3000)]
    found = read(parquet(pa.table({"text": texts, "n": range(3000)}), **how))
    assert [row["text"] for _, row in found] == texts


PACKINGS = ["none", "snappy", "gzip", "zstd", "brotli", "lz4"]


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("packing", PACKINGS)
def test_a_list_without_end_costs_its_row_group_and_many_short_ones_nothing(
    version: str, packing: str
) -> None:
    how = {"compression": packing, "data_page_version": version, "row_group_size": 3001}
    short = [[i % 100] * 300 for i in range(3001)]
    table = pa.table({"text": ["a"] * 3001, "list": pa.array(short, pa.list_(pa.int32()))})
    assert [row["list"] for _, row in read(parquet(table, **how))] == short
    giant = pa.array([[] for _ in range(3000)] + [[7] * 900_000], pa.list_(pa.int32()))
    assert read(parquet(pa.table({"text": ["a"] * 3001, "list": giant}), **how)) == [(0, "too_large_list")]


inner = st.none() | st.lists(st.integers(0, 9), max_size=20)


@settings(max_examples=60)
@given(
    rows=st.lists(st.none() | st.lists(inner, max_size=9), max_size=60),
    version=st.sampled_from(["1.0", "2.0"]),
    packing=st.sampled_from(PACKINGS),
    size=st.sampled_from([100, 1000, 1 << 20]),
    batch=st.integers(1, 40),
)
def test_the_longest_row_is_found_however_it_was_written(
    rows: list[Any], version: str, packing: str, size: int, batch: int
) -> None:
    table = pa.table({"a": pa.array(rows, pa.list_(pa.list_(pa.int32())))})
    how = {"data_page_version": version, "compression": packing, "data_page_size": size}
    file = io.BytesIO(parquet(table, write_batch_size=batch, **how))
    footer = read_footer(file)
    found = [longest_row(file, group.places[0], footer.leaves[0].lists) for group in footer.groups]
    # A list that is empty or null takes a value too.
    lengths = [sum(max(1, len(x or ())) for x in row) if row else 1 for row in rows]
    assert footer.leaves[0].lists == 2 and max(map(int, found), default=0) == max(lengths, default=0)


values = st.none() | st.text(max_size=9)
columns = st.fixed_dictionaries(
    {
        "text": values,
        "list": st.none() | st.lists(values, max_size=3),
        "struct": st.none() | st.fixed_dictionaries({"a": values, "b": st.none() | st.integers(-9, 9)}),
        "map": st.none() | st.lists(st.tuples(st.text(max_size=3), st.none() | st.floats(0, 1)), max_size=2),
    }
)
SCHEMA = pa.schema(
    [
        ("text", pa.string()),
        ("list", pa.list_(pa.string())),
        ("struct", pa.struct([("a", pa.string()), ("b", pa.int64())])),
        ("map", pa.map_(pa.string(), pa.float64())),
    ]
)


@settings(max_examples=60)
@given(
    rows=st.lists(columns, max_size=12),
    group=st.integers(1, 12),
    limit=st.sampled_from([1, 100, LIMIT]),
    how=st.fixed_dictionaries(
        {
            "use_dictionary": st.booleans(),
            "data_page_version": st.sampled_from(["1.0", "2.0"]),
            "compression": st.sampled_from(["none", "zstd", "snappy"]),
            "data_page_size": st.sampled_from([100, 1 << 20]),
            "write_page_index": st.booleans(),
        }
    ),
)
def test_rows_come_out_as_they_went_in_however_they_were_written(
    rows: list[dict[str, Any]], group: int, limit: int, how: dict[str, Any]
) -> None:
    data = parquet(pa.Table.from_pylist(rows, SCHEMA), row_group_size=group, **how)
    expected = pq.read_table(io.BytesIO(data)).to_pylist()
    found = read(data, limit)
    if limit == LIMIT:
        assert found == list(enumerate(expected))
    else:  # a small limit makes the batches small, and whole row groups may be too large
        errors = ("too_long", "too_large_page", "too_large_list")
        assert all(row in (expected[number], *errors) for number, row in found)


@settings(max_examples=150)
@given(changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6))
def test_noise_in_a_file_is_quarantined_and_nothing_else_is_raised(changes: list[tuple[float, int]]) -> None:
    data = bytearray(NOISED)
    for place, byte in changes:
        data[int(place * len(data))] = byte
    try:
        found = read(bytes(data))
    except UnreadableError:
        return
    assert all(isinstance(row, str | dict) for _, row in found)


NOISED = parquet(
    pa.table({"text": ["a", "bb", None] * 20, "list": [["c"], [], None] * 20, "n": range(60)}),
    row_group_size=20,
)


def bombs(folder: Path) -> Iterator[Path]:
    """Small files that unpack to gigabytes."""

    def write(name: str, table: pa.Table, **how: Any) -> Path:
        how |= {"compression": "zstd", "store_schema": False, "write_statistics": False}
        pq.write_table(table, folder / f"{name}.parquet", **how)
        return folder / f"{name}.parquet"

    large = pa.DictionaryArray.from_arrays(pa.array([0] * 256 + [1], pa.int32()), ["x" * (70 << 20), GOOD])
    yield write("dictionary", pa.table({"text": large}))
    yield write("other", pa.table({"text": [GOOD] * 257, "other": large}))
    inner = pa.DictionaryArray.from_arrays(pa.array([0] * 2000, pa.int32()), ["x" * (4 << 20)])
    yield write("list", pa.table({"text": [GOOD], "list": pa.ListArray.from_arrays([0, 2000], inner)}))
    rows = pa.array(["x" * (20 << 20) + str(i) for i in range(40)])
    yield write("delta", pa.table({"text": rows}), use_dictionary=False, column_encoding="DELTA_BYTE_ARRAY")
    page = write("page", pa.table({"text": ["x" * (300 << 20)]}), use_dictionary=False)
    yield page
    many = pa.ListArray.from_arrays([0, 25_000_000], pa.array(memoryview(bytes(25_000_000))))
    yield write("values", pa.table({"text": [GOOD], "list": many}))
    column = pq.ParquetFile(page).metadata.row_group(0).column(0)
    size = varint(2 * column.total_uncompressed_size)
    lie = bytes([128 | 100, *[128] * (len(size) - 2), 0])
    data = page.read_bytes()
    assert size in data
    (folder / "lie.parquet").write_bytes(data.replace(size, lie))
    yield folder / "lie.parquet"


@pytest.mark.slow
def test_what_unpacks_to_gigabytes_is_quarantined_in_bounded_memory(tmp_path: Path) -> None:
    paths = list(bombs(tmp_path))
    assert all(path.stat().st_size < 2 << 20 for path in paths)
    found, grown = read_apart("files", *paths)
    assert dict(zip([path.stem for path in paths], found, strict=True)) == {
        "dictionary": {"too_long": 256, "document": 1},
        "other": {"too_long": 256, "document": 1},
        "list": {"too_long": 1},
        "delta": {"too_long": 40},
        "page": {"too_large_page": 1},
        "values": {"too_large_list": 1},
        "lie": {"too_large_page": 1},
    }
    assert grown < 500 << 20


def test_every_reader_of_parquet_quarantines_alike(tmp_path: Path, ingested: Callable[..., Artifact]) -> None:
    when = pa.array([0, CENTURIES, 1], pa.timestamp("us"))
    lines = GOOD.replace(", ", ",\n")
    columns = {"content": [f"{lines} {i}" for i in range(3)], "path": ["a.py", "b.py", "c.py"], "when": when}
    (tmp_path / "a.parquet").write_bytes(parquet(pa.table(columns | {"license": ["MIT"] * 3})))
    code = GitHub(kind="github", urls=[f"{tmp_path}/a.parquet"])
    data = Dataset(kind="dataset", path="parquet", data_files=f"{tmp_path}/a.parquet", column="content")
    for source in (code, data):
        counts = ingested(source).counts
        assert counts["quarantined.invalid_value"] == 1 and counts["documents"] == 2, counts
        assert is_conserved(counts)
    with pytest.raises(InputError, match=r"a\.parquet, row 2: .*invalid_value"):
        evaluation_sets.check(str(tmp_path))
