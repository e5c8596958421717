"""Token shards: readable by Megatron, checked page by page."""

import hashlib
import io
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llama_core.artifact import Artifact, Shard
from llama_core.corpus.document import read_documents
from llama_core.errors import DamagedError
from llama_core.step import Step
from llama_core.store import Store
from llama_core.tokenizer.model import Tokenizer
from llama_core.tokens.node_cache import NodeCache
from llama_core.tokens.pages import PageReader
from llama_core.tokens.places import Places
from llama_core.tokens.shards import PAGE_BYTES, PageDigests, dtype_for, index

SIZES = {"code.a": 60, "code.b": 0, "docs.a": 40}


def documents_of(tokens: Artifact, name: str) -> list[list[int]]:
    """A shard's documents, found through the .idx as Megatron-LM lays it out."""
    shard = tokens.shard(name)
    data = tokens.read(shard.object(".idx"))
    assert data[:9] == b"MMIDIDX\x00\x00"
    version, code, sequences, documents = struct.unpack_from("<QBQQ", data, 9)
    assert (version, documents) == (1, sequences + 1)
    dtype = {8: np.uint16, 4: np.int32}[code]
    lengths = np.frombuffer(data, "<i4", sequences, 34)
    pointers = np.frombuffer(data, "<i8", sequences, 34 + 4 * sequences)
    ends = np.frombuffer(data, "<i8", documents, 34 + 12 * sequences)
    assert len(data) == 34 + 12 * sequences + 8 * documents
    assert ends.tolist() == list(range(sequences + 1))
    ids = tokens.read(shard.object(".bin"))
    return [np.frombuffer(ids, dtype, n, p).tolist() for n, p in zip(lengths, pointers, strict=True)]


def make_shard(
    store: Store, ids: np.ndarray, change: Callable[[Shard], Shard] = lambda shard: shard
) -> tuple[Artifact, Shard]:
    """A shard that holds these ids, whatever they are, changed in the index by `change`."""
    step, pages = Step(store, "tokens", 1, {"ids": len(ids)}), PageDigests()
    pages.update(ids.tobytes())
    with step.shard("web.a") as shard:
        shard.publish_bytes("web.a.bin", ids.tobytes())
        shard.facts = {"source": "web", "dtype": ids.dtype.name, "pages": pages.hexdigests()}
    made = step.committed("web.a")
    assert made is not None
    changed = change(made)
    step.folder.delete(["shards/web.a.json"])
    step.folder.publish_json("shards/web.a.json", changed.as_dict())
    tokens = step.commit(["web.a"])
    return tokens, tokens.shard("web.a")


@pytest.fixture
def reader_of(tmp_path: Path) -> Iterator[Callable[..., PageReader]]:
    """A reader of some tokens, with a cache of its own."""
    caches: list[NodeCache] = []

    def make(tokens: Artifact, pages: int = 8, n_words: int | None = None) -> PageReader:
        caches.append(NodeCache(f"{len(caches)}", pages * PAGE_BYTES, tmp_path))
        return PageReader(tokens, caches[-1], n_words=n_words)

    yield make
    for cache in caches:
        cache.close()


def test_each_document_is_a_sequence_between_its_marks(
    make_tokens: Callable[..., Artifact], tokenizer_artifact: Artifact, store: Store
) -> None:
    tokens = make_tokens(SIZES)
    tokenizer = Tokenizer.load(tokenizer_artifact)
    (manifest,) = [name for name in store.list("corpus") if name.endswith("manifest.json")]
    corpus = Artifact.load(store, manifest.rsplit("/", 1)[0])
    for name in ("code.a", "docs.a"):
        texts = [d.text for d in read_documents(corpus, name, ending="train.parquet")]
        assert documents_of(tokens, name) == [tokenizer.encode(t, bos=True, eos=True) for t in texts]


