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


def rendered(config: dict[str, Any], docs: list[dict[str, Any]]) -> list[str]:
    """The prompts that a task of lm-eval, which is the configuration, makes of documents."""
    import datasets
    from lm_eval.tasks import TaskManager

    kept = {key: value for key, value in config.items() if key not in ("dataset_path", "dataset_name")}
    split = kept["test_split"] or kept["validation_split"]
    kept["custom_dataset"] = lambda **_: {split: datasets.Dataset.from_list(docs)}
    task = TaskManager(include_defaults=False).load([kept])["tasks"][kept["task"]]
    task.build_all_requests()
    return [instance.args[0] for instance in task.instances]
