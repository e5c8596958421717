"""Training of the tokenizer: SentencePiece BPE like LLaMA's released one, on a sample of the corpus.

The flags are those in the released model's own proto (32,000 pieces, digits split, byte fallback, identity
normalisation, whitespace kept). The released model also gives whitespace-only pieces the score -1e9,
which no flag does: without that step the same flags segment differently.

SentencePiece's own sampling differs from run to run. The sample is drawn here, by keyed hash of the
document's id, and the trainer sees all of it.
"""

import heapq
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import fsspec
import sentencepiece
import xxhash
from fsspec.implementations.local import LocalFileSystem
from sentencepiece.sentencepiece_model_pb2 import ModelProto  # type: ignore[attr-defined]

from llama_core import recipe
from llama_core.artifact import Shard
from llama_core.corpus.training_text import TrainingText
from llama_core.errors import DamagedError, InputError, RecipeError
from llama_core.parse import MOST_BYTES
from llama_core.protocols.local_disk import open_regular
from llama_core.step import Step
from llama_core.tokenizer.model import MODEL, Tokenizer
from llama_core.tokenizer.report import Text, comparison, is_whitespace, report

REVISION = 1
MAX_LINE = 4192  # bytes of a line; the trainer would skip a longer one
READ_AT_MOST = 16  # times a source's part of the sample: once the shards read hold so much, no more are read
DEMOTED = -1e9  # the score of whitespace-only pieces

FLAGS: dict[str, Any] = {
    "model_type": "bpe",
    "max_sentence_length": MAX_LINE,
    "max_sentencepiece_length": 16,
    "seed_sentencepiece_size": 1_000_000,
    "num_sub_iterations": 2,
    "split_by_unicode_script": True,
    "split_by_whitespace": True,
    "split_by_number": True,
    "split_digits": True,
    "treat_whitespace_as_suffix": False,
    "allow_whitespace_only_pieces": True,
    "byte_fallback": True,
    "hard_vocab_limit": True,
    "vocabulary_output_piece_score": True,
    "unk_id": 0,
    "bos_id": 1,
    "eos_id": 2,
    "pad_id": -1,
    "unk_surface": " ⁇ ",
    "normalization_rule_name": "identity",
    "add_dummy_prefix": True,
    "remove_extra_whitespaces": False,
}


def train_tokenizer(
    step: Step, text: TrainingText, cfg: recipe.TokenizerSection, mixture: Mapping[str, float]
) -> None:
    """Train on a sample of the training text, and commit the shard `tokenizer`.

    Raises RecipeError where the sample does not support `tokenizer.vocab_size`, InputError where
    there is no text.
    """
    samples = {
        source: draw(text, source, int(share * cfg.sample_bytes), cfg.seed)
        for source, share in sorted(mixture.items())
        if share > 0
    }
    if not any(sample.texts for sample in samples.values()):
        raise InputError(f"{text.corpus.url} holds no training text for the sources {', '.join(samples)}")
    other = _read_other(cfg.compare_with) if cfg.compare_with else None
    tokenizer = Tokenizer(_train((line for sample in samples.values() for line in sample.lines()), cfg))
    with step.shard("tokenizer") as shard:
        shard.publish_bytes(MODEL, tokenizer.model)
        shard.digest = tokenizer.digest
        shard.facts = {
            "vocab": tokenizer.n_words,
            "whitespace_pieces": sum(map(is_whitespace, tokenizer.segmentation.pieces)),
            "sample": {source: sample.facts() for source, sample in samples.items()},
            **report(tokenizer.segmentation, _texts(samples)),
        }
        if other is not None:
            theirs = comparison(tokenizer.segmentation, other.segmentation, _texts(samples))
            shard.facts["compared_with"] = {cfg.compare_with: theirs}


def check_other(cfg: recipe.TokenizerSection) -> None:
    """Check that the model to compare with can be read. Raises InputError."""
    if cfg.compare_with:
        _read_other(cfg.compare_with)


def _texts(samples: Mapping[str, "Sample"]) -> Iterator[Text]:
    for source, sample in samples.items():
        for text, language in zip(sample.texts, sample.languages, strict=True):
            yield Text(source, language, text)


@dataclass
class Sample:
    """The texts that are drawn from one source, in the order of their keyed hashes."""

    texts: list[str]
    """The texts, of which the last is cut where the sample is full."""
    languages: list[str] = field(default_factory=list)
    """The language of each text; empty where it is not known."""
    n_lines: int = 0
    """The number of lines, counted by `lines`."""
    n_long_lines: int = 0
    """The number of lines that are longer than MAX_LINE, counted by `lines`."""

    def lines(self) -> Iterator[str]:
        """Yield what the trainer sees: all lines that are not empty, as they are, but long ones in parts."""
        self.n_lines = self.n_long_lines = 0
        for text in self.texts:
            for line in filter(None, text.split("\n")):
                self.n_lines += 1
                if len(line.encode()) > MAX_LINE:
                    self.n_long_lines += 1
                yield from split_line(line)

    def facts(self) -> dict[str, int]:
        """Return the sizes of the sample, once `lines` has counted them."""
        return {
            "documents": len(self.texts),
            "bytes": sum(len(text.encode()) for text in self.texts),
            "lines": self.n_lines,
            "long_lines": self.n_long_lines,
        }