def test_counts_and_histogram_account_for_every_token(make_tokens: Callable[..., Artifact]) -> None:
    tokens = make_tokens(SIZES)
    for name, size in SIZES.items():
        shard = tokens.shard(name)
        histogram = np.load(io.BytesIO(tokens.read(shard.object(".histogram.npy"))))
        assert histogram.dtype == np.int64 and histogram.shape == (300,)
        assert shard.counts["documents"] == size == histogram[1] == histogram[2]
        assert shard.counts["tokens"] == histogram.sum() == shard.object(".bin").size // 2
        assert shard.facts["source"] == name.split(".")[0]
    assert tokens.counts["bytes"] > tokens.counts["tokens"] > 0


def test_a_shard_without_documents_is_empty(make_tokens: Callable[..., Artifact]) -> None:
    tokens = make_tokens(SIZES)
    assert documents_of(tokens, "code.b") == []
    assert tokens.shard("code.b").counts == {"bytes": 0, "documents": 0, "tokens": 0}
    assert tokens.shard("code.b").facts["pages"] == []


def test_the_shards_of_fixed_text_never_change_silently(make_tokens: Callable[..., Artifact]) -> None:
    golden = "d1e98cc2e602f2029689af548ea389071bb513898d86dc0e3a3bd5386c48b9de"
    assert make_tokens(SIZES).digest == golden, "raise shards.REVISION, then this digest"


def test_ids_are_two_bytes_where_the_vocabulary_allows() -> None:
    assert [dtype_for(n) for n in (32_000, 65_536, 65_537)] == ["uint16", "uint16", "int32"]
    assert index([3, 2], "int32")[17] == 4
    assert np.frombuffer(index([3, 2], "int32"), "<i8", 2, 34 + 8).tolist() == [0, 12]


@given(sizes=st.lists(st.sampled_from([1, 1000, PAGE_BYTES - 1, PAGE_BYTES, PAGE_BYTES + 1]), max_size=4))
@settings(max_examples=15, deadline=None)
def test_page_digests_do_not_depend_on_how_the_stream_is_cut(sizes: list[int]) -> None:
    data = bytes(sum(sizes))
    pages = PageDigests()
    for size in sizes:
        pages.update(bytes(size))
    expected = [data[i : i + PAGE_BYTES] for i in range(0, len(data), PAGE_BYTES)]
    assert pages.hexdigests() == [hashlib.sha256(page).hexdigest() for page in expected]


@pytest.mark.parametrize("dtype", ["uint16", "int32"])
def test_a_reader_gives_ids_across_pages(
    store: Store, reader_of: Callable[..., PageReader], dtype: str
) -> None:
    ids = (np.arange(5_000_000) % 50_021).astype(dtype)
    tokens, _shard = make_shard(store, ids)
    reader = reader_of(tokens, pages=2)
    page = PAGE_BYTES // ids.dtype.itemsize
    for start, count in [(0, 10), (page - 3, 7), (2 * page - 1, 1), (len(ids) - 5, 5), (0, len(ids))]:
        found = reader.read(0, start, count, ids.dtype)
        assert found.dtype == np.int64
        assert (found == ids[start : start + count]).all()


