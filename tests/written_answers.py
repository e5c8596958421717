"""Models of which a test says what they write, and the small files that they are asked about."""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from llama_core.evaluate.benchmark import Answer, File, Generation, Request


class Writer:
    """A model that writes what `text` makes of the number of an item and of a sample, both from 0."""

    def __init__(self, text: Callable[[int, int], str]):
        self.text = text
        self.asked: list[Generation] = []

    def answer(self, requests: Sequence[Request]) -> list[Answer]:
        self.asked = [request for request in requests if isinstance(request, Generation)]
        assert len(self.asked) == len(requests)
        return [[self.text(n, i) for i in range(one.samples)] for n, one in enumerate(self.asked)]


def lines(name: str, rows: Iterable[object]) -> File:
    return File(name, "".join(json.dumps(row) + "\n" for row in rows).encode())


def task_of(config: dict[str, Any], docs: list[dict[str, Any]]) -> dict[str, Any]:
    """lm-eval's task of a configuration, about documents, as `evaluate` takes it."""
    import datasets
    from lm_eval.tasks import TaskManager

    kept = {key: value for key, value in config.items() if key not in ("dataset_path", "dataset_name")}
    kept["custom_dataset"] = lambda **_: {kept["test_split"]: datasets.Dataset.from_list(docs)}
    return TaskManager(include_defaults=False).load([kept])


def rendered(config: dict[str, Any], docs: list[dict[str, Any]]) -> list[str]:
    """The prompts that lm-eval's task makes of documents."""
    task = task_of(config, docs)["tasks"][config["task"]]
    task.build_all_requests()
    return [instance.args[0] for instance in task.instances]


def scores(config: dict[str, Any], docs: list[dict[str, Any]], texts: Sequence[str]) -> dict[str, float]:
    """What lm-eval's task makes of a text about each document."""
    from lm_eval.api.model import LM
    from lm_eval.evaluator import evaluate

    class Written(LM):
        def generate_until(self, requests: Any, disable_tqdm: bool = True) -> list[str]:
            return [texts[request.doc_id] for request in requests]

        def loglikelihood(self, requests: Any) -> Any:
            raise AssertionError

        loglikelihood_rolling = loglikelihood

    found = evaluate(Written(), task_of(config, docs), bootstrap_iters=0, log_samples=False)
    return found["results"][config["task"]]
