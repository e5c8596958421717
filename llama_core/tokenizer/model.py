"""A trained SentencePiece model: text to ids and back, and batches of it faster than the library does it."""

import re
from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np
import sentencepiece
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from sentencepiece.sentencepiece_model_pb2 import ModelProto  # type: ignore[attr-defined]

from llama_core.artifact import Artifact, digest_of
from llama_core.errors import InputError
from llama_core.tokenizer.report import Segmentation

MODEL = "tokenizer.model"

# "\u2581" is how SentencePiece writes a space.
COARSE = re.compile(r"[ \u2581]*(?:[^ \u2581\n]+|\n)|[ \u2581]+")
MOST_PIECES = 1 << 20
KEPT_CHUNK = 32  # characters of a chunk that is remembered: a longer one is hardly seen again
KEPT_CHUNKS = 1 << 19  # chunks that are remembered, in some 100 MB


class Tokenizer:
    """A tokenizer, made from `model`: the bytes of a SentencePiece model file. `url`: where they were read.

    Raises InputError where they are none, or have no marks for the begin and end of a text.

    A batch is encoded in chunks (about a word each), which are remembered, as most of a text has been seen
    before. The ids are those of SentencePiece: texts are cut into chunks only where no piece of the model
    could span the cut, so that no merge does, and a chunk is segmented alike whatever is around it. Where no
    way of cutting does that, or where the model normalises text in another way, whole texts are encoded.
    """

    def __init__(self, model: bytes, url: str = MODEL):
        self.model = model
        self._chunks: dict[str, bytes] = {}  # the ids of the chunks that are remembered, int32
        self._processor = _processor_of(model, url)
        self.n_words: int = self._processor.get_piece_size()
        self.bos_id: int = self._processor.bos_id()
        self.eos_id: int = self._processor.eos_id()
        self.pad_id: int = self._processor.pad_id()

    @classmethod
    def load(cls, artifact: Artifact) -> "Tokenizer":
        """Return the tokenizer of a finished step, made once in this process. Raises DamagedError."""
        return _tokenizer_of(artifact.read(artifact.shard("tokenizer").object(MODEL)))

    def encode(self, text: str, bos: bool = False, eos: bool = False) -> list[int]:
        """Return the ids of a text, between the marks of its begin and end if they are asked for."""
        return self._processor.encode(text, add_bos=bos, add_eos=eos)

    def encode_batch(self, texts: list[str], bos: bool = False, eos: bool = False) -> list[NDArray[np.int32]]:
        """Return the ids of each text, int32 (tokens,): the same that `encode` returns."""
        if self._cut is None:
            return self._processor.encode(texts, out_type="numpy", num_threads=1, add_bos=bos, add_eos=eos)
        cut = self._cut.findall
        chunked = [cut(" " + text) if text else [] for text in texts]  # the model adds that space
        known = self._known(chunked)
        first = np.int32(self.bos_id).tobytes() if bos else b""
        last = np.int32(self.eos_id).tobytes() if eos else b""
        encoded = (b"".join((first, *map(known.__getitem__, chunks), last)) for chunks in chunked)
        return [np.frombuffer(ids, np.int32) for ids in encoded]

    def _known(self, chunked: list[list[str]]) -> dict[str, bytes]:
        """Return the ids of all chunks of a batch, int32, by chunk."""
        if len(self._chunks) > KEPT_CHUNKS:
            self._chunks = {}  # a new dict, since another thread may be reading the old one
        kept = self._chunks
        known = {chunk: kept.get(chunk, b"") for chunk in set().union(*chunked)}
        new = [chunk for chunk, ids in known.items() if not ids]
        # After a line break, which is a chunk: the model would add a space to a chunk that begins a text.
        before = len(self._processor.encode("\n"))
        encoded = self._processor.encode(["\n" + chunk for chunk in new], out_type="numpy", num_threads=1)
        found = {chunk: ids[before:].tobytes() for chunk, ids in zip(new, encoded, strict=True)}
        known.update(found)
        kept.update((chunk, ids) for chunk, ids in found.items() if len(chunk) <= KEPT_CHUNK)
        return known

    @cached_property
    def _cut(self) -> re.Pattern[str] | None:
        """The pattern that finds the chunks of a text, or None where whole texts must be encoded."""
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
        """Return the text of ids, without marks of begin and end."""
        return self._processor.decode([int(i) for i in ids])

    def piece(self, token: int) -> str:
        """Return how a token is written: a space as a space, a byte as <0xE2>."""
        return self._processor.id_to_piece(token).replace("\u2581", " ")

    @cached_property
    def segmentation(self) -> Segmentation:
        """The model as a report looks at it."""
        return Segmentation(self._processor)

    @cached_property
    def digest(self) -> str:
        """The digest of its pieces, scores and types, which is equal for tokenizers that do the same."""
        model = ModelProto.FromString(self.model)
        return digest_of([[piece.piece, piece.score, piece.type] for piece in model.pieces])


