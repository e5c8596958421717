"""The tokenizer segments as the released one does, gives text back, and is the same wherever trained."""

import contextlib
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentencepiece.sentencepiece_model_pb2 import ModelProto

from llama_core import recipe
from llama_core.artifact import Artifact
from llama_core.corpus.document import Document, document_id, write_documents
from llama_core.corpus.training_text import TrainingText
from llama_core.errors import InputError, RecipeError
from llama_core.step import Step
from llama_core.store import Store
from llama_core.tokenizer.model import COARSE, Tokenizer, fine
from llama_core.tokenizer.train import MAX_LINE, REVISION, draw, split_line, train_tokenizer

WORDS = ["hello", "world", "the", "loss", "of", "a", "model", "returns"]
WORDS += ["def", "if", "import", "self", "value", "while", "tokens"]
CFG = recipe.TokenizerSection(vocab_size=400, sample_bytes=60_000)
MIXTURE = {"code": 0.75, "docs": 0.25}


def texts(seed: int, count: int) -> list[str]:
    """Indented lines of words and numbers."""
    rng = random.Random(seed)

    def line() -> str:
        return " " * rng.choice([0, 0, 4, 8]) + " ".join(rng.choices(WORDS, k=6)) + f" {rng.randrange(9999)}"

    return ["\n".join(line() for _ in range(40)) for _ in range(count)]


def make_corpus(store: Store, sources: dict[str, list[str]]) -> Artifact:
    step = Step(store, "corpus", 1, {"texts": sources})
    for source, part in sources.items():
        with step.shard(f"{source}.one") as shard:
            with shard.publish(f"{source}.one/train.parquet") as file:
                write_documents(
                    file,
                    [
                        Document(document_id(source, str(i)), text, source, "", "", "", "", "{}")
                        for i, text in enumerate(part)
                    ],
                )
            shard.counts["documents.train"] = len(part)
            shard.counts["bytes.train"] = sum(len(text.encode()) for text in part)
            shard.facts = {"source": source, "group": "one"}
    return step.commit([f"{source}.one" for source in sources])


def train(store: Store, corpus: Artifact, cfg: recipe.TokenizerSection = CFG) -> Artifact:
    text = TrainingText(corpus)
    step = Step(store, "tokenizer", REVISION, cfg.identity() | {"mixture": MIXTURE}, {"corpus": text})
    train_tokenizer(step, text, cfg, MIXTURE)
    return step.commit(["tokenizer"])


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    store = Store(str(tmp_path_factory.mktemp("store")))
    return make_corpus(store, {"code": texts(1, 40), "docs": texts(2, 40)})


@pytest.fixture(scope="module")
def artifact(corpus: Artifact) -> Artifact:
    return train(Store(corpus.url.rsplit("/", 2)[0]), corpus)


@pytest.fixture(scope="module")
def tokenizer(artifact: Artifact) -> Tokenizer:
    return Tokenizer.load(artifact)


def pieces(tokenizer: Tokenizer, text: str) -> list[str]:
    names = [piece.piece for piece in ModelProto.FromString(tokenizer.model).pieces]
    return [names[i] for i in tokenizer.encode(text)]


def test_special_pieces_stand_where_the_released_model_has_them(tokenizer: Tokenizer) -> None:
    names = [piece.piece for piece in ModelProto.FromString(tokenizer.model).pieces]
    assert names[:4] == ["<unk>", "<s>", "</s>", "<0x00>"]
    assert names[258] == "<0xFF>"
    assert (tokenizer.n_words, tokenizer.bos_id, tokenizer.eos_id, tokenizer.pad_id) == (400, 1, 2, -1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" hello", ["▁", "▁hello"]),
        ("the  loss", ["▁the", "▁", "▁loss"]),
        ("hello 12", ["▁hello", "▁", "1", "2"]),
        ("hello\n", ["▁hello", "<0x0A>"]),
        ("hello é", ["▁hello", "▁", "<0xC3>", "<0xA9>"]),
    ],
)
def test_text_is_segmented_as_by_the_released_model(
    tokenizer: Tokenizer, text: str, expected: list[str]
) -> None:
    assert pieces(tokenizer, text) == expected


def test_text_that_looks_like_a_control_piece_is_text(tokenizer: Tokenizer) -> None:
    assert not {0, 1, 2} & set(tokenizer.encode("<s> </s> <unk> <0x0A>"))


def test_whitespace_only_pieces_carry_the_released_score(tokenizer: Tokenizer) -> None:
    blank = [p for p in ModelProto.FromString(tokenizer.model).pieces if not p.piece.strip("▁")]
    assert {"▁", "▁▁", "▁▁▁▁"} <= {p.piece for p in blank}
    assert {p.score for p in blank} == {-1e9}


