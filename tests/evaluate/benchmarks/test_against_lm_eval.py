"""lm-eval, with its own tasks and its own Hugging Face model, agrees with our benchmarks on ours."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import small_benchmarks as small
import torch
from asked import run
from lm_eval_model import exported
from trained import Trained

from llama_core.evaluate.benchmark import Dataset, Result, Verdict
from llama_core.evaluate.benchmarks import BENCHMARKS
from llama_core.evaluate.benchmarks.choices import Rule
from llama_core.evaluate.files import Folder
from llama_core.evaluate.model import TrainedModel
from llama_core.evaluate.score import Scorer
from llama_core.store import Store
from llama_core.train.distributed import World

pytestmark = pytest.mark.slow
SEQ_LEN = 1024  # no prompt is cut
CHARACTERS, PLAIN = Rule.CHARACTERS.value, Rule.PLAIN.value


@pytest.fixture(scope="module")
def ours(trained: Trained) -> TrainedModel:
    scorer = Scorer(trained.model(), SEQ_LEN, 8192, World(0, 1, torch.device("cpu")))
    return TrainedModel(scorer, trained.tokenizer)


@pytest.fixture(scope="module")
def theirs(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = exported(trained, Store(str(tmp_path_factory.mktemp("export"))))
    from lm_eval.models.huggingface import HFLM

    return HFLM(pretrained=folder, device="cpu", batch_size=4, dtype="float32", max_length=SEQ_LEN)


def run_ours(
    name: str, model: TrainedModel, dataset: Dataset[Any] | None = None
) -> tuple[Result, list[Verdict]]:
    verdicts: list[Verdict] = []
    benchmark = BENCHMARKS[name]
    dataset = dataset or small.load(benchmark)
    result = run(benchmark, benchmark.variants[0], dataset, model, lambda *told: verdicts.append(told[3]))
    return result, verdicts


def theirs_by_name(name: str) -> dict[str, Any]:
    """The configuration of one of lm-eval's own tasks, with its functions."""
    import lm_eval.tasks
    from lm_eval.tasks._yaml_loader import load_yaml

    return load_yaml(Path(lm_eval.tasks.__file__).parent / f"{name}.yaml")


def run_theirs(
    model: Any, rows: Sequence[Any], config: dict[str, Any], examples: Sequence[Any] = ()
) -> tuple[dict[str, float], list[list[float]]]:
    """The metrics of a task of lm-eval's, and the log-likelihoods by row."""
    import datasets
    from lm_eval.evaluator import evaluate
    from lm_eval.tasks import TaskManager

    for key in ("dataset_path", "dataset_name", "training_split", "tag", "metadata", "task_alias"):
        config.pop(key, None)
    splits = {"validation": datasets.Dataset.from_list(list(rows))}
    splits["test"] = splits["validation"]
    splits["dev"] = datasets.Dataset.from_list(list(examples) or list(rows))
    config["custom_dataset"] = lambda **_: splits
    loaded = TaskManager(include_defaults=False).load([config])
    found = evaluate(model, loaded, bootstrap_iters=0, log_samples=True)
    metrics = {key.removesuffix(",none"): value for key, value in found["results"][config["task"]].items()}
    samples = sorted(found["samples"][config["task"]], key=lambda sample: sample["doc_id"])
    return metrics, [[pair[0][0] for pair in sample["resps"]] for sample in samples]


def assert_same(verdicts: Sequence[Verdict], theirs: Sequence[Sequence[float]]) -> None:
    assert len(verdicts) == len(theirs) > 1
    for verdict, other in zip(verdicts, theirs):
        assert verdict.details["nats"] == pytest.approx(other, abs=1e-3)


TASKS = {
    "boolq": ("super_glue/boolq/default", [row | {"label": int(row["answer"])} for row in small.BOOLQ]),
    "openbookqa": ("openbookqa/openbookqa", small.OPENBOOKQA),
    "piqa": ("piqa/piqa", small.PIQA),
    "siqa": ("siqa/siqa", small.SIQA),
    "hellaswag": ("hellaswag/hellaswag", small.HELLASWAG),
    "winogrande": ("winogrande/default", small.WINOGRANDE),
    "arc_easy": ("arc/arc_easy", small.ARC),
    "arc_challenge": ("arc/arc_challenge", small.ARC),
}


@pytest.mark.parametrize("name", TASKS)
def test_likelihoods_and_accuracies_are_those_of_lm_evals_task(
    name: str, ours: TrainedModel, theirs: Any
) -> None:
    task, rows = TASKS[name]
    metrics, likelihoods = run_theirs(theirs, rows, theirs_by_name(task))
    result, verdicts = run_ours(name, ours)
    assert_same(verdicts, likelihoods)
    accuracies = result.figures | {result.metric: result.score}
    assert metrics["acc"] == pytest.approx(accuracies[PLAIN])
    if "acc_norm" in metrics:
        assert metrics["acc_norm"] == pytest.approx(accuracies[CHARACTERS])


