"""Training documents that hold a passage of an evaluation set are left out, and the passage is listed."""

import csv
import json
import os
import random
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpus.stages import decontaminated, finish, ingest_recipe, recipe_of_files
from hypothesis import given
from hypothesis import strategies as st

from llama_core.artifact import Artifact
from llama_core.corpus.decisions import read_decisions
from llama_core.corpus.decontaminate import index, word_runs
from llama_core.corpus.decontaminate.evaluation_sets import digests, files, passages
from llama_core.corpus.decontaminate.plan import (
    BENCHMARKS,
    DROPPED,
    benchmarks_shard,
)
from llama_core.corpus.decontaminate.word_runs import BREAK, joined, plain, runs, words_of
from llama_core.corpus.recipe import Decontaminate
from llama_core.corpus.training_text import TrainingText
from llama_core.errors import InputError
from llama_core.recipe import Recipe
from llama_core.step import Step
from llama_core.store import Store
from llama_core.tokenizer.train import draw, train_tokenizer
from llama_core.tokens.shards import tokens_shard

QUESTION = (
    "A farmer who keeps bees on the northern slope asks how many jars of honey she can fill before winter."
)
NOISE = [f"noun{i}" for i in range(500)]
EVALDATA = Path(os.environ.get("LLAMA_EVALDATA") or Path(__file__).parents[4] / "shared" / "evaldata")


def different_words(text: str) -> int:
    return len(set(filter(str.isalpha, words_of(text))))


def noise(words: int, seed: int) -> str:
    return " ".join(random.Random(seed).choices(NOISE, k=words))