def draw(text: TrainingText, source: str, quota: int, seed: int) -> Sample:
    """Draw the documents of `source` with the smallest keyed hashes: `quota` bytes, or all there are.

    The sample does not depend on the order of reading. Memory holds the sample and one document.
    """
    heap: list[tuple[int, str, str, str]] = []  # (negated hash, id, text, language): the largest hash first
    total = 0
    for shard in _shards_to_read(text, source, quota, seed):
        for document in text.read(shard.name):
            key = xxhash.xxh3_64_intdigest(document.id.encode(), seed=seed)
            if total >= quota and key >= -heap[0][0]:
                continue
            heapq.heappush(heap, (-key, document.id, document.text, document.language))
            total += len(document.text.encode())
            while total - (largest := len(heap[0][2].encode())) >= quota:
                heapq.heappop(heap)
                total -= largest
    heap.sort(key=lambda entry: (-entry[0], entry[1]))
    texts = [text for _, _, text, _ in heap]
    if total > quota:
        kept = len(texts[-1].encode()) - (total - quota)
        texts[-1] = texts[-1].encode()[:kept].decode(errors="ignore")
    return Sample(texts, [language for *_, language in heap])


def split_line(line: str) -> Iterator[str]:
    """Yield the parts of a line, of at most MAX_LINE bytes each, cut between characters."""
    data = line.encode()
    start = 0
    while len(data) - start > MAX_LINE:
        end = start + MAX_LINE
        while data[end] & 0xC0 == 0x80:  # inside a character
            end -= 1
        yield data[start:end].decode()
        start = end
    yield data[start:].decode()


def _shards_to_read(text: TrainingText, source: str, quota: int, seed: int) -> Iterator[Shard]:
    """Yield shards in the order of their keyed hashes, until they hold enough to draw from."""
    shards = [s for s in text.shards if s.facts["source"] == source]
    read = 0
    for shard in sorted(shards, key=lambda s: (xxhash.xxh3_64_intdigest(s.name.encode(), seed=seed), s.name)):
        if read >= READ_AT_MOST * quota:
            return
        read += shard.counts["bytes.train"]
        yield shard


def _train(lines: Iterator[str], cfg: recipe.TokenizerSection) -> bytes:
    """Return the bytes of the model file, with whitespace demoted and without traces of how it was made."""
    model_file = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=lines,
            model_writer=model_file,
            vocab_size=cfg.vocab_size,
            character_coverage=cfg.character_coverage,
            num_threads=cfg.threads,
            input_sentence_size=0,
            shuffle_input_sentence=False,
            minloglevel=3,
            **FLAGS,
        )
    except RuntimeError as error:
        raise _explain(error, cfg) from error
    model = ModelProto.FromString(model_file.getvalue())
    for piece in model.pieces:
        if is_whitespace(piece.piece):
            piece.score = DEMOTED
    for trace in ("input", "model_prefix", "num_threads"):
        model.trainer_spec.ClearField(trace)
    return model.SerializeToString(deterministic=True)


def _explain(error: RuntimeError, cfg: recipe.TokenizerSection) -> Exception:
    """Return the error that tells a user what an error of SentencePiece's trainer means."""
    message = str(error)
    if found := re.search(r"Vocabulary size too high.*<= (\d+)", message, re.DOTALL):
        return RecipeError(
            f"tokenizer.vocab_size is {cfg.vocab_size}, but this text supports {found[1]} at most: "
            f"lower it, or give more text (tokenizer.sample_bytes, corpus.sources)"
        )
    if found := re.search(r"smaller than required_chars[^\d]*\d+ vs (\d+)", message):
        return RecipeError(
            f"tokenizer.vocab_size is {cfg.vocab_size}, but the characters of this text alone need "
            f"{found[1]}: raise it, or lower tokenizer.character_coverage ({cfg.character_coverage:g})"
        )
    return InputError(f"SentencePiece cannot train on this text: {message.strip()}")


def _read_other(url: str) -> Tokenizer:
    """Read another SentencePiece model. Raises InputError where there is none at this URL."""
    key = f"tokenizer.compare_with: {url}"
    try:
        fs, path = fsspec.url_to_fs(url)
        local = isinstance(fs, LocalFileSystem)
        with open_regular(path) if local else fs.open(path, "rb") as file:
            return Tokenizer(file.read(MOST_BYTES), key)
    except (OSError, ValueError, ImportError, DamagedError) as error:
        raise InputError(f"{key} is no SentencePiece model: {error}") from error
