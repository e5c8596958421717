"""Buckets of a language's documents by perplexity: head, middle and tail, after CCNet (Wenzek et al. 2019).

CCNet took its cut-offs from a file of percentiles of a crawl; here they are percentiles of the very documents
that are divided. Every shard writes its perplexities, to one decimal, in the order of its documents and in
runs by size. The exact percentiles come from the runs, with the different values of one partition in memory.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from llama_core.artifact import Artifact
from llama_core.corpus.clean.decide import decide_shard
from llama_core.corpus.clean.language_model import scorer
from llama_core.corpus.clean.recipe import Perplexity
from llama_core.corpus.decisions import Decision
from llama_core.corpus.document import Document
from llama_core.corpus.documents import Documents
from llama_core.corpus.partition import FORMAT, KeyRuns, publish_runs
from llama_core.phases import Phase, Plan
from llama_core.step import Step

REVISION = 1
SCORES, CUTOFFS = f"scores-{FORMAT}.", "cutoffs."  # begin the names of the step's scratch shards
PARTITIONS = 128  # four for each power of two that a uint32 can reach
_MOST = 2**32 - 1

Tenths = npt.NDArray[np.uint32]  # perplexities, times ten and rounded


def plan(step: Step, documents: Documents, models: Artifact, cfg: Perplexity) -> Plan:
    """Yield the phases: perplexities of each shard, cut-offs of each language, decisions of each shard.

    `models`: the language models, one for every language that a document may have.
    """
    names = [shard.name for shard in documents.shards]
    languages = [shard.name for shard in models.shards]
    scores = {SCORES + name: name for name in names}
    yield Phase("scores", scores, partial(_score_shard, step, documents, models, languages))

    cutoffs = {CUTOFFS + language: language for language in languages}
    yield Phase("cutoffs", cutoffs, partial(_cutoff_shard, step, list(scores), (cfg.head, cfg.middle)))

    found = {
        shard.name.removeprefix(CUTOFFS): shard.facts["tenths"] for shard in step.committed_shards(cutoffs)
    }
    yield Phase("decisions", {n: n for n in names}, partial(_decide_shard, step, documents, cfg, found))
    facts = {language: [cut / 10 for cut in cuts] for language, cuts in found.items() if cuts}
    return {"shards": names, "facts": {"cutoffs": facts}}


def _score_shard(
    step: Step, documents: Documents, models: Artifact, languages: Sequence[str], name: str
) -> None:
    """Commit the perplexities of a shard, language after language, so that only one model is in memory."""
    language_of = np.array([document.language for document in documents.read(name)], np.str_)
    tenths = np.zeros(len(language_of), np.uint32)
    for language in np.unique(language_of).tolist():
        model = scorer(models, language)
        for i, document in enumerate(documents.read(name)):
            if document.language == language:
                perplexity = model.perplexity(document.text)
                tenths[i] = _MOST if math.isinf(perplexity) else min(round(10 * perplexity), _MOST)
    with step.shard(SCORES + name) as out:
        out.publish_bytes(f"{SCORES}{name}/in_order", tenths.astype("<u4").tobytes())
        for language in languages:
            rows = np.sort(tenths[language_of == language])
            publish_runs(out, language, rows, _partition_of(rows), PARTITIONS)


def _partition_of(tenths: Tenths) -> npt.NDArray[np.int64]:
    """Return the partition of each value: its exponent and the two bits after its highest one.

    A larger value is never in a smaller partition.
    """
    mantissa, exponent = np.frexp(tenths.astype(np.float64))
    quarter = np.maximum((mantissa - 0.5) * 8, 0).astype(np.int64)
    return np.clip((exponent.astype(np.int64) - 1) * 4 + quarter, 0, PARTITIONS - 1)


def _cutoff_shard(step: Step, scores: list[str], shares: tuple[float, ...], language: str) -> None:
    runs = KeyRuns.of(step, step.each_committed(scores), language, np.uint32)
    with step.shard(CUTOFFS + language) as out:
        out.facts |= {"tenths": _percentiles(runs, shares)}


def _percentiles(runs: KeyRuns, shares: Sequence[float]) -> list[int]:
    """Return, for each share, the smallest value that at least this share of all values does not exceed.

    The list is empty where there are no values.
    """
    upto = [*accumulate(runs.count(p) for p in range(PARTITIONS))]
    found: list[int] = []
    for share in shares if upto[-1] else ():
        rank = max(1, math.ceil(share * upto[-1]))
        partition = next(p for p, n in enumerate(upto) if n >= rank)
        before = upto[partition - 1] if partition else 0
        values, counts = _tally(runs.each(partition))
        found.append(int(values[np.searchsorted(np.cumsum(counts), rank - before)]))
    return found


def _tally(parts: Iterable[Tenths]) -> tuple[Tenths, npt.NDArray[np.int64]]:
    """Return the different values in order, and how often each comes. They are few even in many documents."""
    values, counts = np.empty(0, np.uint32), np.empty(0, np.int64)
    for part in parts:
        new, times = np.unique(part, return_counts=True)
        values, where = np.unique(np.concatenate([values, new]), return_inverse=True)
        counts = np.bincount(where, np.concatenate([counts, times]), len(values)).astype(np.int64)
    return values, counts


def _decide_shard(
    step: Step, documents: Documents, cfg: Perplexity, cutoffs: Mapping[str, list[int]], name: str
) -> None:
    [scored] = step.committed_shards([SCORES + name])
    entry = scored.object("/in_order")
    tenths = iter(np.frombuffer(step.folder.read(entry.name, expect=entry), "<u4").tolist())
    tally: Counter[str] = Counter()

    def decide(document: Document) -> Decision:
        value = next(tenths)
        head, middle = cutoffs[document.language]
        bucket = "head" if value <= head else "middle" if value <= middle else "tail"
        tally[f"bucket.{bucket}"] += 1
        evidence = {"perplexity": value / 10, "bucket": bucket}
        return Decision(document.id, "" if bucket in cfg.keep else f"perplexity_{bucket}", evidence)

    decide_shard(step, name, ((d, decide(d)) for d in documents.read(name)), tally)