def beginnings(folder: Path, made: Path, rows: int) -> Path:
    """The files of a folder, each as far as its first rows."""
    for path in folder.rglob("*.*"):
        (made / path.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
        with path.open(newline="") as source, (made / path.relative_to(folder)).open("w", newline="") as cut:
            cut.writelines(islice(source, rows if path.suffix in (".jsonl", ".tsv") else None))
    return made


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of evaluation sets in the shapes that they are published in."""
    folder = tmp_path / "data"
    for name in ("honey", "bees"):
        (folder / name).mkdir(parents=True)
    row = {"ind": 7, "ctx": QUESTION, "endings": ["Twelve.", "None at all."], "label": 1}
    other = {"ind": 8, "ctx": "Short.", "endings": ["Yes.", "No."], "label": 0}
    (folder / "honey" / "val.jsonl").write_text(f"{json.dumps(other)}\n{json.dumps(row)}\n")
    (folder / "honey" / "LICENSE").write_text(noise(40, seed=1))
    (folder / "README.md").write_text(noise(40, seed=1))
    (folder / "bees" / "labels.lst").write_text("1\n0\n")
    return folder


@pytest.fixture
def run(store: Store, tmp_path: Path, data: Path) -> Callable[..., tuple[Recipe, Artifact, Artifact]]:
    """The corpus of these texts, and what decontamination decides: `(recipe, corpus, decided)`."""

    def make(*documents: str) -> tuple[Recipe, Artifact, Artifact]:
        recipe = recipe_of_files(tmp_path / "raw", {"web": [{"text": text} for text in documents]})
        corpus = finish(store, ingest_recipe(store, recipe), recipe)
        return recipe, corpus, decontaminated(store, corpus, recipe, data)

    return make


def left(corpus: Artifact, decided: Artifact | None) -> list[str]:
    return [d.text for s in corpus.shards for d in TrainingText(corpus, decided).read(s.name)]


def test_a_document_with_thirteen_words_of_a_question_in_a_row_is_left_out(run: Callable[..., tuple]) -> None:
    words = QUESTION.split()
    enough = f"{noise(50, 2)} {' '.join(words[3:16])} {noise(50, 3)}"
    too_few = f"{noise(50, 4)} {' '.join(words[3:15])} {noise(50, 5)}"
    shouted = f"{noise(9, 6)}: «{'  — '.join(words).upper()}»"
    _, corpus, decided = run(enough, too_few, shouted)
    assert left(corpus, decided) == [too_few]
    counts = decided.counts
    assert (counts["documents"], counts["kept"], counts[DROPPED], counts["hits.honey"]) == (3, 1, 2, 2)


def test_the_matched_passage_and_its_item_are_listed(run: Callable[..., tuple]) -> None:
    _, _, decided = run(f"{noise(50, 2)}. {QUESTION} {noise(50, 3)}", noise(100, 4))
    [shard] = decided.shards
    first, second = read_decisions(decided, shard.name)
    assert (first.reason, second.reason) == ("contaminated", "")
    [passage] = first.evidence["passages"]
    assert passage == {
        "benchmark": "honey",
        "file": "honey/val.jsonl",
        "item": 2,
        "field": "ctx",
        "text": QUESTION.lower().rstrip("."),
    }
    assert first.evidence["runs"] == len(QUESTION.split()) - 12
    assert decided.facts["examples"][0]["text"] == passage["text"]
    assert decided.facts["benchmarks"]["honey"] == {
        "items": 2,
        "passages": 1,
        "short_passages": 5,
        "unchecked_items": 1,
    }


def test_a_passage_is_found_wherever_it_lies_in_a_long_document(run: Callable[..., tuple]) -> None:
    long = noise(3 * word_runs.BLOCK_CHARS // 7, seed=2).split()
    assert len(" ".join(long)) > 2 * word_runs.BLOCK_CHARS
    places = [0, len(long), *(random.Random(1).randrange(len(long)) for _ in range(12))]
    documents = [" ".join([*long[:at], QUESTION, *long[at:]]) for at in places]
    _, corpus, decided = run(*documents, " ".join(long))
    assert left(corpus, decided) == [" ".join(long)]


def test_words_of_two_documents_make_no_passage(run: Callable[..., tuple]) -> None:
    words = QUESTION.split()
    parts = [" ".join(words[i : i + 9]) for i in (0, 9)]
    _, corpus, decided = run(*parts, *reversed(parts))
    assert left(corpus, decided) == [*parts, *reversed(parts)]


def test_numbers_counted_up_are_no_passage(run: Callable[..., tuple], data: Path) -> None:
    count = ", ".join(map(str, range(40)))
    again = "ba " * 40
    (data / "bees" / "numbers.jsonl").write_text(f"{json.dumps({'a': count, 'b': again})}\n")
    _, corpus, decided = run(f"values = [{count}]", again.strip())
    assert len(left(corpus, decided)) == 2


def test_every_format_and_shape_is_read(run: Callable[..., tuple], data: Path) -> None:
    passages = [noise(20, seed) for seed in range(10, 15)]
    with (data / "bees" / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["q", "x"], ["", f'{passages[0]}, "so"']])
    (data / "bees" / "b.tsv").write_text(f"ID\tStem\n1\t{passages[1]}\n")
    (data / "bees" / "c.json").write_text(json.dumps([{"qas": [{"answers": {"text": [passages[2]]}}]}]))
    pq.write_table(pa.table({"choices": [[passages[3]]]}), data / "bees" / "d.parquet")
    (data / "bees" / "e.jsonl").write_text(json.dumps([passages[4]]))
    _, corpus, decided = run(*passages, noise(20, 99))
    assert left(corpus, decided) == [noise(20, 99)]
    found = [
        d.evidence["passages"][0]["field"]
        for d in read_decisions(decided, decided.shards[0].name)
        if not d.keep
    ]
    assert found == ["x", "Stem", "qas.0.answers.text.0", "choices.0", "0"]


def test_licences_and_files_without_passages_are_named_as_not_read(data: Path) -> None:
    assert files(str(data)) == (["honey/val.jsonl"], ["README.md", "bees/labels.lst", "honey/LICENSE"])


def test_a_damaged_evaluation_set_is_an_error_that_names_the_row(
    run: Callable[..., tuple], data: Path
) -> None:
    (data / "bees" / "cut.jsonl").write_text('{"q": "whole"}\n{"q": "cu')
    with pytest.raises(InputError, match=r"cut\.jsonl, row 2"):
        run(noise(20, 1))


def test_half_of_a_surrogate_pair_in_an_evaluation_set_is_no_fault(
    run: Callable[..., tuple], data: Path
) -> None:
    (data / "bees" / "odd.jsonl").write_text(json.dumps({"q\ud800": f"{noise(20, 3)} \ud83d {noise(5, 4)}"}))
    _, corpus, decided = run(noise(20, 3), noise(20, 5))
    assert left(corpus, decided) == [noise(20, 5)]


def test_a_new_evaluation_set_that_hits_nothing_changes_no_address_after_it(
    run: Callable[..., tuple], data: Path
) -> None:
    clean = (noise(100, 1), noise(100, 2))
    _, corpus, decided = run(*clean)
    assert TrainingText(corpus, decided).digests("corpus") == {"corpus": corpus.digest}
    hit = f"{noise(10, 3)} {QUESTION}"
    _, corpus, first = run(*clean, hit)
    before = TrainingText(corpus, first).digests("corpus")
    assert before["decontaminate"] == first.digest
    (data / "bees" / "new.jsonl").write_text(json.dumps({"q": noise(50, 50)}))
    _, _, second = run(*clean, hit)
    assert second.id != first.id and TrainingText(corpus, second).digests("corpus") == before
    (data / "bees" / "newer.jsonl").write_text(json.dumps({"q": clean[0]}))
    _, _, third = run(*clean, hit)
    assert TrainingText(corpus, third).digests("corpus") != before and left(corpus, third) == [clean[1]]


def test_tokenizer_and_tokens_see_no_contaminated_document(run: Callable[..., tuple], store: Store) -> None:
    clean = [noise(200, seed) for seed in range(8)]
    recipe, corpus, decided = run(*clean, f"{QUESTION} {noise(20, 1)}")
    sample = draw(TrainingText(corpus, decided), "web", 1 << 20, 1)
    assert sorted(sample.texts) == sorted(clean)
    step = Step(store, "tokenizer", 1, {})
    cfg = recipe.tokenizer.model_copy(update={"vocab_size": 278, "sample_bytes": 1 << 20})
    train_tokenizer(step, TrainingText(corpus, decided), cfg, {"web": 1.0})
    tokenizer = step.commit(["tokenizer"])
    [shard] = corpus.shards
    step = Step(store, "tokens", 1, {})
    tokens_shard(step, TrainingText(corpus, decided), tokenizer, shard.name)
    tokens = step.commit([shard.name])
    assert tokens.counts["documents"] == decided.counts["kept"] == 8
    assert tokens.counts["bytes"] == sum(map(len, clean))

    _, corpus, decided = run(QUESTION)
    step = Step(store, "tokens", 1, {"of": "contaminated documents alone"})
    tokens_shard(step, TrainingText(corpus, decided), tokenizer, corpus.shards[0].name)
    assert step.commit([corpus.shards[0].name]).counts == {"bytes": 0, "documents": 0, "tokens": 0}


def test_what_the_files_hold_is_an_input(data: Path) -> None:
    before = digests(str(data))
    (data / "honey" / "val.jsonl").write_text("{}\n")
    assert digests(str(data)).keys() == before.keys() == {"honey/val.jsonl"}
    assert digests(str(data)) != before


WORDS = st.text(st.characters(categories=["L", "Nd"]), min_size=1, max_size=4)
SPACE = st.text(st.sampled_from(" \n,.'_\u2014\u0301"), min_size=1, max_size=2)
TEXTS = st.lists(st.tuples(WORDS, SPACE), max_size=30).map(lambda parts: "".join(map("".join, parts)))


@given(st.lists(TEXTS, max_size=6), st.integers(1, 4))
def test_runs_in_numpy_are_the_runs_of_words(documents: list[str], n: int) -> None:
    plains = [plain(text) for text in documents]
    whole, _ = joined(plains)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(word_runs, "BLOCK_CHARS", 64)  # blocks smaller than a text, larger than a run
        pieces = list(runs(whole, n))
    spans = [
        (int(piece.hashes[i]), whole[piece.starts[i] : piece.ends[i + n - 1]])
        for piece in pieces
        for i in range(len(piece.hashes))
    ]
    inside = [(h, tuple(words_of(run))) for h, run in spans if BREAK not in run]
    words = [words_of(text) for text in plains]
    assert [run for _, run in inside] == [tuple(w[i : i + n]) for w in words for i in range(len(w) - n + 1)]
    assert len({h for h, _ in inside}) == len({run for _, run in inside}) == len(set(inside))


@pytest.mark.skipif(not EVALDATA.is_dir(), reason=f"no evaluation sets at {EVALDATA}")
@pytest.mark.parametrize("rows", [500, pytest.param(None, marks=pytest.mark.slow)])
def test_real_evaluation_sets_are_read_and_found_in_a_text_that_quotes_them(
    store: Store, tmp_path: Path, rows: int | None
) -> None:
    """The text of each file with the most different words, in the midst of others."""
    folder = beginnings(EVALDATA, tmp_path / "data", rows) if rows else EVALDATA
    step = Step(store, "decontaminate", 1, {})
    benchmarks_shard(step, Decontaminate(), str(folder))
    shard = step.committed(BENCHMARKS)
    assert shard is not None and len(shard.facts["benchmarks"]) >= 15
    found = index.read_index(step.folder, shard, 13)
    data = Store(str(folder))
    for name in files(str(folder))[0]:
        varied = max((p.text for p in passages(data, name)), key=different_words)
        [spans] = found.find([plain(f"{noise(30, 1)} {varied} {noise(30, 2)}")])
        assert sum(s.end - s.start for s in spans) > 0.5 * len(varied), name
    assert found.find([noise(1000, 3)]) == [[]]
