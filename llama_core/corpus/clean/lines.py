"""Lines seen twice anywhere in a group of a crawl's shards are dropped, every copy (Wenzek et al. 2019).

Lines are normalised and hashed as CCNet's code does it. The first phase writes the keys of each ingest shard
in runs. The second finds the keys that were seen twice in one partition of a group, and writes them in a run
for each ingest shard that has them. The third decides on each ingest shard by the keys that were written for
it. So memory holds eight bytes for each different line of an ingest shard, and at most `KEYS` keys of a
partition at a time.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from llama_core.artifact import Shard, digest_of
from llama_core.corpus.clean.decide import decide_shard
from llama_core.corpus.clean.recipe import Lines
from llama_core.corpus.decisions import Cut, Decision
from llama_core.corpus.document import Document
from llama_core.corpus.documents import Documents
from llama_core.corpus.partition import FORMAT, KeyRuns, is_in, partition_of, publish_runs
from llama_core.phases import Phase, Plan
from llama_core.step import Step

REVISION = 1
PARTITION_BYTES = 2 << 30  # bytes of text for each partition of a group's keys
KEYS = 1 << 25  # keys of lines that are compared at a time
LAYOUT = digest_of([FORMAT, PARTITION_BYTES])[:6]  # scratch shards of another layout are not reused
HASHES, DUPLICATES = f"hashes-{LAYOUT}.", f"duplicates-{LAYOUT}."
HELD = 1 << 23  # keys, at least, that are collected before they are merged with those that are known

Keys = npt.NDArray[np.uint64]

_CRAWL = re.compile(r"CC-MAIN-\d{4}-\d{2}")
_PUNCTUATION = (
    "，。、„”“«»１」「《》´∶：？！（）；–—．～’…━〈〉【】％►"  # CCNet's, and no other: ASCII `,` and `.` stay
)
_DIGIT = re.compile(r"[^\D0-9]")
_REMOVED = re.compile(f"[{_PUNCTUATION}\x80-\x9f]")
_ASCII_DIGITS = bytes.maketrans(b"0123456789", b"0" * 10)
_ASCII_CONTROLS = bytes(i for i in (*range(32), 127) if i != ord("\n"))


def line_keys(text: str) -> Keys:
    """Return the first 8 bytes of the SHA-1 of each line, once it is normalised: uint64 (lines,).

    Lines are normalised as CCNet does it for dedup: white space at the ends, case, which digit it is (all
    become 0), its set of punctuation, and control characters do not count. Accents do.
    """
    text = "\n".join(map(str.strip, text.split("\n"))).lower()
    if not text.isascii():
        text = _REMOVED.sub("", _DIGIT.sub("0", text))
    lines = text.encode().translate(_ASCII_DIGITS, _ASCII_CONTROLS).split(b"\n")
    sha1 = hashlib.sha1
    return np.frombuffer(b"".join([sha1(line).digest()[:8] for line in lines]), "<u8")


def groups_of(shards: Iterable[Shard], cfg: Lines) -> list[list[str]]:
    """Return the groups of ingest shards, by name, whose lines are compared with one another.

    The ingest shards of each crawl, sorted by name, are divided into `cfg.shards` parts (or one for each, if
    they are fewer), and every `cfg.group_shards` parts next to one another are a group. A crawl is known by
    its name in the URL; ingest shards without one are one crawl together.
    """
    crawls: dict[str, list[str]] = {}
    for shard in sorted(shards, key=lambda s: s.name):
        found = _CRAWL.search(shard.facts.get("url", ""))
        crawls.setdefault(found[0] if found else "", []).append(shard.name)
    groups = []
    for _, names in sorted(crawls.items()):
        n = min(cfg.shards, len(names))
        bounds = [i * len(names) // n for i in range(n + 1)]
        starts = bounds[:-1][:: cfg.group_shards]
        groups += [names[a:b] for a, b in zip(starts, [*starts[1:], len(names)], strict=True)]
    return groups


@dataclass(frozen=True)
class Group:
    """Ingest shards whose lines are compared with one another."""

    number: int  # its place among all groups, which is in the names of its scratch shards
    shards: tuple[str, ...]  # names of ingest shards
    partitions: int  # how many partitions its keys are divided into

    def reduced(self) -> list[str]:
        """Return the names of the scratch shards with the group's duplicates, one for each partition."""
        return [f"{DUPLICATES}{self.number:05d}.{p:05d}" for p in range(self.partitions)]


def plan(step: Step, documents: Documents, cfg: Lines, min_chars: int) -> Plan:
    """Yield the phases: keys by ingest shard, duplicates by partition of a group, decisions by ingest shard.

    `min_chars`: a document that the cuts leave with fewer characters is dropped.
    """
    groups = _groups(documents, cfg)
    group_of = {name: group for group in groups for name in group.shards}
    names = {HASHES + name: name for name in group_of}
    partitions = {name: group.partitions for name, group in group_of.items()}
    yield Phase("lines", names, partial(_hash_shard, step, documents, partitions))

    reduced = {n: (n, group.number, p) for group in groups for p, n in enumerate(group.reduced())}
    hashed = _runs_by_group(step, groups, lambda group: [HASHES + name for name in group.shards])
    yield Phase("duplicates", reduced, partial(_duplicates_shard, step, hashed))

    decided = {n: (n, group.number, place) for group in groups for place, n in enumerate(group.shards)}
    found = _runs_by_group(step, groups, Group.reduced)
    yield Phase("decisions", decided, partial(_decide_shard, step, documents, found, min_chars))
    return {"shards": list(decided), "facts": {"groups": len(groups)}}


