"""A language model for each language, trained on openings of articles, as CCNet trains on Wikipedia's.

SentencePiece unigram pieces, and a 5-gram model over them as an ARPA file. The articles are drawn by keyed
hash, as many as the recipe's budget of bytes allows. It is trained by `ngrams` here or, where the recipe says
so, by KenLM's lmplz.
"""

import heapq
import io
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import sentencepiece as spm
import xxhash
import zstandard

from llama_core.artifact import Artifact
from llama_core.corpus.clean.ngram_model import Special, estimate, write_arpa
from llama_core.corpus.clean.normalize import normalized_lines
from llama_core.corpus.document import RowWriter
from llama_core.corpus.documents import Documents
from llama_core.corpus.recipe import LanguageModel
from llama_core.errors import InputError
from llama_core.phases import Phase, Plan
from llama_core.step import OpenShard, Step

REVISION = 1
SAMPLE = "sample."  # marks the scratch shards of the step
LMPLZ = "LMPLZ"  # environment variable: where the program is, if not on PATH
LMPLZ_MEMORY = "2G"
COVERAGE = 0.9995  # of characters by pieces, as CCNet has it
THREADS = 8  # fixed: the pieces depend on it

_LINES = 1 << 14  # encoded at a time
_SCHEMA = pa.schema([("priority", pa.uint64()), ("text", pa.string())])


class Drawn:
    """Texts by priority, the smallest first, as many as fit into `n` and `n_bytes`."""

    def __init__(self, n: int, n_bytes: int):
        self._n, self._n_bytes = n, n_bytes
        self._heap: list[tuple[int, str]] = []  # the largest priority first, negated
        self._size = 0
        self._limit = 1 << 64  # a priority that did not fit, and so nothing above it

    def add(self, priority: int, text: str) -> None:
        if priority >= self._limit:
            return
        heapq.heappush(self._heap, (-priority, text))
        self._size += len(text.encode())
        while self._size > self._n_bytes or len(self._heap) > self._n:
            lost, out = heapq.heappop(self._heap)
            self._size -= len(out.encode())
            self._limit = -lost

    def in_order(self) -> list[tuple[int, str]]:
        return sorted((-priority, text) for priority, text in self._heap)


def plan(step: Step, documents: Documents, languages: Sequence[str], cfg: LanguageModel) -> Plan:
    """Samples of each ingest shard, then a shard for each language, named by it."""
    samples = {SAMPLE + shard.name: shard.name for shard in documents.shards}
    yield Phase("samples", samples, partial(_sample_shard, step, documents, languages, cfg))
    train = partial(_train_shard, step, list(samples), cfg)
    yield Phase("languages", {language: language for language in languages}, train)
    return {"shards": list(languages)}


def _sample_shard(
    step: Step, documents: Documents, languages: Sequence[str], cfg: LanguageModel, name: str
) -> None:
    drawn = {language: Drawn(cfg.articles, cfg.train_bytes) for language in languages}
    for document in documents.read(name):
        if document.language in drawn:
            lines = normalized_lines(_opening(document.text, cfg.opening_chars))
            priority = xxhash.xxh3_64_intdigest(document.id.encode(), seed=cfg.seed)
            drawn[document.language].add(priority, "\n".join(lines))
    with step.shard(SAMPLE + name) as out:
        for language, texts in drawn.items():
            with (
                out.publish(f"{SAMPLE}{name}/{language}.parquet") as writer,
                RowWriter(writer, _SCHEMA) as rows,
            ):
                for row in texts.in_order():
                    rows.append(row)


def _opening(text: str, n_chars: int) -> str:
    """Whole lines from the start, until there are so many characters."""
    end = text.find("\n", n_chars)
    return text if end < 0 else text[:end]


def _train_shard(step: Step, samples: list[str], cfg: LanguageModel, language: str) -> None:
    """Commit `<language>/pieces.model` and `<language>/ngrams.arpa.zst`. Raises InputError."""
    drawn = Drawn(cfg.articles, cfg.train_bytes)
    for shard in step.committed_shards(samples):
        entry = shard.object(f"/{language}.parquet")
        data = step.folder.read(entry.name, expect=entry)
        for row in pq.read_table(pa.BufferReader(data)).to_pylist():
            drawn.add(row["priority"], row["text"])
    texts = [text for _, text in drawn.in_order()]
    lines = [line for text in texts for line in text.split("\n") if line]
    if not lines:
        raise InputError(
            f"there is no text in {language!r} to train a language model on: take {language} out of "
            "clean.language.keep, or add it to the source that clean.perplexity.train_on names"
        )
    with step.shard(language) as out:
        out.counts.update(articles=len(texts), lines=len(lines), bytes=sum(len(x.encode()) for x in lines))
        model = _train_pieces(lines, cfg, language)
        out.publish_bytes(f"{language}/pieces.model", model)
        pieces = spm.SentencePieceProcessor(model_proto=model)
        out.facts |= {"pieces": pieces.vocab_size()}
        with tempfile.TemporaryDirectory(prefix="llama-lm-") as folder:
            arpa = Path(folder) / "model.arpa"
            if cfg.trainer == "lmplz":
                _run_lmplz(lines, pieces, cfg.order, Path(folder), arpa)
            else:
                _count(lines, pieces, cfg.order, arpa)
            _publish(out, f"{language}/ngrams.arpa.zst", arpa)


