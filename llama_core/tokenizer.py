"""The tokenizer: SentencePiece BPE as LLaMA released it, and its training on a sample of the corpus.

Flags are those in the released model's own proto (32,000 pieces, digits split, byte fallback, identity
normalisation, whitespace kept). The released model also gives whitespace-only pieces the score -1e9,
which no flag does: without that step the same flags segment differently.

SentencePiece's own sampling differs from run to run. The sample is drawn here, by keyed hash of the
document's id, and the trainer sees all of it.
"""

import heapq
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import fsspec
import numpy as np
import sentencepiece
import xxhash
from numpy.typing import NDArray
from sentencepiece.sentencepiece_model_pb2 import ModelProto  # type: ignore[attr-defined]

from llama_core import recipe
from llama_core.corpus.decontaminate.plan import training_documents
from llama_core.errors import InputError, RecipeError
from llama_core.step import Artifact, Shard, Step, digest_of
from llama_core.tokenizer_report import Segmentation, Text, comparison, is_whitespace, report

REVISION = 1
MODEL = "tokenizer.model"
MAX_LINE = 4192  # bytes; the trainer would skip a longer one
READ_AT_MOST = 16  # times a source's part of the sample: of a larger corpus, only some shards are read
DEMOTED = -1e9

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


# "\u2581" is how SentencePiece writes a space.
COARSE = re.compile(r"[ \u2581]*(?:[^ \u2581\n]+|\n)|[ \u2581]+")
KEPT_CHUNK = 32  # characters; a longer one is hardly seen again
KEPT_CHUNKS = 1 << 19  # some 100 MB


class Tokenizer:
    """A trained model. `model`: the bytes of a SentencePiece model file.

    A batch is encoded by chunk, and chunks are remembered: most of a text has been seen before. The ids
    are SentencePiece's own, because where no piece would be cut no merge spans two chunks, so that a chunk
    is segmented alike whatever stands around it. A model whose pieces every way of cutting cuts, or with
    other rules of normalisation, encodes whole texts.
    """

    def __init__(self, model: bytes):
        self.model = model
        self._chunks: dict[str, bytes] = {}  # ids of a chunk, int32
        self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        self.n_words: int = self._processor.get_piece_size()
        self.bos_id: int = self._processor.bos_id()
        self.eos_id: int = self._processor.eos_id()
        self.pad_id: int = self._processor.pad_id()

    @classmethod
    def load(cls, artifact: Artifact) -> "Tokenizer":
        """The tokenizer of a finished step, with what this process remembers of it. Raises DamagedError."""
        return _tokenizer_of(artifact.read(artifact.shard("tokenizer").object(MODEL)))

    def encode(self, text: str, bos: bool = False, eos: bool = False) -> list[int]:
        return self._processor.encode(text, add_bos=bos, add_eos=eos)

    def encode_batch(self, texts: list[str], bos: bool = False, eos: bool = False) -> list[NDArray[np.int32]]:
        """The ids of each text, int32: what `encode` gives."""
        if self._cut is None:
            return self._processor.encode(texts, out_type="numpy", num_threads=1, add_bos=bos, add_eos=eos)
        cut = self._cut.findall
        chunked = [cut(" " + text) if text else [] for text in texts]  # the model adds that space
        known = self._known(chunked)
        first, last = (np.int32(mark).tobytes() for mark in (self.bos_id, self.eos_id))
        encoded = (b"".join((first * bos, *map(known.__getitem__, chunks), last * eos)) for chunks in chunked)
        return [np.frombuffer(ids, np.int32) for ids in encoded]

    def _known(self, chunked: list[list[str]]) -> dict[str, bytes]:
        """The ids of all chunks of a batch, int32."""
        if len(self._chunks) > KEPT_CHUNKS:
            self._chunks = {}  # a new one: another thread may be reading the old
        kept = self._chunks
        known = {chunk: kept.get(chunk, b"") for chunk in set().union(*chunked)}
        new = [chunk for chunk, ids in known.items() if not ids]
        # Behind a line break, which is a chunk: at the start of a text the model would add a space to them.
        before = len(self._processor.encode("\n"))
        encoded = self._processor.encode(["\n" + chunk for chunk in new], out_type="numpy", num_threads=1)
        found = {chunk: ids[before:].tobytes() for chunk, ids in zip(new, encoded, strict=True)}
        known.update(found)
        kept.update((chunk, ids) for chunk, ids in found.items() if len(chunk) <= KEPT_CHUNK)
        return known

    @cached_property
    def _cut(self) -> re.Pattern[str] | None:
        model = ModelProto.FromString(self.model)
        rules, trainer = model.normalizer_spec, model.trainer_spec
        if (
            trainer.model_type != trainer.BPE
            or not trainer.byte_fallback
            or trainer.treat_whitespace_as_suffix
            or rules.name != "identity"
            or not (rules.add_dummy_prefix and rules.escape_whitespaces)
            or rules.remove_extra_whitespaces
        ):
            return None
        special = {model.SentencePiece.CONTROL, model.SentencePiece.UNKNOWN, model.SentencePiece.BYTE}
        return cut_for([piece.piece for piece in model.pieces if piece.type not in special])

    def decode(self, ids: Sequence[int]) -> str:
        return self._processor.decode([int(i) for i in ids])

    @cached_property
    def segmentation(self) -> Segmentation:
        return Segmentation(self._processor)

    @cached_property
    def digest(self) -> str:
        """Of pieces, scores and types: what makes two tokenizers the same."""
        model = ModelProto.FromString(self.model)
        return digest_of([[piece.piece, piece.score, piece.type] for piece in model.pieces])