def _runs_by_group(step: Step, groups: list[Group], names: Callable[[Group], Iterable[str]]) -> list[KeyRuns]:
    return [KeyRuns.of(step, step.each_committed(names(group)), "keys", np.uint64) for group in groups]


def _groups(documents: Documents, cfg: Lines) -> list[Group]:
    sizes = {shard.name: shard.counts.get("bytes", 0) for shard in documents.shards}
    return [
        Group(number, tuple(names), 1 + sum(sizes[n] for n in names) // PARTITION_BYTES)
        for number, names in enumerate(groups_of(documents.shards, cfg))
    ]


def _hash_shard(step: Step, documents: Documents, partitions: Mapping[str, int], name: str) -> None:
    """Write the keys of an ingest shard: twice those that it has more than once, and once the others."""
    with step.shard(HASHES + name) as out:
        keys = _twice_at_most(line_keys(document.text) for document in documents.read(name))
        n = partitions[name]
        publish_runs(out, "keys", keys, partition_of(keys, n), n)


def _twice_at_most(parts: Iterable[Keys]) -> Keys:
    """Return all keys in order, each as often as it occurs, but at most twice."""
    held = np.empty(0, np.uint64)
    found: list[Keys] = []
    size = 0
    for keys in parts:
        found.append(keys)
        size += len(keys)
        if size > max(HELD, len(held)):
            held, found, size = _merged(held, found), [], 0
    return _merged(held, found)


def _merged(held: Keys, found: list[Keys]) -> Keys:
    keys, counts = np.unique(np.concatenate([held, *found]), return_counts=True)
    return np.repeat(keys, np.minimum(counts, 2))


def _duplicates_shard(step: Step, hashed: list[KeyRuns], argument: tuple[str, int, int]) -> None:
    """Write the keys of one partition of a group that were seen twice, in a run for each ingest shard.

    `argument`: the name of the scratch shard, the number of the group, the partition.
    """
    name, group, partition = argument
    runs = hashed[group]
    passes = 1 + runs.count(partition) // KEYS
    with step.shard(name) as out:
        for number in range(passes):
            twice = _seen_twice(np.concatenate([*_every(runs, partition, passes, number)]))
            own = [_members(keys, twice) for keys in _every(runs, partition, passes, number)]
            files = np.repeat(np.arange(len(own)), [len(found) for found in own])
            publish_runs(out, "keys", np.concatenate(own), files, len(own))


def _every(runs: KeyRuns, partition: int, passes: int, number: int) -> Iterator[Keys]:
    """Yield the keys of each ingest shard that are compared in one of the passes."""
    for keys in runs.each(partition):
        yield keys if passes == 1 else keys[keys % np.uint64(passes) == number]


def _seen_twice(keys: Keys) -> Keys:
    """Return the different keys that occur more than once, in order. Sorts `keys` in place."""
    keys.sort()
    twice = keys[1:][keys[1:] == keys[:-1]]
    return twice[np.append(True, twice[1:] != twice[:-1])] if len(twice) else twice


def _members(sorted_keys: Keys, of: Keys) -> Keys:
    """Return the different keys that are also in `of`. Both are sorted."""
    keys = np.unique(sorted_keys)
    return keys[is_in(keys, of)]


def _decide_shard(
    step: Step, documents: Documents, found: list[KeyRuns], min_chars: int, argument: tuple[str, int, int]
) -> None:
    """Decide on an ingest shard. `argument`: its name, the number of its group, its place in the group."""
    name, group, place = argument
    duplicates = np.sort(found[group].read(place))
    tally: Counter[str] = Counter()
    decided = ((d, _decide(d, duplicates, min_chars, tally)) for d in documents.read(name))
    decide_shard(step, name, decided, tally)


def _decide(document: Document, duplicates: Keys, min_chars: int, tally: Counter[str]) -> Decision:
    text = document.text
    is_dropped = is_in(line_keys(text), duplicates)
    n_dropped = int(np.count_nonzero(is_dropped))
    tally.update({"lines": len(is_dropped), "lines.duplicate": n_dropped})
    if not n_dropped:
        return Decision(document.id)
    evidence = {"lines": len(is_dropped), "duplicates": n_dropped}
    if n_dropped == len(is_dropped):
        return Decision(document.id, "duplicate_lines", evidence)
    cuts = cut_lines(text, is_dropped)
    left = len(text) - sum(cut.end - cut.start for cut in cuts)
    return Decision(document.id, "too_short" if left < min_chars else "", evidence, cuts)


def cut_lines(text: str, is_dropped: npt.NDArray[np.bool_]) -> list[Cut]:
    """Return the cuts that leave the other lines, with a line break between them.

    `is_dropped`: bool (lines,). At least one line must be left.
    """
    lengths = map(len, text.split("\n"))
    # Where each line starts, and one more after the end:
    starts = [*accumulate(lengths, lambda start, length: start + length + 1, initial=0)]
    padded = np.zeros(len(is_dropped) + 2, np.bool_)
    padded[1:-1] = is_dropped
    edges = np.flatnonzero(padded[1:] != padded[:-1]).tolist()
    cuts = []
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        start, end = starts[first], starts[last]
        if last == len(is_dropped):  # no line break follows, so the one before goes
            start, end = start - 1, len(text)
        cuts.append(Cut(start, end))
    return cuts
