"""Run datatrove's near-dedup over Parquet files, for `benchmarks.dedup`, in a Python that has datatrove.

    python -P benchmarks/dedup_datatrove.py FOLDER SCRATCH

FOLDER holds `00000.parquet` and so on with columns `id` and `text`. Signatures, buckets and clusters are
made by one process; the last stage, which only copies the documents that stay, is left out. The output is
JSON.
"""

import importlib.metadata
import json
import re
import sys
import time
from pathlib import Path

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.readers import ParquetReader
from datatrove.utils.hashing import HashConfig
from datatrove.utils.word_tokenizers import WordTokenizer

WORD = re.compile(r"\w+")


class RegexWords(WordTokenizer):
    """A word tokenizer that is a regular expression: datatrove's default, spaCy, is five times slower."""

    def word_tokenize(self, text: str) -> list[str]:
        return WORD.findall(text)

    def sent_tokenize(self, text: str) -> list[str]:
        return [text]

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        return [(0, len(text))]


def main(folder: str, scratch: str) -> None:
    """Deduplicate the files of `folder`, and print CPU seconds, documents dropped and datatrove's version."""
    config = MinhashConfig(hash_config=HashConfig(hash_fc="xxhash", precision=64))
    files = len(list(Path(folder).glob("*.parquet")))
    signatures, buckets, removed = (f"{scratch}/{n}" for n in ("signatures", "buckets", "removed"))
    words = RegexWords()
    reader = ParquetReader(folder, glob_pattern="*.parquet", batch_size=1000)
    stages = [
        ([reader, MinhashDedupSignature(signatures, config, language=words)], files),
        ([MinhashDedupBuckets(signatures, buckets, config=config)], config.num_buckets),
        ([MinhashDedupCluster(buckets, removed, config=config)], 1),
    ]
    started = time.process_time()
    for number, (pipeline, tasks) in enumerate(stages):
        LocalPipelineExecutor(pipeline, tasks=tasks, workers=1, logging_dir=f"{scratch}/log{number}").run()
    seconds = time.process_time() - started
    dropped = sum(path.stat().st_size // 4 for path in Path(removed).glob("*.remove"))
    version = importlib.metadata.version("datatrove")
    print(json.dumps({"seconds": seconds, "dropped": dropped, "version": version}))


if __name__ == "__main__":
    main(*sys.argv[1:])
