"""Lines that a group of shards holds twice."""

import hashlib
import random
import re
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import numpy as np
import pytest
from corpus.helpers import texts_of
from hypothesis import given
from hypothesis import strategies as st

from llama_core.artifact import Artifact, Shard
from llama_core.corpus.clean import lines
from llama_core.corpus.clean.recipe import Lines
from llama_core.corpus.decisions import apply_cuts, read_decisions
from llama_core.corpus.documents import Documents
from llama_core.phases import Phase, in_turn
from llama_core.step import Step
from llama_core.store import Store

PUNCTUATION = "，。、„”“«»１」「《》´∶：？！（）；–—．～’…━〈〉【】％►"
CONTROLS = "".join(map(chr, [*range(32), *range(127, 160)]))
REMOVED = re.compile(f"[{re.escape(PUNCTUATION + CONTROLS)}]")


def normalized(line: str) -> str:
    """Line by line and character by character, as the rule is written down."""
    return REMOVED.sub("", re.sub(r"\d", "0", line.strip().lower()))


def key(line: str) -> int:
    return int.from_bytes(hashlib.sha1(normalized(line).encode()).digest()[:8], "little")


def clean(documents: Documents, decide: Callable[..., Artifact], min_chars: int = 1, **cfg: int) -> Artifact:
    return decide(documents, lambda step, d: lines.plan(step, d, Lines(**cfg), min_chars))


@given(st.lists(st.text(st.sampled_from("aÉİßΣ 1٣１,.«…\t\x1c\x85\xa0\x7f\u2003"), max_size=8)))
def test_the_key_of_a_line_is_ccnets(rows: list[str]) -> None:
    rows = [row.replace("\n", "") for row in rows] or [""]
    assert lines.line_keys("\n".join(rows)).tolist() == [key(row) for row in rows]


def test_case_digits_and_typographic_punctuation_do_not_tell_lines_apart_but_accents_and_commas_do() -> None:
    a, b, accent, comma = lines.line_keys("  «Call 555-1234» \ncall 999-0000\ncâll 999-0000\ncall, 999-0000")
    assert a == b
    assert len({int(a), int(accent), int(comma)}) == 3


@given(st.lists(st.lists(st.integers(0, 5), max_size=8)), st.integers(0, 10))
def test_the_keys_of_a_file_are_the_same_whenever_known_ones_are_let_go(
    parts: list[list[int]], held: int
) -> None:
    counted = Counter(key for part in parts for key in part)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "HELD", held)
        found = lines._twice_at_most(np.array(part, np.uint64) for part in parts)
    assert found.tolist() == [key for key in sorted(counted) for _ in range(min(2, counted[key]))]


def test_memory_is_that_of_the_different_lines_of_a_file(
    documents: Callable[..., Documents], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "HELD", 1 << 14)  # else 15 MB
    web = documents({"a": ["a\nb\nc\nd\n" * 1000 + str(i) for i in range(150)]})
    tracemalloc.start()
    lines._hash_shard(Step(store, "lines", 0, {}), web, {"a": 1}, "a")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 << 20, f"{peak >> 20} MB for 600,000 lines, of which five are different"


def test_every_copy_of_a_line_is_dropped_also_the_first_and_those_of_one_document(
    documents: Callable[..., Documents], decide: Callable[..., Artifact]
) -> None:
    web = documents(
        {
            "a": ["only here\nMenu 1\nalso only here", "twice in one\nunique\ntwice in one"],
            "b": ["menu 2\nanother line", "Menu 3"],
        }
    )
    decided = clean(web, decide)
    assert texts_of(web.after(decided)) == ["only here\nalso only here", "unique", "another line"]
    assert decided.counts == {
        "documents": 4,
        "kept": 3,
        "dropped.duplicate_lines": 1,
        "lines": 9,
        "lines.duplicate": 5,
        "bytes": len("only here\nalso only here" + "unique" + "another line"),
    }


def test_what_cutting_leaves_too_short_is_dropped_by_that_name(
    documents: Callable[..., Documents], decide: Callable[..., Artifact]
) -> None:
    web = documents({"a": ["x" * 20 + "\nmenu", "short\nmenu", "tiny"]})
    decided = clean(web, decide, min_chars=10)
    reasons = [d.reason for d in read_decisions(decided, "a")]
    assert reasons == ["", "too_short", ""]  # what was not cut is as long as it was


def test_lines_are_compared_inside_a_group_of_shards_and_not_beyond_it(
    documents: Callable[..., Documents], decide: Callable[..., Artifact]
) -> None:
    shards = {f"file-{i}": [f"menu\npage {'abcd'[i]}"] for i in range(4)}
    shards["file-3"] = ["menu of its own\npage d"]
    web = documents(shards)
    left = texts_of(web.after(clean(web, decide, shards=4, group_shards=2)))
    assert left == ["page a", "page b", "menu\npage c", "menu of its own\npage d"]


