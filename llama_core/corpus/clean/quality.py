"""Decisions that need only the text itself: by its language and the published filters, and personal data."""

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import repeat

from llama_core.corpus.clean import language
from llama_core.corpus.clean.decide import decide_shard
from llama_core.corpus.clean.filters import pii
from llama_core.corpus.clean.filters.judge import judge
from llama_core.corpus.clean.recipe import Clean
from llama_core.corpus.decisions import Decision, apply_cuts, compose
from llama_core.corpus.document import Document, batched
from llama_core.corpus.documents import Documents
from llama_core.phases import Plan, one_phase
from llama_core.step import Step

REVISION = 4
BATCH = 512  # documents whose language is identified together
BATCH_CHARS = 4 << 20  # characters of those documents, about


def plan(step: Step, documents: Documents, cfg: Clean) -> Plan:
    """Yield the one phase, which decides on each ingest shard."""
    names = {shard.name: shard.name for shard in documents.shards}
    return one_phase(names, partial(_decide_shard, step, documents, cfg), "decisions")


def _decide_shard(step: Step, documents: Documents, cfg: Clean, name: str) -> None:
    tally: Counter[str] = Counter()
    decide_shard(step, name, decide_all(documents.read(name), cfg, tally), tally)


def decide_all(
    documents: Iterable[Document], cfg: Clean, tally: Counter[str]
) -> Iterator[tuple[Document, Decision]]:
    """Yield each document with its decision. Languages are identified for some documents at a time."""
    identifier = language.Identifier(cfg.language) if cfg.language else None
    for batch in batched(documents, BATCH_CHARS, BATCH):
        found = identifier.identify([d.text for d in batch]) if identifier else repeat(None)
        for document, language_of_it in zip(batch, found):
            yield document, decide(document, language_of_it, cfg, tally)


def decide(
    document: Document, identified: tuple[str, float] | None, cfg: Clean, tally: Counter[str]
) -> Decision:
    """Decide by the language, then by the filters, and then mask personal data in the text that they leave.

    `identified`: the language and its score, or None if the recipe asks for no language. Counts in `tally`
    `language.<code>` or `language.unsure` for every document that has one, and `masks.<kind>` for each mask.
    """
    decision = Decision(document.id)
    text = document.text
    if identified is not None:
        assert cfg.language is not None
        code, score = identified
        is_sure = score >= cfg.language.min_score
        tally[f"language.{code if is_sure else 'unsure'}"] += 1
        decision.language = code if is_sure else ""
        decision.evidence = {"language": code, "score": round(score, 4)}
        decision.reason = language.reason(code, score, cfg.language)
        if decision.reason:
            return decision
    decision.reason, cuts = judge(text, cfg.filters)
    if decision.reason:
        return decision
    if cfg.pii.email or cfg.pii.ip:
        masks = pii.mask(apply_cuts(text, cuts), cfg.pii)
        tally.update("masks.email" if mask.put == pii.EMAIL_MASK else "masks.ip" for mask in masks)
        cuts = compose(cuts, masks)
    decision.cuts = cuts
    return decision