PUBLISHED = {
    "boolq": "boolq/validation.jsonl",
    "piqa": "piqa/valid.jsonl",
    "siqa": "siqa/validation.jsonl",
    "winogrande": "winogrande/dev.jsonl",
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_rows_are_scored_as_lm_eval_scores_them(name: str, ours: TrainedModel, theirs: Any) -> None:
    path = small.EVALDATA / PUBLISHED[name]
    if not path.exists():
        pytest.skip(f"{path} is not there")
    items = Folder(str(small.EVALDATA)).load(BENCHMARKS[name]).items[:24]
    rows = [json.loads(line) for line in path.read_text().splitlines()[:24]]
    for row, item in zip(rows, items):
        row["label"] = {"siqa": item.gold + 1}.get(name, item.gold)
    metrics, likelihoods = run_theirs(theirs, rows, theirs_by_name(TASKS[name][0]))
    result, verdicts = run_ours(name, ours, Dataset(items))
    assert_same(verdicts, likelihoods)
    accuracies = result.figures | {result.metric: result.score}
    assert metrics["acc"] == pytest.approx(accuracies[PLAIN])


def test_mmlu_is_that_of_lm_eval_with_five_examples(ours: TrainedModel, theirs: Any) -> None:
    result, verdicts = run_ours("mmlu", ours)
    for number, subject in enumerate(small.SUBJECTS):
        rows, examples = (
            [row for row in found if row["subject"] == subject] for found in (small.MMLU_TEST, small.MMLU_DEV)
        )
        task = theirs_by_name(f"mmlu/default/mmlu_{subject}") | {"num_fewshot": 5}
        metrics, likelihoods = run_theirs(theirs, rows, task, examples)
        assert_same(verdicts[2 * number : 2 * number + 2], likelihoods)
        assert metrics["acc"] == pytest.approx(result.figures[subject])


def test_race_is_scored_as_lm_eval_scores_our_prompt_of_a_passages_last_question(
    ours: TrainedModel, theirs: Any
) -> None:
    """lm-eval's own prompt is another, so the one of GPT-3 is written in its language here."""
    template = (
        "Article:\n{{article}}\n\n"
        "{% for question in questions[:-1] %}Q: {{question}}\n"
        "A: {{options[loop.index0]['ABCD'.index(answers[loop.index0])]}}\n{% endfor %}"
        "Q: {{questions[-1]}}\nA:"
    )
    task = {
        "task": "race_last",
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": template,
        "doc_to_choice": "{{options[-1]}}",
        "doc_to_target": "{{'ABCD'.index(answers[-1])}}",
        "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}],
    }
    metrics, likelihoods = run_theirs(theirs, small.RACE, task)
    _, verdicts = run_ours("race_high", ours)
    last = [verdicts[2], verdicts[3]]
    assert_same(last, likelihoods)
    assert metrics["acc_norm"] == pytest.approx(sum(verdict.score for verdict in last) / 2)


def test_truthfulqa_is_that_of_lm_eval(ours: TrainedModel, theirs: Any) -> None:
    result, verdicts = run_ours("truthfulqa", ours)
    for number, name in ((1, "MC1"), (2, "MC2")):
        metrics, likelihoods = run_theirs(
            theirs, small.TRUTHFULQA, theirs_by_name(f"truthfulqa/truthfulqa_mc{number}")
        )
        assert metrics["acc"] == pytest.approx(
            {"MC1": result.score, "MC2": result.figures["MC2"]}[name], abs=1e-3
        )
        for row, verdict, other in zip(small.TRUTHFULQA, verdicts, likelihoods, strict=True):
            choices = row[f"mc{number}_targets"]["choices"]  # type: ignore[index]
            assert [verdict.details["nats"][choice] for choice in choices] == pytest.approx(other, abs=1e-3)


def test_crows_pairs_by_total_likelihood_is_that_of_lm_eval(ours: TrainedModel, theirs: Any) -> None:
    metrics, likelihoods = run_theirs(theirs, small.CROWS, theirs_by_name("crows_pairs/crows_pairs_english"))
    result, verdicts = run_ours("crows_pairs", ours)
    assert_same(verdicts, likelihoods)
    by_total = result.figures["stereotype preferred by total likelihood"]
    assert metrics["pct_stereotype"] == pytest.approx(by_total)


def test_winogender_is_scored_as_lm_eval_scores_our_prompt(ours: TrainedModel, theirs: Any) -> None:
    """lm-eval's own prompt has curly quotes and the article before the choices."""
    items = small.load(BENCHMARKS["winogender"]).items
    rows = [
        {"text": item.text, "pronoun": item.pronoun, "label": item.gold}
        | {
            f"person{n}": "someone" if name == "someone" else f"the {name}"
            for n, name in enumerate(item.people)
        }
        for item in items
    ]
    task = {
        "task": "winogender_ours",
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "{{text}} '{{pronoun.capitalize()}}' refers to",
        "doc_to_choice": "{{[person0, person1]}}",
        "doc_to_target": "label",
        "metric_list": [{"metric": "acc"}],
    }
    metrics, likelihoods = run_theirs(theirs, rows, task)
    result, verdicts = run_ours("winogender", ours)
    assert_same(verdicts, likelihoods)
    assert metrics["acc"] == pytest.approx(result.figures["accuracy by total likelihood"])