def test_the_files_of_a_crawl_are_dealt_into_shards_next_to_one_another_and_crawls_do_not_mix() -> None:
    def file(i: int, crawl: str) -> Shard:
        url = f"s3://commoncrawl/crawl-data/{crawl}/segments/1/wet/{i:05d}.warc.wet.gz"
        return Shard(f"{crawl.lower()}-{i:05d}", "", (), {}, {"url": url})

    files = [file(i, c) for c in ("CC-MAIN-2019-30", "CC-MAIN-2020-05") for i in range(10)]
    random.Random(1).shuffle(files)
    groups = lines.groups_of(files, Lines(shards=5, group_shards=2))
    numbers = [[int(name[-2:]) for name in group] for group in groups]
    assert numbers == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]] * 2
    assert all(len({name[:15] for name in group}) == 1 for group in groups)


def test_one_file_more_than_shards_loses_no_file() -> None:
    files = [Shard(f"f{i:04d}", "", (), {}, {}) for i in range(1601)]
    groups = lines.groups_of(files, Lines())
    assert len(groups) == 32
    assert [name for group in groups for name in group] == [f.name for f in files]


@pytest.mark.parametrize("keys", [lines.KEYS, 50], ids=["at once", "in passes"])
def test_a_crawl_is_cleaned_as_by_counting_all_its_lines(
    documents: Callable[..., Documents],
    decide: Callable[..., Artifact],
    monkeypatch: pytest.MonkeyPatch,
    keys: int,
) -> None:
    rng = random.Random(0)
    vocabulary = [f"line {chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(300)] + ["", " "]
    shards = {
        f"s{i}": ["\n".join(rng.choices(vocabulary, k=rng.randint(1, 5))) for _ in range(30)]
        for i in range(5)
    }
    web = documents(shards)
    monkeypatch.setattr(lines, "PARTITION_BYTES", 2000)  # several partitions
    monkeypatch.setattr(lines, "KEYS", keys)
    counts = Counter(normalized(x) for texts in shards.values() for t in texts for x in t.split("\n"))
    expected = [
        [x for x in t.split("\n") if counts[normalized(x)] == 1] for texts in shards.values() for t in texts
    ]
    decided = clean(web, decide)
    assert texts_of(web.after(decided)) == ["\n".join(kept) for kept in expected if "".join(kept)]
    assert decided.counts["dropped.duplicate_lines"] == sum(not "".join(kept) for kept in expected)


def test_order_of_work_and_partitions_do_not_change_a_byte(
    documents: Callable[..., Documents],
    decide: Callable[..., Artifact],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: object,
) -> None:
    web = documents(
        {f"s{i}": [f"menu\npage {chr(97 + i)}\nfoot {i % 2}" for _ in range(3)] for i in range(4)}
    )
    one = clean(web, decide)

    def backwards(phase: Phase, todo: list[str]) -> Iterable[str]:
        return in_turn(phase, todo[::-1])

    monkeypatch.setattr(lines, "PARTITION_BYTES", 10)
    plan = partial(lines.plan, cfg=Lines(), min_chars=1)
    two = decide(web, plan, backwards, Store(f"{tmp_path}/other"))
    assert one.digest == two.digest


def test_killed_after_any_shard_and_run_again_the_decisions_are_the_same(
    documents: Callable[..., Documents], decide: Callable[..., Artifact], tmp_path: object
) -> None:
    web = documents({f"s{i}": [f"menu\npage {chr(97 + i)}\nfoot {i % 2}"] for i in range(2)})
    plan = partial(lines.plan, cfg=Lines(), min_chars=1)
    whole = decide(web, plan)
    for survived in range(5):  # of two shards of keys, one of duplicates and two of decisions
        left = iter(range(survived))

        def dies(phase: Phase, todo: list[str], left: Iterator[int] = left) -> Iterable[str]:
            for name in todo:
                if next(left, None) is None:
                    raise KeyboardInterrupt
                yield from in_turn(phase, [name])

        store = Store(f"{tmp_path}/killed-{survived}")
        with pytest.raises(KeyboardInterrupt):
            decide(web, plan, dies, store)
        assert decide(web, plan, at=store).digest == whole.digest


@given(st.text("ab\n", min_size=1), st.data())
def test_cutting_lines_leaves_the_others(text: str, data: st.DataObject) -> None:
    rows = text.split("\n")
    dropped = data.draw(
        st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)).filter(lambda d: not all(d))
    )
    cuts = lines.cut_lines(text, np.array(dropped))
    assert apply_cuts(text, cuts) == "\n".join(
        row for row, is_out in zip(rows, dropped, strict=True) if not is_out
    )
