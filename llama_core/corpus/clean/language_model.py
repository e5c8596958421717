"""A language model for each language, trained on openings of articles, as CCNet trains on Wikipedia's.

A model has SentencePiece unigram pieces, and n-grams of them in an ARPA file. The articles are drawn by keyed
hash, as many as the recipe's budget of bytes allows. KenLM scores the texts, but `ngram_model` trains the
n-grams: KenLM's own trainer, lmplz, gives the same probabilities, is no faster, and no package ships it.
"""

import heapq
import io
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import sentencepiece as spm
import xxhash
import zstandard

from llama_core.artifact import Artifact
from llama_core.corpus.clean.ngram_model import Special, estimate, write_arpa
from llama_core.corpus.clean.normalize import normalized_lines
from llama_core.corpus.clean.recipe import LanguageModel
from llama_core.corpus.document import RowWriter
from llama_core.corpus.documents import Documents
from llama_core.corpus.table import read_table
from llama_core.errors import InputError
from llama_core.parse import damaged
from llama_core.phases import Phase, Plan
from llama_core.step import OpenShard, Step

REVISION = 1
SAMPLE = "sample."  # begins the names of the step's scratch shards
COVERAGE = 0.9995  # share of the characters in the text that pieces must cover, as in CCNet
THREADS = 8  # never another number, because the pieces depend on it

ARPA = b"\\data\\\n"  # begins an n-gram model in text

_LINES = 1 << 14  # lines that are encoded at a time
_SCHEMA = pa.schema([("priority", pa.uint64()), ("text", pa.string())])


class Drawn:
    """The texts of the smallest priorities: at most `n`, which have at most `n_bytes` bytes together."""

    def __init__(self, n: int, n_bytes: int):
        self._n, self._n_bytes = n, n_bytes
        self._heap: list[tuple[int, str]] = []  # priorities are negated, so that the largest comes first
        self._size = 0
        self._limit = 1 << 64  # the smallest priority that did not fit; nothing from it on is taken

    def add(self, priority: int, text: str) -> None:
        """Take a text if it fits, and let those of the largest priorities go for which there is no room."""
        if priority >= self._limit:
            return
        heapq.heappush(self._heap, (-priority, text))
        self._size += len(text.encode())
        while self._size > self._n_bytes or len(self._heap) > self._n:
            lost, out = heapq.heappop(self._heap)
            self._size -= len(out.encode())
            self._limit = -lost

    def in_order(self) -> list[tuple[int, str]]:
        """Return each text with its priority, the smallest first."""
        return sorted((-priority, text) for priority, text in self._heap)


def plan(step: Step, documents: Documents, languages: Sequence[str], cfg: LanguageModel) -> Plan:
    """Yield the phases: a sample of each ingest shard, then a model of each language, in its own shard."""
    samples = {SAMPLE + shard.name: shard.name for shard in documents.shards}
    yield Phase("samples", samples, partial(_sample_shard, step, documents, languages, cfg))
    train = partial(_train_shard, step, list(samples), cfg)
    yield Phase("languages", {language: language for language in languages}, train)
    return {"shards": list(languages)}


def _sample_shard(
    step: Step, documents: Documents, languages: Sequence[str], cfg: LanguageModel, name: str
) -> None:
    """Commit the articles of an ingest shard that may be drawn, in a file for each language."""
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
    """Return whole lines from the start of a text, until there are at least `n_chars` characters."""
    end = text.find("\n", n_chars)
    return text if end < 0 else text[:end]


def _train_shard(step: Step, samples: list[str], cfg: LanguageModel, language: str) -> None:
    """Commit `<language>/pieces.model` and `<language>/ngrams.arpa.zst`.

    Raises InputError where there is no text in the language, or too little.
    """
    drawn = Drawn(cfg.articles, cfg.train_bytes)
    for shard in step.committed_shards(samples):
        entry = shard.object(f"/{language}.parquet")
        for row in read_table(step.folder, entry).to_pylist():
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
            _train_ngrams(lines, pieces, cfg.order, arpa)
            _publish(out, f"{language}/ngrams.arpa.zst", arpa)


