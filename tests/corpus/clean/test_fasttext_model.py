"""Our reader of fastText models gives fastText's answers."""

import json
from itertools import pairwise

import pytest
from corpus.helpers import SAMPLES, needs_samples
from hypothesis import given, settings
from hypothesis import strategies as st

from llama_core.corpus.clean import fasttext_model
from llama_core.corpus.clean.fasttext_model import FastText
from llama_core.corpus.clean.language import embedded
from llama_core.errors import InputError

fasttext = pytest.importorskip("fasttext")
DATA = embedded().read_bytes()
OURS, THEIRS = FastText(DATA, "lid"), fasttext.load_model(str(embedded()))


def by_fasttext(text: str) -> tuple[str, float]:
    """Return fastText's label and its score, without its Python wrapper, which refuses line breaks."""
    line = text.replace("\n", " ").replace("\0", " ") + "\n"
    [(score, label)] = THEIRS.f.predict(line, 1, 0.0, "strict")
    return label.removeprefix("__label__"), score


def agree(texts: list[str], model: FastText = OURS) -> None:
    for text, (label, score) in zip(texts, model.predict(texts), strict=True):
        expected, its_score = by_fasttext(text)
        assert score == pytest.approx(its_score, abs=1e-5)
        assert label == expected or score == pytest.approx(its_score, abs=1e-7), text


@settings(deadline=None)  # the first use of Arrow imports pandas where that is installed
@given(st.lists(st.text(max_size=60).filter(lambda t: "</s>" not in t), max_size=6))
def test_any_text_is_labelled_as_by_fasttext(texts: list[str]) -> None:
    agree(texts)


def test_words_of_all_kinds_are_labelled_as_by_fasttext() -> None:
    words = [
        "the house",
        "Straße",
        "中文文本没有空格",
        "слово",
        "x",
        "é",
        "🙂🙂",
        "__label__en a",
        "<",
        "a\u00a0b",
        "1" * 300,
    ]
    agree([*words, " ".join(words), "\t\n \r\x0b\x0c", "ab " * 3000])


def test_the_answers_do_not_depend_on_what_was_asked_before(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"number {i} of some text with words{i} and wörter{i} {'z' * i}" for i in range(60)]
    whole = OURS.predict(texts)
    bytes_ = {"BATCH_BYTES": 50, "KEPT_BYTES": 6}
    limits = {"KEPT": 20, "SEGMENT": 7, "TOGETHER": 30, "GATHERED": 9, "HASHED": 4, **bytes_}
    for name, value in limits.items():
        monkeypatch.setattr(fasttext_model, name, value)
    small = FastText(DATA, "lid")
    for a, b in pairwise(range(0, 61, 15)):
        for (label, score), (again, its_score) in zip(whole[a:b], small.predict(texts[a:b]), strict=True):
            assert (label, pytest.approx(score)) == (again, its_score)


@pytest.mark.parametrize("cut", [0, 3, 100, 5000, len(DATA) // 2, len(DATA) - 1])
def test_a_file_that_is_cut_is_an_error(cut: int) -> None:
    with pytest.raises(InputError, match="mine"):
        FastText(DATA[:cut], "mine")


@pytest.mark.parametrize(
    "text", ["x" * 3_000_000, "a b " * 500_000, "中" * 1_000_000, " ".join(map(str, range(200_000)))]
)
def test_a_huge_text_is_labelled(text: str) -> None:
    [(label, score)] = OURS.predict([text])
    assert label in OURS.labels
    assert 0 < score < 1.001


@needs_samples
def test_pages_are_labelled_as_by_fasttext() -> None:
    rows = (SAMPLES / "c4" / "c4_en_train_first1000.jsonl").read_text().splitlines()
    agree([json.loads(row)["text"] for row in rows[:300]])