@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="▁")))
def test_any_text_comes_back(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.decode(tokenizer.encode(text, bos=True, eos=True)) == text


def singly(tokenizer: Tokenizer, batch: list[str]) -> list[list[int]]:
    return [tokenizer.encode(text, bos=True, eos=True) for text in batch]


def in_a_batch(tokenizer: Tokenizer, batch: list[str]) -> list[list[int]]:
    return [ids.tolist() for ids in tokenizer.encode_batch(batch, bos=True, eos=True)]


def test_a_batch_gives_what_single_texts_give(tokenizer: Tokenizer) -> None:
    batch = [
        "hello world",
        "",
        " ",
        "\n",
        " def 12\n\n",
        "日本",
        "▁hello",
        "hello▁ ▁world ",
        "x" * 100 + " y",
    ]
    for _ in range(2):  # from the model, then from memory
        assert in_a_batch(tokenizer, batch) == singly(tokenizer, batch)
    assert in_a_batch(tokenizer, ["", "the"]) == [[1, 2], *singly(tokenizer, ["the"])]
    assert [ids.tolist() for ids in tokenizer.encode_batch(["the loss"])] == [tokenizer.encode("the loss")]


PARTS = st.sampled_from(
    [
        *WORDS,
        " ",
        "  ",
        "    ",
        "\n",
        "\n\n",
        "\t",
        "\r\n",
        "▁",
        "12",
        "é",
        "(",
        ").",
        "\0",
        "🙂",
        "._",
        "\u0301",
        "٢",
        "क्षि",
    ]
)


@given(batch=st.lists(st.lists(PARTS | st.characters(exclude_categories=["Cs"]), max_size=30).map("".join)))
def test_a_batch_of_any_texts_gives_what_single_texts_give(tokenizer: Tokenizer, batch: list[str]) -> None:
    assert in_a_batch(tokenizer, batch) == singly(tokenizer, batch)


def with_piece(tokenizer: Tokenizer, piece: str) -> Tokenizer:
    """The same model, in which text is merged to `piece` first of all."""
    model = ModelProto.FromString(tokenizer.model)
    known = {p.piece for p in model.pieces}
    for part in sorted({*piece, piece[:2], piece} - known):
        model.pieces.add(piece=part, score=1.0)
    return Tokenizer(model.SerializeToString())


@pytest.mark.parametrize(
    ("piece", "cut"),
    [
        ("he", fine(frozenset())),
        ("é(", fine(frozenset("é"))),
        ("1é", fine(frozenset("é"))),
        ("_éa", fine(frozenset("é"))),
        ("٢1", fine(frozenset("٢"))),
        ("e(", COARSE),
        ("1,", COARSE),
        ("o▁w", None),
        ("s\n", None),
        ("\n\n", None),
    ],
    ids=repr,
)
def test_texts_are_cut_where_no_piece_is(
    tokenizer: Tokenizer, piece: str, cut: re.Pattern[str] | None
) -> None:
    extended = with_piece(tokenizer, piece)
    batch = ["hello world value(21,2) é(é_ab 1éé2 a b_éa 3٢1 ٢1", "tokens\n\nof the loss\n"]
    assert in_a_batch(extended, batch) == singly(extended, batch)
    assert extended._cut == cut
    if cut != fine(frozenset()):
        vars(extended)["_cut"] = fine(frozenset())
        extended._chunks.clear()
        assert in_a_batch(extended, batch) != singly(extended, batch), "these texts do not show a difference"


ACCENTS = st.lists(st.sampled_from([*"éa_(1 ▁\n", "hello"]), max_size=20).map("".join)


@given(batch=st.lists(ACCENTS))
def test_a_batch_is_the_same_where_characters_join(tokenizer: Tokenizer, batch: list[str]) -> None:
    extended = with_piece(tokenizer, "_éa")
    assert in_a_batch(extended, batch) == singly(extended, batch)


def test_a_batch_is_the_same_when_memory_is_full(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llama_core.tokenizer.model.KEPT_CHUNKS", 2)
    fresh = Tokenizer(tokenizer.model)
    for batch in (["the loss of a model"], ["the model returns"], ["a value"], ["the loss"]):
        assert in_a_batch(fresh, batch) == singly(tokenizer, batch)


def test_the_same_sample_gives_the_same_tokenizer_in_another_process(
    corpus: Artifact, artifact: Artifact, tmp_path: Path
) -> None:
    program = (
        "import sys; from llama_core.store import Store\n"
        "from llama_core.artifact import Artifact; from llama_core.step import Step\n"
        "from llama_core import recipe; from llama_core.tokenizer.train import train_tokenizer\n"
        "from llama_core.corpus.training_text import TrainingText\n"
        "text = TrainingText(Artifact.open(Store(sys.argv[1])))\n"
        "step = Step(Store(sys.argv[2]), 'tokenizer', 1, {})\n"
        f"train_tokenizer(step, text, recipe.TokenizerSection.model_validate_json(sys.argv[3]), {MIXTURE})\n"
        "print(step.commit(['tokenizer']).shard('tokenizer').object('model').sha256, flush=True)"
    )
    found = subprocess.run(
        [sys.executable, "-c", program, corpus.url, str(tmp_path), CFG.model_dump_json()],
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr
    assert found.stderr == ""  # the trainer's own log is silenced
    assert found.stdout.strip() == artifact.shard("tokenizer").object(".model").sha256


def test_the_tokenizer_of_fixed_text_never_changes_silently(artifact: Artifact) -> None:
    golden = "a84f0461857c561d905b4ec7eea55d88471dafd863f42c5cdda76d861476c34b"
    assert artifact.shard("tokenizer").digest == golden, "raise tokenizer.REVISION, then this digest"


def test_the_sample_follows_the_mixture(artifact: Artifact) -> None:
    facts = artifact.shard("tokenizer").facts
    assert {s: part["bytes"] for s, part in facts["sample"].items()} == {"code": 45_000, "docs": 15_000}
    assert facts["sample"]["docs"]["documents"] < 40
    assert facts["bytes_per_token"]["code"] > 2
    assert facts["whitespace_pieces"] >= 3


def test_the_sample_does_not_depend_on_the_order_of_documents(store: Store, corpus: Artifact) -> None:
    step = Step(store, "corpus", 1, {"order": "reversed"})
    with step.shard("code.one") as shard:
        with shard.publish("code.one/train.parquet") as file:
            rows = [(document_id("code", str(i)), text) for i, text in enumerate(texts(1, 40))]
            write_documents(file, [Document(i, t, "code", "", "", "", "", "{}") for i, t in rows[::-1]])
        shard.counts.update({"documents.train": 40, "bytes.train": 1})
        shard.facts = {"source": "code"}
    reversed_corpus = TrainingText(step.commit(["code.one"]))
    assert draw(reversed_corpus, "code", 20_000, 7) == draw(TrainingText(corpus), "code", 20_000, 7)


def test_a_small_corpus_is_sampled_whole(corpus: Artifact) -> None:
    assert sorted(draw(TrainingText(corpus), "code", 10**9, 1).texts) == sorted(texts(1, 40))


def test_of_a_large_corpus_only_some_shards_are_read(store: Store) -> None:
    names = [f"code.{i}" for i in range(20)]
    step = Step(store, "corpus", 1, {"shards": 20})
    for name in names:
        with step.shard(name) as shard:
            with shard.publish(f"{name}/train.parquet") as file:
                rows = [(document_id(name, str(i)), "x" * 100) for i in range(10)]
                write_documents(file, [Document(i, t, "code", "", "", "", "", "{}") for i, t in rows])
            shard.counts.update({"documents.train": 10, "bytes.train": 1000})
            shard.facts = {"source": "code"}
    corpus = step.commit(names)
    expected = draw(TrainingText(corpus), "code", 125, 1)
    assert [len(text) for text in expected.texts] == [100, 25]
    unread = 0
    for name in names:
        lost = corpus.shard(name).object("train.parquet")
        data = corpus.read(lost)
        corpus.store.delete([lost.name])
        with contextlib.suppress(FileNotFoundError):
            unread += draw(TrainingText(corpus), "code", 125, 1) == expected
        corpus.store.publish_bytes(lost.name, data)
    assert unread == 18  # 16 times 125 bytes are two shards


def test_lines_too_long_for_the_trainer_are_split_and_counted(store: Store) -> None:
    long = "hello world é " * 1000
    corpus = make_corpus(store, {"code": [*texts(1, 40), long], "docs": texts(2, 40)})
    found = train(store, corpus, recipe.TokenizerSection(vocab_size=400, sample_bytes=10**6))
    assert found.shard("tokenizer").facts["sample"]["code"] == {
        "documents": 41,
        "bytes": sum(map(len, texts(1, 40))) + len(long.encode()),
        "lines": 40 * 40 + 1,
        "long_lines": 1,
    }


@given(line=st.text(st.characters(exclude_categories=["Cs"]), min_size=1), times=st.integers(1, 3000))
def test_a_split_line_loses_nothing(line: str, times: int) -> None:
    parts = list(split_line(line * times))
    assert "".join(parts) == line * times
    assert all(0 < len(part.encode()) <= MAX_LINE for part in parts)


def test_a_vocabulary_larger_than_the_text_supports_is_an_error_that_says_how_large_it_may_be(
    store: Store, corpus: Artifact
) -> None:
    with pytest.raises(RecipeError, match="tokenizer.vocab_size is 32000.* supports [0-9]+ at most") as error:
        train(store, corpus, recipe.TokenizerSection(vocab_size=32000, sample_bytes=60_000))
    largest = int(str(error.value).split(" supports ")[1].split()[0])
    found = train(store, corpus, recipe.TokenizerSection(vocab_size=largest, sample_bytes=60_000))
    assert found.shard("tokenizer").facts["vocab"] == largest


def test_a_vocabulary_smaller_than_the_alphabet_is_an_error_of_the_recipe(store: Store) -> None:
    letters = [" ".join(map(chr, range(0x4E00, 0x4E80)))] * 9
    with pytest.raises(RecipeError, match="tokenizer.vocab_size is 300.*need [0-9]+: raise it"):
        train(
            store,
            make_corpus(store, {"code": letters, "docs": letters}),
            recipe.TokenizerSection(vocab_size=300),
        )


def test_a_corpus_without_text_is_an_error_of_the_input(store: Store) -> None:
    with pytest.raises(InputError, match="no training text for the sources code, docs"):
        train(store, make_corpus(store, {"code": [], "docs": []}))
