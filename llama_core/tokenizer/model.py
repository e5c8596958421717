"""A trained SentencePiece model: text to ids and back, a batch of texts faster than the library does it."""

import re
from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np
import sentencepiece
from numpy.typing import NDArray
from sentencepiece.sentencepiece_model_pb2 import ModelProto  # type: ignore[attr-defined]

from llama_core.artifact import Artifact, digest_of
from llama_core.tokenizer.report import Segmentation

MODEL = "tokenizer.model"

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