def cut_for(pieces: Sequence[str]) -> re.Pattern[str] | None:
    """What finds the chunks of a text so that no piece spans two; None where every way of cutting cuts one.

    Whether there is a cut between two characters depends on these two alone.
    """
    cut = fine(frozenset())
    if spanning := "".join(piece for piece in pieces if cut.findall(piece) != [piece]):
        cut = fine(frozenset(char for char in spanning if not char.isascii()) - {"\u2581"})
    return next((c for c in (cut, COARSE) if all(c.findall(piece) == [piece] for piece in pieces)), None)


def fine(joining: frozenset[str]) -> re.Pattern[str]:
    """Spaces and the letters, the punctuation, the digit or the line break after them are a chunk.

    There is no cut beside a character of `joining`, accents of some script, say.
    """
    join = "".join(map(re.escape, sorted(joining)))
    digit = rf"(?![{join}])\d" if join else r"\d"
    core = rf"(?:[^\W\d_{join}]+|(?:[^\w \u2581\n{join}]|_)+|{digit})"
    if join:
        core = rf"(?:{core}(?:[{join}]+{core}?)*|(?:[{join}]+{core}?)+)"
    return re.compile(rf"[ \u2581]*(?:{core}|\n)|[ \u2581]+")


@lru_cache(maxsize=1)
def _tokenizer_of(model: bytes) -> Tokenizer:
    return Tokenizer(model)


def train_tokenizer(
    step: Step,
    corpus: Artifact,
    cfg: recipe.Tokenizer,
    mixture: Mapping[str, float],
    decontaminated: Artifact | None = None,
) -> None:
    """Train on a sample of the corpus without its contaminated documents, and commit the shard `tokenizer`.

    Raises RecipeError where the sample does not support `tokenizer.vocab_size`, InputError where
    there is no text.
    """
    samples = {
        source: draw(corpus, source, int(share * cfg.sample_bytes), cfg.seed, decontaminated)
        for source, share in sorted(mixture.items())
        if share > 0
    }
    if not any(sample.texts for sample in samples.values()):
        raise InputError(f"{corpus.url} holds no training text for the sources {', '.join(samples)}")
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


def _texts(samples: Mapping[str, "Sample"]) -> Iterator[Text]:
    for source, sample in samples.items():
        for text, language in zip(sample.texts, sample.languages, strict=True):
            yield Text(source, language, text)


@dataclass
class Sample:
    """Texts of one source, in the order of their keyed hashes; the last is cut where the sample is full."""

    texts: list[str]
    languages: list[str] = field(default_factory=list)
    """Of each text, empty where it is not known."""
    n_lines: int = 0
    n_long_lines: int = 0

    def lines(self) -> Iterator[str]:
        """What the trainer sees: leading whitespace kept, empty lines left out, long ones in parts."""
        self.n_lines = self.n_long_lines = 0
        for text in self.texts:
            for line in filter(None, text.split("\n")):
                self.n_lines += 1
                self.n_long_lines += len(line.encode()) > MAX_LINE
                yield from split_line(line)

    def facts(self) -> dict[str, int]:
        return {
            "documents": len(self.texts),
            "bytes": sum(len(text.encode()) for text in self.texts),
            "lines": self.n_lines,
            "long_lines": self.n_long_lines,
        }


def draw(
    corpus: Artifact, source: str, quota: int, seed: int, decontaminated: Artifact | None = None
) -> Sample:
    """The documents of `source` with the smallest keyed hashes, `quota` bytes of them or all there are.

    Does not depend on the order of reading. Memory: the sample and one document.
    """
    heap: list[tuple[int, str, str, str]] = []  # the largest hash first
    total = 0
    for shard in _shards_to_read(corpus, source, quota, seed):
        for document in training_documents(corpus, decontaminated, shard.name):
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
    """`line` in parts of at most MAX_LINE bytes, cut between characters."""
    data = line.encode()
    start = 0
    while len(data) - start > MAX_LINE:
        end = start + MAX_LINE
        while data[end] & 0xC0 == 0x80:  # inside a character
            end -= 1
        yield data[start:end].decode()
        start = end
    yield data[start:].decode()


def _shards_to_read(corpus: Artifact, source: str, quota: int, seed: int) -> Iterator[Shard]:
    """Shards in the order of their keyed hashes, until they hold enough to draw from."""
    shards = [s for s in corpus.shards if s.facts["source"] == source and s.counts.get("documents.train")]
    read = 0
    for shard in sorted(shards, key=lambda s: (xxhash.xxh3_64_intdigest(s.name.encode(), seed=seed), s.name)):
        if read >= READ_AT_MOST * quota:
            return
        read += shard.counts["bytes.train"]
        yield shard


def _train(lines: Iterator[str], cfg: recipe.Tokenizer) -> bytes:
    """The model file, with whitespace demoted and without traces of how it was made."""
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


def _explain(error: RuntimeError, cfg: recipe.Tokenizer) -> Exception:
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
    """Another SentencePiece model. Raises InputError."""
    try:
        with fsspec.open(url, "rb") as file:
            model = file.read()
        if not model:
            raise ValueError("it is empty")
        return Tokenizer(model)
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        raise InputError(f"tokenizer.compare_with: {url} is no SentencePiece model: {error}") from error
