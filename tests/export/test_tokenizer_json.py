"""tokenizer.json gives the ids that SentencePiece gives, spaces included."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sentencepiece.sentencepiece_model_pb2 import ModelProto, TrainerSpec
from tokenizers import Tokenizer as FastTokenizer
from trained import Trained, package_texts

from llama_core.errors import InputError
from llama_core.export.tokenizer_json import SPACE, tokenizer_json
from llama_core.tokenizer.model import Tokenizer

texts = st.lists(
    st.one_of(
        st.sampled_from(
            [" ", "  ", "\n", "\t", "    ", " " * 17, SPACE, "0", "123", "é", "漢", "🙂", "\u200d", "\0"]
        ),
        st.sampled_from(["def", "self", "====", "return", "aaa", "ab", "--", "(((", "<0x0A>", "The"]),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=40,
).map("".join)


def fast(model: bytes) -> Callable[[str], list[int]]:
    tokenizer = FastTokenizer.from_str(tokenizer_json(model).decode())
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids


@pytest.fixture(scope="module")
def model(trained: Trained) -> bytes:
    return trained.tokenizer.model


def with_runs(model: bytes, lengths: set[int]) -> bytes:
    """The model with just these lengths of whitespace pieces."""
    changed = ModelProto.FromString(model)
    kept = [(p.piece, p.score, p.type) for p in changed.pieces if p.piece.strip(SPACE) or p.piece == SPACE]
    del changed.pieces[:]
    for piece, score, kind in kept + [(SPACE * n, -1e9, 1) for n in sorted(lengths)]:
        changed.pieces.add(piece=piece, score=score, type=kind)
    return changed.SerializeToString()


@settings(deadline=None, max_examples=400)
@given(text=texts)
def test_any_text_gets_the_same_ids(model: bytes, text: str) -> None:
    assert fast_of(model)(text) == Tokenizer(model).encode(text)


_made: dict[bytes, Callable[[str], list[int]]] = {}


def fast_of(model: bytes) -> Callable[[str], list[int]]:
    if model not in _made:
        _made[model] = fast(model)
    return _made[model]


@settings(deadline=None, max_examples=60)
@given(st.sets(st.integers(2, 20)))
def test_runs_of_spaces_get_the_same_ids_whatever_lengths_the_vocabulary_has(
    model: bytes, lengths: set[int]
) -> None:
    changed = with_runs(model, lengths)
    ours, theirs = Tokenizer(changed), fast(changed)
    for n in (*range(1, 24), 31, 32, 33, 40, 57):
        for end in ("", "x", "\n"):
            text = " " * n + end
            assert theirs(text) == ours.encode(text)


def test_pieces_that_overlap_themselves_get_the_same_ids(model: bytes) -> None:
    """`aa` + `a` and `a` + `aa` are one piece to SentencePiece, and two merges to tokenizers."""
    ours, theirs, rng = Tokenizer(model), fast(model), random.Random(1)
    pieces = [p.piece for p in ModelProto.FromString(model).pieces if len(p.piece) > 1 and p.type == 1]
    for piece in pieces:
        for _ in range(4):
            text = (piece * rng.randrange(1, 7))[rng.randrange(len(piece)) :].replace(SPACE, " ")
            text = rng.choice(["", "x", "(", "\n"]) + text + rng.choice(["", "e", ")", " "])
            assert theirs(text) == ours.encode(text)


def test_real_source_files_get_the_same_ids_and_come_back(model: bytes) -> None:
    ours = Tokenizer(model)
    whole = FastTokenizer.from_str(tokenizer_json(model).decode())
    size = 0
    for path, text in package_texts("setuptools") + package_texts("werkzeug"):
        ids = whole.encode(text).ids
        assert ids == ours.encode(text, bos=True), path
        assert whole.decode(ids) == text, path
        size += len(text.encode())
    assert size > 1_000_000


def test_a_tokenizer_of_another_kind_is_refused_with_the_reason(model: bytes) -> None:
    changed = ModelProto.FromString(model)
    changed.trainer_spec.model_type = TrainerSpec.UNIGRAM
    with pytest.raises(InputError, match="not BPE"):
        tokenizer_json(changed.SerializeToString())
    changed = ModelProto.FromString(model)
    words = [p for p in changed.pieces if p.type == 1 and len(p.piece) > 1 and p.piece.strip(SPACE)]
    words[3].score = words[2].score
    with pytest.raises(InputError, match="equal score"):
        tokenizer_json(changed.SerializeToString())


def test_what_is_no_tokenizer_is_refused(model: bytes) -> None:
    for garbage in (b"", model[: len(model) // 2], b"\xff" * 100, b"{}"):
        with pytest.raises(InputError, match="tokenizer"):
            tokenizer_json(garbage)
    changed = ModelProto.FromString(model)
    changed.trainer_spec.bos_id = -1
    with pytest.raises(InputError, match="marks"):
        tokenizer_json(changed.SerializeToString())