@pytest.mark.parametrize("damage", ["a changed byte", "a cut end"])
def test_a_damaged_page_is_named_and_others_are_still_read(
    store: Store, reader_of: Callable[..., PageReader], damage: str
) -> None:
    ids = (np.arange(5_000_000) % 50_021).astype(np.uint16)
    tokens, shard = make_shard(store, ids)
    path = Path(tokens.store.path(shard.object(".bin").name))
    data = bytearray(path.read_bytes())
    if damage == "a changed byte":
        data[PAGE_BYTES + 77] ^= 1
    else:
        del data[2 * PAGE_BYTES - 1 :]
    path.write_bytes(data)

    reader = reader_of(tokens)
    with pytest.raises(DamagedError, match=r"web.a.bin is damaged in page 1 \(bytes 4194304 to 8388608\)"):
        reader.read(0, PAGE_BYTES // 2 - 3, 10, ids.dtype)  # begins in page 0
    with pytest.raises(DamagedError):
        reader.read(0, PAGE_BYTES // 2, 10, ids.dtype)  # not kept after a failure
    assert (reader.read(0, 0, 1000, ids.dtype) == ids[:1000]).all()


def test_a_lost_object_is_named(store: Store, reader_of: Callable[..., PageReader]) -> None:
    tokens, shard = make_shard(store, np.arange(1000, dtype=np.uint16))
    tokens.store.delete([shard.object(".bin").name])
    with pytest.raises(DamagedError, match=r"web.a.bin is damaged in page 0 \(bytes 0 to 2000\)"):
        reader_of(tokens).read(0, 0, 10, np.dtype(np.uint16))


HOSTILE: dict[str, Callable[[Shard], Shard]] = {
    "a dtype of objects": lambda s: replace(s, facts=s.facts | {"dtype": "object"}),
    "a wide dtype": lambda s: replace(s, facts=s.facts | {"dtype": "float64"}),
    "a dtype of many": lambda s: replace(s, facts=s.facts | {"dtype": "1000000000u2"}),
    "another dtype": lambda s: replace(s, facts=s.facts | {"dtype": "int32"}),
    "no pages": lambda s: replace(s, facts=s.facts | {"pages": []}),
    "pages of numbers": lambda s: replace(s, facts=s.facts | {"pages": [1]}),
    "a page more": lambda s: replace(s, facts=s.facts | {"pages": s.facts["pages"] * 2}),
    "no facts": lambda s: replace(s, facts={}),
    "no source": lambda s: replace(s, facts={k: v for k, v in s.facts.items() if k != "source"}),
    "more tokens": lambda s: replace(s, counts={"tokens": 10**15}),
    "fewer tokens": lambda s: replace(s, counts={"tokens": -5}),
    "half a token": lambda s: replace(s, objects=tuple(replace(o, size=o.size - 1) for o in s.objects)),
    "no ids": lambda s: replace(s, objects=()),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_facts_that_do_not_fit_a_shard_are_refused_before_it_is_read(
    store: Store, reader_of: Callable[..., PageReader], name: str
) -> None:
    ids = np.arange(1001, dtype=np.uint16)
    reader_of(make_shard(store.at("sound"), ids)[0]).read(0, 0, 1001, ids.dtype)
    with pytest.raises(DamagedError, match=r"shard web\.a"):
        tokens, _ = make_shard(store.at("hostile"), ids, HOSTILE[name])
        tokens.store.delete([entry.name for entry in tokens.shards[0].objects])  # not asked for
        reader_of(tokens).read(0, 0, 1001, ids.dtype)


@pytest.mark.parametrize("name", ["a dtype of objects", "no facts", "no source"])
def test_places_of_a_shard_without_source_or_dtype_are_refused(store: Store, name: str) -> None:
    tokens, _ = make_shard(store, np.arange(1001, dtype=np.uint16), HOSTILE[name])
    with pytest.raises(DamagedError, match=r"shard web\.a"):
        Places(tokens, ["web"], 32)


@pytest.mark.parametrize(("dtype", "wrong"), [("uint16", 300), ("int32", 300), ("int32", -1)])
def test_an_id_that_no_model_has_a_row_for_is_damage(
    store: Store, reader_of: Callable[..., PageReader], dtype: str, wrong: int
) -> None:
    ids = np.arange(299).astype(dtype)
    ids[7] = wrong
    tokens, _shard = make_shard(store, ids)
    with pytest.raises(DamagedError, match="page 0 has an id that is no token's"):
        reader_of(tokens, n_words=300).read(0, 100, 5, ids.dtype)
    assert reader_of(tokens).read(0, 7, 1, ids.dtype) == [wrong]
