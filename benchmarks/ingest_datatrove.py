"""Make clean documents of WET files with datatrove, for `benchmarks.ingest`, in a Python that has datatrove.

    python benchmarks/ingest_datatrove.py FOLDER SCRATCH MODEL MIN_SCORE WORDS

FOLDER holds `*.warc.wet.gz`; MODEL is the fastText model; WORDS is the word tokenizer: `spacy`, datatrove's
default, or `regex`. Duplicate lines are dropped (datatrove keeps the first copy), then come language,
Gopher's, C4's and FineWeb's filters with C4's published values, and the documents that stay are written as
Parquet. One process does all of it. The output is JSON.
"""

import importlib.metadata
import json
import re
import sys
import time
from pathlib import Path

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import SentenceDedupFilter, SentenceDedupSignature, SentenceFindDedups
from datatrove.pipeline.dedup.sentence_dedup import SentDedupConfig
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
    LanguageFilter,
)
from datatrove.pipeline.readers import WarcReader
from datatrove.pipeline.writers import ParquetWriter
from datatrove.utils import lid
from datatrove.utils.hashing import HashConfig
from datatrove.utils.word_tokenizers import WordTokenizer

WORD = re.compile(r"\w+|[^\w\s]+")
SENTENCE_END = re.compile(r"(?<=[.?!])\s+")


class RegexWords(WordTokenizer):
    """A word tokenizer that is a regular expression: the default, spaCy, takes most of the filters' time."""

    def word_tokenize(self, text: str) -> list[str]:
        return WORD.findall(text)

    def sent_tokenize(self, text: str) -> list[str]:
        return SENTENCE_END.split(text)

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        return [(0, len(text))]


def main(folder: str, scratch: str, model: str, min_score: str, words: str) -> None:
    """Clean the files of `folder`, and print CPU seconds, documents kept and datatrove's version."""
    language = RegexWords() if words == "regex" else "en"
    lines = SentDedupConfig(
        n_sentences=1,
        split_sentences=False,
        only_dedup_in_index=False,
        min_doc_words=0,
        min_num_sentences=0,
        hash_config=HashConfig(hash_fc="xxhash", precision=64),
    )
    files = len(list(Path(folder).glob("*.warc.wet.gz")))
    signatures, duplicates = f"{scratch}/signatures", f"{scratch}/duplicates"
    reader = WarcReader(folder, glob_pattern="*.warc.wet.gz")
    lid.cached_asset_path_or_download = lambda *_, **__: model
    identify = LanguageFilter(languages=["en"], language_threshold=float(min_score))
    filters = [
        GopherRepetitionFilter(language=language),
        GopherQualityFilter(language=language),
        C4QualityFilter(min_num_sentences=3, min_words_per_line=5, language=language),
        FineWebQualityFilter(language=language),
    ]
    stages = [
        ([reader, SentenceDedupSignature(signatures, config=lines, language=language)], files),
        ([SentenceFindDedups(signatures, duplicates, config=lines)], 1),
        (
            [
                reader,
                SentenceDedupFilter(duplicates, config=lines, language=language),
                identify,
                *filters,
                ParquetWriter(f"{scratch}/clean"),
            ],
            files,
        ),
    ]
    started = time.process_time()
    for number, (pipeline, tasks) in enumerate(stages):
        executor = LocalPipelineExecutor(
            pipeline, tasks=tasks, workers=1, logging_dir=f"{scratch}/log{number}"
        )
        stats = executor.run()
    seconds = time.process_time() - started
    # What the last filter passed on:
    kept = [s["forwarded"].total for s in stats.stats if "forwarded" in s.stats][-1]
    version = importlib.metadata.version("datatrove")
    print(json.dumps({"seconds": seconds, "kept": kept, "version": version}))


if __name__ == "__main__":
    main(*sys.argv[1:])
