"""Language, filters and masks, text by text."""

import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from corpus.helpers import SAMPLES, needs_samples, texts_of
from pydantic import ValidationError

from llama_core.artifact import Artifact
from llama_core.corpus.clean import language, quality
from llama_core.corpus.clean.recipe import C4Filter, Clean, Filters, Language, Pii
from llama_core.corpus.decisions import read_decisions
from llama_core.corpus.document import read_batches
from llama_core.corpus.documents import Documents
from llama_core.errors import InputError

ENGLISH = (
    "The committee met in the morning and agreed that the bridge should be built with local stone.\n"
    "It was the first time that the people of the valley were asked to vote about it.\n"
    "A second vote was held in the spring of the next year, and it had the same result."
)
GERMAN = "Der Ausschuss hat am Morgen beschlossen, dass die Brücke aus Stein gebaut werden soll."
NO_TEXT = "12 34 56 78 90"


def test_what_is_not_in_the_languages_to_keep_is_dropped_and_the_language_is_set(
    documents: Callable[..., Documents], decide: Callable[..., Artifact]
) -> None:
    web = documents({"a": [ENGLISH, GERMAN, NO_TEXT]})
    cfg = Clean(language=Language(keep=["en"], min_score=0.6))
    decided = decide(web, lambda step, d: quality.plan(step, d, cfg))
    first, second, third = read_decisions(decided, "a")
    assert (first.reason, first.language) == ("", "en")
    assert (second.reason, second.evidence["language"]) == ("language_other", "de")
    assert third.reason == "language_unsure"
    assert [d.language for d in web.after(decided).read("a")] == ["en"]
    assert {k: v for k, v in decided.counts.items() if not k.startswith("language.")} == {
        "documents": 3,
        "kept": 1,
        "dropped.language_other": 1,
        "dropped.language_unsure": 1,
        "bytes": len(ENGLISH),
    }
    assert decided.counts["language.en"] == decided.counts["language.de"] == 1
    dropped = [row for batch in read_batches(decided, "a", "dropped.parquet") for row in batch.to_pylist()]
    assert {row["text"] for row in dropped} == {GERMAN, NO_TEXT}


def test_masks_go_into_what_the_filters_left(
    documents: Callable[..., Documents], decide: Callable[..., Artifact]
) -> None:
    text = f"Home | Contact\n{ENGLISH}\nWrite to the chair of it at ann@corp.org or to 8.8.4.4 by June."
    web = documents({"a": [text]})
    cfg = Clean(filters=Filters(c4=C4Filter()), pii=Pii(email=True, ip=True))
    decided = decide(web, lambda step, d: quality.plan(step, d, cfg))
    masked = "Write to the chair of it at email@example.com or to 192.0.2.1 by June."
    assert texts_of(web.after(decided)) == [f"{ENGLISH}\n{masked}"]
    assert decided.counts["masks.email"] == decided.counts["masks.ip"] == 1


def test_a_filter_drops_under_its_own_name(
    documents: Callable[..., Documents], decide: Callable[..., Artifact]
) -> None:
    web = documents({"a": [ENGLISH, "Too few words."]})
    cfg = Clean(filters=Filters(gopher_quality=True))
    decided = decide(web, lambda step, d: quality.plan(step, d, cfg))
    assert [d.reason for d in read_decisions(decided, "a")] == ["", "gopher_short"]


def test_what_is_no_text_is_identified_with_a_probability_too() -> None:
    texts = [ENGLISH * 50, GERMAN, "\n\n", "", "🙂", ENGLISH.replace(" ", "\0")]
    found = language.Identifier(Language()).identify(texts)
    assert [code for code, _ in found[:2]] == ["en", "de"]
    assert found[-1][0] == "en"
    assert all(0 <= score <= 1 for _, score in found)


def test_a_model_of_ones_own_is_known_by_its_sha256(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    data = language.embedded().read_bytes()
    (tmp_path / "mine.ftz").write_bytes(data)
    url, digest = f"file://{tmp_path}/mine.ftz", hashlib.sha256(data).hexdigest()
    assert language.Identifier(Language(model=url, sha256=digest)).identify([ENGLISH])[0][0] == "en"
    with pytest.raises(InputError, match="sha256"):
        language.Identifier(Language(model=url, sha256="0" * 64))
    with pytest.raises(InputError, match="no language model"):
        language.Identifier(Language(model=f"{url}.gone", sha256="1" * 64))
    with pytest.raises(ValidationError, match="sha256"):
        Language(model=url)


@needs_samples
def test_sentences_in_ten_languages_are_identified() -> None:
    rows = [row.split("\t", 1) for row in (SAMPLES / "lid" / "ud_pud_sentences.tsv").read_text().splitlines()]
    found = language.Identifier(Language()).identify([sentence for _, sentence in rows])
    right = Counter(code for (code, _), (best, _) in zip(rows, found, strict=True) if best == code)
    print(dict(right), "of 60 each")
    assert right.total() >= 0.97 * len(rows)
    assert len(right) == 10 and min(right.values()) >= 0.9 * 60