def cut_for(pieces: Sequence[str]) -> re.Pattern[str] | None:
    """Return a pattern that finds the chunks of a text, so that none of these pieces spans two of them.

    Whether it cuts between two characters depends on these two alone. Returns None where every pattern that
    we have cuts a piece in two.
    """
    cut = fine(frozenset())
    spanning = "".join(piece for piece in pieces if cut.findall(piece) != [piece])
    if spanning:
        cut = fine(frozenset(char for char in spanning if not char.isascii()) - {"\u2581"})
    for pattern in (cut, COARSE):
        if all(pattern.findall(piece) == [piece] for piece in pieces):
            return pattern
    return None


def fine(joining: frozenset[str]) -> re.Pattern[str]:
    """Return the pattern of small chunks: spaces, then letters, punctuation, a digit or a line break.

    It never cuts beside a character of `joining`, such as the accents of some script.
    """
    join = "".join(map(re.escape, sorted(joining)))
    digit = rf"(?![{join}])\d" if join else r"\d"
    core = rf"(?:[^\W\d_{join}]+|(?:[^\w \u2581\n{join}]|_)+|{digit})"
    if join:
        core = rf"(?:{core}(?:[{join}]+{core}?)*|(?:[{join}]+{core}?)+)"
    return re.compile(rf"[ \u2581]*(?:{core}|\n)|[ \u2581]+")


def _processor_of(model: bytes, url: str) -> sentencepiece.SentencePieceProcessor:
    """Return SentencePiece's own object. Raises InputError for what is no model, or none for texts."""
    if model.count(b"\n") > MOST_PIECES:  # each piece begins with this byte, and is made an object of
        raise InputError(f"{url} is no SentencePiece model: it has more than a million pieces")
    try:
        proto = ModelProto.FromString(model)
        if any(
            isinstance(piece.piece, bytes) for piece in proto.pieces
        ):  # so protobuf gives what is no UTF-8
            raise ValueError("a piece is not UTF-8")
        pieces = len(proto.pieces)
        # SentencePiece takes no bytes at all for no request, and is empty then.
        processor = sentencepiece.SentencePieceProcessor(model_proto=model) if model else None
    except (DecodeError, RuntimeError, ValueError) as error:
        raise InputError(f"{url} is no SentencePiece model: {' '.join(str(error).split())[:200]}") from None
    if processor is None or processor.get_piece_size() != pieces:
        raise InputError(f"{url} is no SentencePiece model: it has no pieces")
    marks = {name: getattr(processor, f"{name}_id")() for name in ("unk", "bos", "eos")}
    if missing := [name for name, i in marks.items() if not 0 <= i < pieces]:
        raise InputError(f"{url} is no tokenizer of LLaMA: it has no {' and no '.join(missing)}")
    return processor


@lru_cache(maxsize=1)
def _tokenizer_of(model: bytes) -> Tokenizer:
    return Tokenizer(model)
