"""A SentencePiece BPE model as the `tokenizer.json` of Hugging Face tokenizers.

SentencePiece merges the adjacent pair whose union has the best score, and of equal ones the leftmost. There,
a piece has one score, however it is split. tokenizers ranks every split of a piece by itself. If the splits
are ordered by the score of their union, both give the same pieces.

The whitespace-only pieces all have the same score, so only "leftmost first" decides between them: spaces are
merged from the left, as far as the vocabulary goes, before those after them are. In ranks this means that the
longer union is first: a longer one can only come up where pieces have been merged already, because all to the
right of that is still single spaces.
"""

import json
from typing import Any

from google.protobuf.message import DecodeError
from sentencepiece.sentencepiece_model_pb2 import ModelProto, TrainerSpec  # type: ignore[attr-defined]

from llama_core.errors import InputError

SPACE = "▁"  # U+2581, SentencePiece's visible space
SentencePiece = ModelProto.SentencePiece


def tokenizer_json(model: bytes) -> bytes:
    """Return a `tokenizer.json` that encodes like the SentencePiece BPE `model` (a serialized proto).

    The ids are the same, with `<s>` put first. There is one difference: the letters `<s>`, `</s>` or `<unk>`
    in a text are a special token to tokenizers, unless `split_special_tokens` of tokenizer_config.json tells
    transformers otherwise. Raises InputError for another kind of model.
    """
    spm = _parse(model)
    pieces = [p.piece for p in spm.pieces]
    specials = [
        i for i, p in enumerate(spm.pieces) if p.type in (SentencePiece.CONTROL, SentencePiece.UNKNOWN)
    ]
    unk, bos = spm.trainer_spec.unk_id, spm.trainer_spec.bos_id
    value: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added(i, pieces[i]) for i in specials],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Prepend", "prepend": SPACE},
                {"type": "Replace", "pattern": {"String": " "}, "content": SPACE},
            ],
        },
        "pre_tokenizer": None,
        "post_processor": _put_first(pieces[bos], bos),
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0},
            ],
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": pieces[unk],
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": {piece: i for i, piece in enumerate(pieces)},
            "merges": merges(spm),
        },
    }
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()


def merges(spm: Any) -> list[tuple[str, str]]:
    """Return every split of every piece into two pieces, the best first.

    Raises InputError where the scores leave the order open, because merged pieces have equal ones.
    """
    scores = {p.piece: p.score for p in spm.pieces if p.type == SentencePiece.NORMAL}
    spaces = [p for p in scores if len(p) > 1 and not p.strip(SPACE)]
    words = [p for p in scores if len(p) > 1 and p.strip(SPACE)]
    if len({scores[p] for p in words}) < len(words):
        raise InputError("the tokenizer has merged pieces of equal score: no order of merges is like it")
    if spaces and words and max(scores[p] for p in spaces) >= min(scores[p] for p in words):
        raise InputError("the tokenizer's whitespace pieces must score below all others")
    order = sorted(words, key=lambda p: -scores[p]) + sorted(spaces, key=len, reverse=True)
    return [
        (piece[:i], piece[i:])
        for piece in order
        for i in range(1, len(piece))
        if piece[:i] in scores and piece[i:] in scores
    ]


def _parse(model: bytes) -> Any:
    """Return the proto of a model. Raises InputError for a kind that tokenizers cannot do."""
    try:
        spm = ModelProto.FromString(model)
    except DecodeError as error:
        raise InputError("the tokenizer is not a model of SentencePiece's") from error
    trainer, normalizer = spm.trainer_spec, spm.normalizer_spec
    wrong = {
        "its pieces are not BPE's": trainer.model_type != TrainerSpec.BPE,
        "it has no byte pieces": not trainer.byte_fallback,
        "it normalises text": bool(normalizer.precompiled_charsmap),
        "it drops spaces": normalizer.remove_extra_whitespaces,
        "it adds no space in front": not normalizer.add_dummy_prefix,
        "its marks are no pieces": not {trainer.unk_id, trainer.bos_id} <= set(range(len(spm.pieces))),
        "it has user-defined pieces": any(p.type == SentencePiece.USER_DEFINED for p in spm.pieces),
    }
    for reason, found in wrong.items():
        if found:
            raise InputError(f"the tokenizer cannot become a tokenizer.json: {reason}")
    return spm


def _added(index: int, piece: str) -> dict[str, Any]:
    """Return the entry of a special token."""
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": index, "content": piece, **flags, "special": True}


def _put_first(bos: str, index: int) -> dict[str, Any]:
    """Return the post-processor that puts `<s>` before every text."""

    def of(sequence: str, kind: int) -> list[dict[str, Any]]:
        return [
            {"SpecialToken": {"id": bos, "type_id": kind}},
            {"Sequence": {"id": sequence, "type_id": kind}},
        ]

    return {
        "type": "TemplateProcessing",
        "single": of("A", 0),
        "pair": of("A", 0) + of("B", 1),
        "special_tokens": {bos: {"id": bos, "ids": [index], "tokens": [bos]}},
    }
