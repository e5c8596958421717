"""Dedup finds equal texts, near texts, and books within books among all sources, and writes decisions.

Text is read once. After that, the phases of `plan.py` work on rows that are partitioned by hash on the store:
a shard of a phase holds one piece of the documents or one partition of the keys in memory, whatever the size
of the corpus. `scratch.py` says what units, pieces, partitions and runs are.
"""
