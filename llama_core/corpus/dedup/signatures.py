"""Signatures of one ingest shard: what dedup needs to know of a document instead of its text."""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from llama_core.corpus.dedup.minhash import MinHash
from llama_core.corpus.document import read_documents
from llama_core.corpus.recipe import Dedup
from llama_core.step import Artifact, Step

SIGNATURES = "sig."  # marks the scratch shards of the dedup step
_BATCH = 4096  # documents signed before a row group is written


def signatures_shard(step: Step, source_name: str, ingested: Artifact, shard: str, cfg: Dedup) -> None:
    """Write shard `sig.<source>.<shard>`: id, url, sha256 of the text, its length in characters and its
    MinHash signature, in the order of the documents. Raises DamagedError."""
    name = f"{source_name}.{shard}"
    size = cfg.bands * cfg.rows
    schema = pa.schema(
        [
            ("id", pa.string()),
            ("url", pa.string()),
            ("sha256", pa.binary(32)),
            ("chars", pa.int64()),
            ("signature", pa.list_(pa.uint32(), size)),
        ]
    )
    minhash = MinHash(cfg)
    with (
        step.shard(SIGNATURES + name) as out,
        out.publish(f"{SIGNATURES}{name}/signatures.parquet") as writer,
        pq.ParquetWriter(writer, schema, compression="zstd", use_dictionary=False) as parquet,
    ):
        keys: list[tuple[str, str, bytes, int]] = []
        signed: list[np.ndarray] = []

        def flush() -> None:
            if not keys:
                return
            columns = [pa.array(c, type=f.type) for c, f in zip(zip(*keys, strict=True), schema)]
            values = pa.array(np.concatenate(signed))
            columns.append(pa.FixedSizeListArray.from_arrays(values, size))
            parquet.write_table(pa.Table.from_arrays(columns, schema=schema))
            keys.clear()
            signed.clear()

        for document in read_documents(ingested, shard):
            digest = hashlib.sha256(document.text.encode()).digest()
            keys.append((document.id, document.url, digest, len(document.text)))
            signed.append(minhash.sign(document.text))
            if len(keys) == _BATCH:
                flush()
        flush()
