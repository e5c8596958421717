"""What one text by itself decides: its language, the published filters, and personal data to be masked."""

from collections import Counter
from functools import partial

from llama_core.corpus.clean import language
from llama_core.corpus.clean.decide import decide_shard
from llama_core.corpus.decisions import Decision, Documents, apply_cuts, compose
from llama_core.corpus.document import Document
from llama_core.corpus.quality import judge, pii
from llama_core.corpus.recipe import Clean
from llama_core.phases import Plan, one_phase
from llama_core.step import Step

REVISION = 1


def plan(step: Step, documents: Documents, cfg: Clean) -> Plan:
    names = {shard.name: shard.name for shard in documents.shards}
    return one_phase(names, partial(_decide_shard, step, documents, cfg), "decisions")


def _decide_shard(step: Step, documents: Documents, cfg: Clean, name: str) -> None:
    identifier = language.Identifier(cfg.language) if cfg.language else None
    tally: Counter[str] = Counter()
    decide_shard(step, documents, name, partial(decide, cfg=cfg, identifier=identifier, tally=tally), tally)


def decide(
    document: Document, cfg: Clean, identifier: language.Identifier | None, tally: Counter[str]
) -> Decision:
    """Language first, then the filters on what is kept, then masks in what they left.

    Tallies `language.<code>` or `language.unsure` of every document, and `masks.<kind>`.
    """
    decision = Decision(document.id)
    text = document.text
    if identifier is not None:
        assert cfg.language is not None
        code, score = identifier.identify(text)
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
