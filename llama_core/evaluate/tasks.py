"""The benchmarks' files, as questions: {"query", "choices", "gold"}.

The paper scores a choice by its log-likelihood divided by its number of characters (Touvron et al. 2023,
section 3), which is lm-eval's `acc_norm`. A new benchmark is a `Task`: what its file may be called, and how a
line of it becomes a question.
"""

import hashlib
import importlib.metadata
import importlib.util
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

from llama_core.errors import InputError
from llama_core.store import Store

Question = dict[str, Any]


class NotRun(Exception):
    """A benchmark cannot be run; the message says why."""


@dataclass(frozen=True)
class Task:
    """A benchmark: where its questions come from."""

    patterns: tuple[str, ...]
    """What its file may be called, below the folder of the benchmarks: the first that matches counts."""
    question: Callable[[dict[str, Any]], Question]
    """Returns the question in a row of the file. Raises KeyError, IndexError, TypeError or ValueError where
    there is none."""


def read_questions(task: str, data: str | None) -> tuple[list[Question], str]:
    """Return the questions of `task` in the folder `data`, and the name of their file.

    Raises NotRun where there is no file, and InputError where a line of it is no question.
    """
    store, name = _find(task, data)
    questions = []
    for number, line in enumerate(store.read(name).decode().splitlines(), 1):
        try:
            questions.append(TASKS[task].question(json.loads(line)))
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise InputError(
                f"{store.url_of(name)}, line {number}: not a question of {task}: {error!r}"
            ) from error
    return questions, name


def data_digests(data: str | None, tasks: Sequence[str]) -> dict[str, str]:
    """Return what the scores depend on besides the model, by the name of the benchmark.

    This is the name, size and sha256 of its file, and the version of lm-eval. A benchmark without its file is
    left out, so that it is scored once the file is there.
    """
    digests = {}
    for task in tasks:
        try:
            store, name = _find(task, data)
        except NotRun:
            continue
        content = store.read(name)
        digests[task] = f"{name}:{len(content)}:{hashlib.sha256(content).hexdigest()}"
    if digests:
        digests["lm-eval"] = harness_version() or "none"
    return digests


def harness_version() -> str | None:
    """Return lm-eval's version, or None where it is not installed."""
    return importlib.metadata.version("lm_eval") if importlib.util.find_spec("lm_eval") else None


def _find(task: str, data: str | None) -> tuple[Store, str]:
    """Return the folder of the benchmarks, and the name of a benchmark's file. Raises NotRun."""
    if data is None:
        raise NotRun("evaluate.data names no folder with the benchmarks' files")
    store = Store(data)
    names = store.list()
    if not names:
        raise NotRun(f"there is nothing in {store.url}")
    for pattern in TASKS[task].patterns:
        if found := [name for name in names if fnmatch(name, pattern)]:
            return store, found[0]
    raise NotRun(f"{store.url} has no file like {TASKS[task].patterns[0]}")


def _hellaswag(row: dict[str, Any]) -> Question:
    """Return the question in an official row, or in one whose text is joined and cleaned already."""
    query, choices = f"{row['activity_label']}: {row['ctx']}", row["endings"]
    if "ctx_b" in row:
        query = _unmarked(f"{row['activity_label']}: {row['ctx_a']} {row['ctx_b'].capitalize()}")
        choices = [_unmarked(choice) for choice in choices]
    return _checked(query, choices, gold=int(row["label"]))


def _unmarked(text: str) -> str:
    """Return a text without the markup of the part from WikiHow, as lm-eval does it."""
    text = re.sub(r"\[.*?\]", "", text.strip().replace(" [title]", ". "))
    return text.replace("  ", " ")


def _arc(row: dict[str, Any]) -> Question:
    """Return the question in a row of AI2's ({"question": {"stem", "choices"}}), the hub's, or a plain one.

    A plain row has a list of choices and the number of the right one, `gold`.
    """
    question, choices = row["question"], row.get("choices")
    if isinstance(question, dict):
        question, choices = question["stem"], question["choices"]
    if isinstance(choices, dict):
        texts, labels = choices["text"], choices["label"]
    elif choices and isinstance(choices[0], dict):
        texts, labels = [c["text"] for c in choices], [c["label"] for c in choices]
    else:
        texts, labels = choices, None
    gold = int(row["gold"]) if "gold" in row else labels.index(row["answerKey"])
    return _checked(query=f"Question: {question}\nAnswer:", choices=texts, gold=gold)


def _checked(query: str, choices: list[str], gold: int) -> Question:
    """Return a question. Raises ValueError where a choice is empty, or the right one is not among them."""
    if not all(isinstance(choice, str) and choice for choice in choices) or not 0 <= gold < len(choices):
        raise ValueError(f"choices {choices!r}, gold {gold}")
    return {"query": query, "choices": choices, "gold": gold}


TASKS = {
    "hellaswag": Task(("*hellaswag_val.jsonl", "hellaswag/*.jsonl"), _hellaswag),
    "arc_easy": Task(("*ARC-Easy[_-][Tt]est.jsonl",), _arc),
}
