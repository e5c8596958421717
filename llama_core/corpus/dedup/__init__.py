"""Dedup: exact and near-duplicates among all sources, as decisions; the text is not touched."""

from llama_core.corpus.dedup.decide import decide
from llama_core.corpus.dedup.signatures import SIGNATURES, signatures_shard

REVISION = 1

__all__ = ["REVISION", "SIGNATURES", "decide", "signatures_shard"]
