"""Dedup: equal texts, near texts, and books within books, among all sources, as decisions.

Text is read once. The plan is a chain of phases over hash-partitioned runs on the store: each of their shards
holds one piece of documents or one partition of keys in memory, whatever the size of the corpus.
"""

from llama_core.corpus.dedup.plan import REVISION, identity, plan

__all__ = ["REVISION", "identity", "plan"]