def _train_pieces(lines: list[str], cfg: LanguageModel, language: str) -> bytes:
    model = io.BytesIO()
    try:
        spm.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=model,
            model_type="unigram",
            vocab_size=cfg.vocab_size,
            hard_vocab_limit=False,  # a small Wikipedia has fewer
            character_coverage=COVERAGE,
            num_threads=THREADS,
            minloglevel=2,
        )
    except (RuntimeError, OSError) as error:
        raise InputError(
            f"there is too little text in {language!r} to train a language model on: {len(lines)} lines"
        ) from error
    return model.getvalue()


def _count(lines: list[str], pieces: spm.SentencePieceProcessor, order: int, arpa: Path) -> None:
    special = Special(pieces.bos_id(), pieces.eos_id(), pieces.unk_id())
    found: list[np.ndarray] = []
    for start in range(0, len(lines), _LINES):
        batch = pieces.encode(lines[start : start + _LINES], add_bos=True, add_eos=True, num_threads=1)
        found += (np.array(ids, np.int32) for ids in batch)
    n_words = pieces.vocab_size()
    orders = estimate(np.concatenate(found).astype(np.int64), n_words, order, special)
    with arpa.open("wb") as file:
        write_arpa(file, orders, [pieces.id_to_piece(i) for i in range(n_words)], special)


def find_lmplz() -> str:
    """The path of KenLM's program. Raises InputError where there is none."""
    program = shutil.which(os.environ.get(LMPLZ) or "lmplz")
    if program is None:
        raise InputError(
            f"clean.perplexity.trainer is lmplz, which is not on PATH: build KenLM and set {LMPLZ}, "
            "or take `counts`"
        )
    return program


def _run_lmplz(
    lines: list[str], pieces: spm.SentencePieceProcessor, order: int, folder: Path, arpa: Path
) -> None:
    text = folder / "pieces.txt"
    with text.open("w") as file:
        for line in lines:
            file.write(" ".join(pieces.encode(line, out_type=str)) + "\n")
    command = [find_lmplz(), "-o", str(order), "--discount_fallback", "--skip_symbols", "-S", LMPLZ_MEMORY]
    command += ["-T", str(folder), "--text", str(text), "--arpa", str(arpa)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"lmplz failed: {done.stderr.strip()[-500:]}")


def _publish(out: OpenShard, name: str, path: Path) -> None:
    with path.open("rb") as file, out.publish(name) as writer:
        zstandard.ZstdCompressor(level=3).copy_stream(file, writer)  # type: ignore[arg-type]


class LineScorer:
    """The perplexity of texts in one language."""

    def __init__(self, pieces: spm.SentencePieceProcessor, ngrams: Any):
        self._pieces, self._ngrams = pieces, ngrams

    def perplexity(self, text: str) -> float:
        """10 to the mean surprise of a piece, each line's end being one; infinite without lines."""
        score, length = 0.0, 0
        for pieces in self._pieces.encode(normalized_lines(text), out_type=str, num_threads=1):
            score -= self._ngrams.score(" ".join(pieces))
            length += len(pieces) + 1
        return 10 ** (score / length) if length else float("inf")


_held: dict[tuple[str, str, str], LineScorer] = {}  # the last one of this process: it takes a while to load


def scorer(models: Artifact, language: str) -> LineScorer:
    """The last one is held, and no other: a model of the default size takes most of a GB of memory.

    Raises InputError where KenLM is missing, DamagedError.
    """
    key = (models.url, models.digest, language)
    if key not in _held:
        _held.clear()
        _held[key] = _load(models, language)
    return _held[key]


def _load(models: Artifact, language: str) -> LineScorer:
    try:
        import kenlm
    except ModuleNotFoundError as error:
        raise InputError("perplexity needs KenLM: pip install 'llama-pretrain[perplexity]'") from error
    shard = models.shard(language)
    pieces = spm.SentencePieceProcessor(model_proto=models.read(shard.object("/pieces.model")))
    entry = shard.object("/ngrams.arpa.zst")
    with tempfile.NamedTemporaryFile(prefix="llama-lm-", suffix=".arpa") as file:
        with models.store.checked(entry.name, entry) as packed:
            zstandard.ZstdDecompressor().copy_stream(packed, file)
        file.flush()
        config = kenlm.Config()
        config.show_progress = False
        config.arpa_complain = kenlm.ARPALoadComplain.NONE
        return LineScorer(pieces, kenlm.Model(file.name, config))