def _train_pieces(lines: list[str], cfg: LanguageModel, language: str) -> bytes:
    """Return a SentencePiece model. Raises InputError where there is too little text."""
    model = io.BytesIO()
    try:
        spm.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=model,
            model_type="unigram",
            vocab_size=cfg.vocab_size,
            hard_vocab_limit=False,  # a small Wikipedia has fewer pieces
            character_coverage=COVERAGE,
            num_threads=THREADS,
            minloglevel=2,
        )
    except (RuntimeError, OSError) as error:
        raise InputError(
            f"there is too little text in {language!r} to train a language model on: {len(lines)} lines"
        ) from error
    return model.getvalue()


def _train_ngrams(lines: list[str], pieces: spm.SentencePieceProcessor, order: int, arpa: Path) -> None:
    """Write the n-gram model of the lines' pieces to the file `arpa`."""
    special = Special(pieces.bos_id(), pieces.eos_id(), pieces.unk_id())
    found: list[np.ndarray] = []
    for start in range(0, len(lines), _LINES):
        batch = pieces.encode(lines[start : start + _LINES], add_bos=True, add_eos=True, num_threads=1)
        found += (np.array(ids, np.int32) for ids in batch)
    n_words = pieces.vocab_size()
    orders = estimate(np.concatenate(found).astype(np.int64), n_words, order, special)
    with arpa.open("wb") as file:
        write_arpa(file, orders, [pieces.id_to_piece(i) for i in range(n_words)], special)


def _publish(out: OpenShard, name: str, path: Path) -> None:
    with path.open("rb") as file, out.publish(name) as writer:
        zstandard.ZstdCompressor(level=3).copy_stream(file, writer)  # type: ignore[arg-type]


class LineScorer:
    """The model of a language, which gives the perplexity of texts in it."""

    def __init__(self, pieces: spm.SentencePieceProcessor, ngrams: Any):
        self._pieces, self._ngrams = pieces, ngrams

    def perplexity(self, text: str) -> float:
        """Return 10 to the mean surprise (-log10 of the probability) of a piece: infinite without lines.

        The end of each line counts as a piece.
        """
        score, length = 0.0, 0
        for pieces in self._pieces.encode(normalized_lines(text), out_type=str, num_threads=1):
            score -= self._ngrams.score(" ".join(pieces))
            length += len(pieces) + 1
        return 10 ** (score / length) if length else float("inf")


_held: dict[tuple[str, str, str], LineScorer] = {}  # only the last one used, as it is slow to load


def scorer(models: Artifact, language: str) -> LineScorer:
    """Return the model of a language.

    Only the last one is held, since a model of the default size takes most of a GB of memory. Raises
    InputError where KenLM is missing, and DamagedError.
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
    of_pieces, entry = shard.object("/pieces.model"), shard.object("/ngrams.arpa.zst")
    try:
        pieces = spm.SentencePieceProcessor(model_proto=models.read(of_pieces))
    except RuntimeError as error:
        raise damaged(models.store.url_of(of_pieces.name), str(error)) from error
    with tempfile.NamedTemporaryFile(prefix="llama-lm-", suffix=".arpa") as file:
        try:
            with models.store.checked(entry.name, entry) as packed:
                zstandard.ZstdDecompressor().copy_stream(packed, file)
            file.seek(0)
            # KenLM maps a binary file of its own into memory as it is, and may crash by one.
            if file.read(len(ARPA)) != ARPA:
                raise ValueError("it is no ARPA file")
            config = kenlm.Config()
            config.show_progress = False
            config.arpa_complain = kenlm.ARPALoadComplain.NONE
            return LineScorer(pieces, kenlm.Model(file.name, config))
        except (zstandard.ZstdError, ValueError, RuntimeError, OSError) as error:
            if getattr(error, "errno", None):  # of a disk, and not of KenLM's
                raise
            raise damaged(models.store.url_of(entry.name), str(error)) from error
