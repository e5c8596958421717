"""What is held out of training: a pure function of the recipe and of a document's group."""

import hashlib

from llama_core.corpus.recipe import Corpus


def is_heldout(group: str | None, document_id: str, cfg: Corpus) -> bool:
    """Tell whether a document is held out: with its whole group (package), or by itself if it has none."""
    if group is not None and group in cfg.holdout:
        return True
    if not cfg.holdout_fraction:
        return False
    digest = hashlib.sha256(f"holdout\0{cfg.dedup.seed}\0{group or document_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < cfg.holdout_fraction * 2**64
