"""Benchmarks are read in every layout that they are published in, and no score is made up."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import datasets
import pytest
import torch
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from trained import Trained

from llama_core.corpus.decontaminate import evaluation_sets
from llama_core.errors import InputError
from llama_core.evaluate import harness
from llama_core.evaluate.harness import run_questions, run_tasks
from llama_core.evaluate.score import Scorer
from llama_core.evaluate.tasks import NotRun, check, data_digests, read_questions
from llama_core.recipe import Evaluate
from llama_core.store import Store
from llama_core.train.distributed import World

ALONE = World(0, 1, torch.device("cpu"))
CHOICES = ["is red.", "is a long answer, by far the longest.", "runs", "falls over."]


def write(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    hellaswag = [
        {
            "ind": i,
            "activity_label": "Roof",
            "ctx": f"A man sits on roof {i}. he",
            "label": (0, 0, 0, 0, 1, 1, 1, 2, 2, 3)[i % 10],
            "endings": CHOICES,
        }
        for i in range(20)
    ]
    arc = [
        {"id": str(i), "question": f"What is {i}?", "choices": CHOICES[i % 2 :], "gold": i % 3}
        for i in range(20)
    ]
    write(tmp_path / "data/hellaswag/hellaswag_val_preprocessed.jsonl", hellaswag)
    write(tmp_path / "data/arc/ARC-Easy_test.jsonl", arc)
    return tmp_path / "data"


def test_the_official_hellaswag_rows_are_read_as_lm_eval_reads_them(tmp_path: Path) -> None:
    from lm_eval.tasks.hellaswag.utils import process_docs

    row = {
        "activity_label": "Home and Garden",
        "ctx_a": "[header] How to paint [title] Buy paint. [step] Go to  a shop.",
        "ctx_b": "the man",
        "ctx": "not this one",
        "endings": ["[substeps] Ask.", "go   home.", " c [title] d", "e"],
        "label": "1",
    }
    write(tmp_path / "hellaswag_val.jsonl", [row])
    (question,), name = read_questions("hellaswag", str(tmp_path))
    (theirs,) = process_docs(datasets.Dataset.from_list([row]))
    assert name == "hellaswag_val.jsonl"
    assert question == {key: theirs[key] for key in ("query", "choices", "gold")}


@pytest.mark.parametrize(
    "row",
    [
        {"question": "Why?", "choices": ["a", "b"], "gold": 1},
        {"question": "Why?", "choices": {"text": ["a", "b"], "label": ["1", "2"]}, "answerKey": "2"},
        {
            "question": {
                "stem": "Why?",
                "choices": [{"text": "a", "label": "A"}, {"text": "b", "label": "B"}],
            },
            "answerKey": "B",
        },
    ],
)
def test_arc_is_read_in_each_of_its_layouts(tmp_path: Path, row: dict[str, object]) -> None:
    write(tmp_path / "ARC-V1-Feb2018-2/ARC-Easy/ARC-Easy-Test.jsonl", [row])
    (question,), _ = read_questions("arc_easy", str(tmp_path))
    assert question == {"query": "Question: Why?\nAnswer:", "choices": ["a", "b"], "gold": 1}


def test_a_damaged_line_is_named(data: Path) -> None:
    file = data / "arc/ARC-Easy_test.jsonl"
    lines = file.read_text().splitlines()
    lines[3] = lines[3][:20]
    file.write_text("\n".join(lines))
    with pytest.raises(InputError, match=r"ARC-Easy_test\.jsonl, line 4"):
        read_questions("arc_easy", str(data))


HELLASWAG = {"activity_label": "Roof", "ctx": "A man sits.", "endings": ["a", "b"], "label": 1}
ARC = {"question": {"stem": "Why?", "choices": [{"text": "a", "label": "A"}]}, "answerKey": "A"}


@pytest.mark.parametrize(
    ("file", "row", "said"),
    [
        ("hellaswag", [], "no object with a key `activity_label`"),
        ("hellaswag", {k: v for k, v in HELLASWAG.items() if k != "endings"}, "`endings` is missing"),
        ("hellaswag", HELLASWAG | {"ctx": 7}, "`ctx` is '7', and not a text"),
        ("hellaswag", HELLASWAG | {"endings": "ab"}, "`endings` is 'ab', and not a list"),
        ("hellaswag", HELLASWAG | {"endings": ["a", None]}, r"`endings\.1` is 'None', and not a text"),
        ("hellaswag", HELLASWAG | {"endings": ["a", ""]}, "a choice is empty"),
        ("hellaswag", HELLASWAG | {"ctx": "\ud800"}, "`ctx` is no text"),
        ("hellaswag", HELLASWAG | {"label": 2}, "`label` is 2, and there are 2 choices"),
        ("hellaswag", HELLASWAG | {"label": "-1"}, "`label` is '-1', and not a number"),
        ("hellaswag", HELLASWAG | {"label": True}, "`label` is 'True', and not a whole number or a text"),
        ("hellaswag", HELLASWAG | {"label": float("nan")}, "`label` is 'nan', and not a whole number"),
        ("arc", ARC | {"answerKey": "B"}, r"`answerKey` is 'B', and the labels of the choices are \['A'\]"),
        ("arc", ARC | {"question": {"stem": "Why?"}}, "the key `choices` is missing"),
        ("arc", {"question": "Why?", "choices": ["a"]}, "the key `answerKey` is missing"),
        (
            "arc",
            {"question": "Why?", "choices": ["a"], "answerKey": "A"},
            "labels of the choices are not there",
        ),
        (
            "arc",
            {"question": "Why?", "choices": {"text": ["a"], "label": ["A", "B"]}, "answerKey": "B"},
            "2 entries for 1 choices",
        ),
    ],
)
def test_a_row_that_is_no_question_is_named_by_file_line_and_key(
    data: Path, file: str, row: object, said: str
) -> None:
    task = {"hellaswag": "hellaswag", "arc": "arc_easy"}[file]
    (path,) = (data / file).iterdir()
    path.write_text(path.read_text() + "\n" + json.dumps(row) + "\n" + json.dumps(HELLASWAG))
    with pytest.raises(InputError, match=rf"{path.name}, line 22: not a question of {task}: .*{said}"):
        check(str(data), ["hellaswag", "arc_easy"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"a": "\xff"}', "line 2: it is not UTF-8"),
        (b'{"a": ', "line 2: it is not JSON, or the file is cut here"),
        (b"[" * 100_000, "line 2: its values are nested"),
        (b'{"a": ' + b"9" * 5000 + b"}", "line 2: it is not JSON"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_line_that_cannot_be_read_is_named(data: Path, content: bytes, said: str, packed: bool) -> None:
    path = data / "arc" / "ARC-Easy_test.jsonl"
    lines = path.read_bytes().split(b"\n")
    whole = b"\n".join([lines[0], content, *lines[1:]])
    if packed:
        path.unlink()
        path = path.with_suffix(".jsonl.gz")
        whole = gzip.compress(whole)
    path.write_bytes(whole)
    with pytest.raises(InputError, match=rf"{path.name}, {said}"):
        check(str(data), ["arc_easy"])
    with pytest.raises(InputError, match=rf"{path.name}, .*{said}"):
        evaluation_sets.check(str(data))


def test_a_packed_file_that_is_cut_and_an_empty_one_are_named(data: Path) -> None:
    path = data / "arc" / "ARC-Easy_test.jsonl"
    packed = gzip.compress(path.read_bytes())
    path.write_bytes(b"\n\n")
    with pytest.raises(InputError, match=r"ARC-Easy_test\.jsonl has no questions"):
        check(str(data), ["arc_easy"])
    path.unlink()
    path.with_suffix(".jsonl.gz").write_bytes(packed[:-20])
    with pytest.raises(InputError, match=r"ARC-Easy_test\.jsonl\.gz, line \d+: the file is cut here"):
        check(str(data), ["arc_easy"])


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz"])
def test_separators_in_a_text_bytes_that_mark_the_order_and_white_lines_are_no_faults(
    tmp_path: Path, ending: str
) -> None:
    row = HELLASWAG | {"ctx": "A man\u2028sits\u0085 on\x0b it.\x1c"}
    whole = "\ufeff" + json.dumps(row, ensure_ascii=False) + "\r\n\n" + json.dumps(HELLASWAG) + "\n  \n\n"
    packed = gzip.compress(whole.encode()) if ending.endswith("gz") else whole.encode()
    (tmp_path / f"hellaswag_val{ending}").write_bytes(packed)
    check(str(tmp_path), ["hellaswag", "arc_easy"])
    questions, name = read_questions("hellaswag", str(tmp_path))
    assert [q["query"] for q in questions] == ["Roof: " + row["ctx"], "Roof: A man sits."]
    found = [p.text for p in evaluation_sets.passages(Store(str(tmp_path)), name) if p.field == "ctx"]
    assert found == [row["ctx"], "A man sits."]


@pytest.mark.parametrize("folder", [None, "nowhere"])
def test_without_its_file_a_benchmark_is_not_run(
    tmp_path: Path, trained: Trained, folder: str | None
) -> None:
    cfg = Evaluate(data=folder and str(tmp_path / folder))
    results = run_tasks(Scorer(trained.model(), 64, 512, ALONE), trained.tokenizer, cfg)
    assert results.keys() == {"hellaswag", "arc_easy"}
    assert all(r["status"] == "not run" and r["reason"] and "score" not in r for r in results.values())
    assert data_digests(cfg.data, list(cfg.tasks)) == {}


def test_without_lm_eval_a_benchmark_is_not_run(
    data: Path, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(harness, "harness_version", lambda: None)
    results = run_tasks(Scorer(trained.model(), 64, 512, ALONE), trained.tokenizer, Evaluate(data=str(data)))
    assert all(r["status"] == "not run" and "pip install" in r["reason"] for r in results.values())


def test_where_an_answer_is_longer_than_the_model_sees_a_benchmark_is_not_run(
    data: Path, trained: Trained
) -> None:
    results = run_tasks(Scorer(trained.model(), 4, 64, ALONE), trained.tokenizer, Evaluate(data=str(data)))
    assert all(r["status"] == "not run" and "train.seq_len" in r["reason"] for r in results.values())


def test_a_link_that_leads_nowhere_is_said(data: Path) -> None:
    link = data / "arc/ARC-Easy_test.jsonl"
    link.unlink()
    link.symlink_to("gone")
    for use in (
        lambda: check(str(data), ["arc_easy"]),
        lambda: data_digests(str(data), ["arc_easy"]),
        lambda: evaluation_sets.check(str(data)),
        lambda: evaluation_sets.digests(str(data)),
    ):
        with pytest.raises(InputError, match=r"ARC-Easy_test\.jsonl is gone, or a link that leads nowhere"):
            use()


def test_digests_follow_what_the_files_hold_and_not_where_they_lie(data: Path) -> None:
    before = data_digests(str(data), ["hellaswag", "arc_easy"])
    moved = data.rename(data.with_name("moved"))
    assert data_digests(str(moved), ["hellaswag", "arc_easy"]) == before
    file = moved / "arc/ARC-Easy_test.jsonl"
    file.write_text(file.read_text().replace("What", "That", 1))
    after = data_digests(str(moved), ["hellaswag", "arc_easy"])
    assert {k for k in before if before[k] != after[k]} == {"arc_easy"}
    file.unlink()
    assert data_digests(str(moved), ["hellaswag", "arc_easy"]).keys() == {"hellaswag", "lm-eval"}
    with pytest.raises(NotRun):
        read_questions("arc_easy", str(moved))


def test_scores_are_the_papers_rule_computed_by_hand(data: Path, trained: Trained) -> None:
    """argmax over choices of log P(choice | question) / characters of the choice."""
    scorer, tokenizer = Scorer(trained.model(), 64, 512, ALONE), trained.tokenizer
    results = run_tasks(scorer, tokenizer, Evaluate(data=str(data), limit=15))
    for task, result in results.items():
        questions = read_questions(task, str(data))[0][:15]
        plain = normalised = 0
        for question in questions:
            context = tokenizer.encode(question["query"], bos=True)
            values = []
            for choice in question["choices"]:
                whole = tokenizer.encode(f"{question['query']} {choice}", bos=True)
                (score,) = scorer.score([(context, whole[len(context) :])])
                values.append(score.loglikelihood)
            plain += max(range(len(values)), key=values.__getitem__) == question["gold"]
            by_length = [v / len(c) for v, c in zip(values, question["choices"])]
            normalised += max(range(len(values)), key=by_length.__getitem__) == question["gold"]
        assert result["status"] == "done" and result["n"] == 15
        assert (result["metric"], result["score"]) == ("acc_norm", pytest.approx(normalised / 15))
        assert result["acc"] == pytest.approx(plain / 15)


class Scripted(LM):
    """An lm-eval model whose scores are known beforehand, so that only the rule decides."""

    def __init__(self, score: Callable[[str], float]) -> None:
        super().__init__()
        self.score = score

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        return [(self.score(request.args[1].removeprefix(" ")), False) for request in requests]

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
        raise NotImplementedError

    def generate_until(self, requests: list[Instance]) -> list[str]:
        raise NotImplementedError


def test_the_score_divides_by_the_characters_of_the_choice(data: Path) -> None:
    questions, _ = read_questions("hellaswag", str(data))
    alike = run_questions(Scripted(lambda choice: -1.0), "hellaswag", questions)
    by_length = run_questions(Scripted(lambda choice: -len(choice)), "hellaswag", questions)
    labels = [question["gold"] for question in questions]
    first, longest, shortest = (labels.count(i) / len(labels) for i in (0, 1, 2))
    assert (alike["acc"], alike["score"]) == (first, longest)
    assert (by_length["acc"], by_length["score"]) == (shortest, first)
    assert alike["chance"] == 0.25
