"""The benchmarks' files, as questions: {"query", "choices", "gold"}.

The paper scores a choice by its log-likelihood divided by its number of characters (Touvron et al. 2023,
section 3), which is lm-eval's `acc_norm`. A new benchmark is a `Task`: what its file may be called, and how a
line of it becomes a question.
"""

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

from llama_core.corpus.decontaminate.evaluation_sets import content_of
from llama_core.corpus.formats import json_lines
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
    question: Callable[[Any], Question]
    """Returns the question in a row of the file, which may be any JSON value. Raises ValueError where it is
    none."""


def read_questions(task: str, data: str | None) -> tuple[list[Question], str]:
    """Return the questions of `task` in the folder `data`, and the name of their file.

    Raises NotRun where there is no file, and InputError where a line of it is no question.
    """
    store, name = _find(task, data)
    url, questions = store.url_of(name), []
    try:
        for number, row in json_lines.values(content_of(store, name), name):
            try:
                questions.append(TASKS[task].question(row))
            except ValueError as error:
                raise InputError(f"{url}, line {number}: not a question of {task}: {error}") from error
    except ValueError as error:
        raise InputError(f"{url}, {error}") from error
    if not questions:
        raise InputError(f"{url} has no questions: it is empty")
    return questions, name


def check(data: str | None, tasks: Sequence[str]) -> None:
    """Check every line of the files of these benchmarks in the folder `data`; one without its file is none.

    Raises InputError, which names the file, the line and the key, and StoreError.
    """
    for task in tasks:
        with contextlib.suppress(NotRun):
            read_questions(task, data)


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
        content = content_of(store, name)
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
        if found := [name for name in names if fnmatch(_unpacked(name), pattern)]:
            return store, found[0]
    raise NotRun(f"{store.url} has no file like {TASKS[task].patterns[0]}")


def _unpacked(name: str) -> str:
    """Return a file's name without the ending that says how it is packed."""
    return name.removesuffix(".gz").removesuffix(".zst")


def _hellaswag(row: Any) -> Question:
    """Return the question in an official row, or in one whose text is joined and cleaned already."""
    label, choices = _text(row, "activity_label"), _texts(row, "endings")
    if "ctx_b" in row:
        query = _unmarked(f"{label}: {_text(row, 'ctx_a')} {_text(row, 'ctx_b').capitalize()}")
        choices = [_unmarked(choice) for choice in choices]
    else:
        query = f"{label}: {_text(row, 'ctx')}"
    return _checked(query, choices, _number(row, "label"), "label")


def _unmarked(text: str) -> str:
    """Return a text without the markup of the part from WikiHow, as lm-eval does it."""
    text = re.sub(r"\[.*?\]", "", text.strip().replace(" [title]", ". "))
    return text.replace("  ", " ")


def _arc(row: Any) -> Question:
    """Return the question in a row of AI2's ({"question": {"stem", "choices"}}), the hub's, or a plain one.

    A plain row has a list of choices and the number of the right one, `gold`.
    """
    asked = _of(row, "question", dict, str)
    stem, holder = (_text(asked, "stem"), asked) if isinstance(asked, dict) else (_text(row, "question"), row)
    choices = _of(holder, "choices", dict, list)
    labels: list[str] | None = None
    if isinstance(choices, dict):
        texts, labels = _texts(choices, "text"), _texts(choices, "label")
    elif choices and isinstance(choices[0], dict):
        texts, labels = [_text(c, "text") for c in choices], [_text(c, "label") for c in choices]
    else:
        texts = _texts(holder, "choices")
    key = "gold" if "gold" in row else "answerKey"
    if key == "gold":
        gold = _number(row, key)
    else:
        answer = _text(row, key)
        if labels is None or answer not in labels:
            raise ValueError(
                f"`answerKey` is {answer!r}, and the labels of the choices are {labels or 'not there'}"
            )
        gold = labels.index(answer)
    if labels is not None and len(labels) != len(texts):
        raise ValueError(f"`label` has {len(labels)} entries for {len(texts)} choices")
    return _checked(f"Question: {stem}\nAnswer:", texts, gold, key)


def _checked(query: str, choices: list[str], gold: int, key: str) -> Question:
    """Return a question. Raises ValueError where a choice is empty, or the right one is not among them."""
    if not all(choices):
        raise ValueError(f"a choice is empty: {choices!r}")
    if not 0 <= gold < len(choices):
        raise ValueError(f"`{key}` is {gold}, and there are {len(choices)} choices, from 0 on")
    return {"query": query, "choices": choices, "gold": gold}


def _of(row: Any, key: str, *types: type) -> Any:
    """Return the value of a key. Raises ValueError where it is missing or of another type."""
    if not isinstance(row, dict):
        raise ValueError(f"it is no object with a key `{key}`")
    if key not in row:
        raise ValueError(f"the key `{key}` is missing: there are {', '.join(map(repr, row)) or 'none'}")
    if not isinstance(row[key], types) or isinstance(row[key], bool):
        kinds = " or ".join(_KINDS[t] for t in types)
        raise ValueError(f"`{key}` is {str(row[key])[:100]!r}, and not {kinds}")
    return row[key]


def _text(row: Any, key: str) -> str:
    text = _of(row, key, str)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"`{key}` is no text: half of a surrogate pair stands alone in it") from error
    return text


def _texts(row: Any, key: str) -> list[str]:
    return [_text({f"{key}.{i}": value}, f"{key}.{i}") for i, value in enumerate(_of(row, key, list))]


def _number(row: Any, key: str) -> int:
    value = _of(row, key, int, str)
    if isinstance(value, str) and not (value.isascii() and value.isdecimal() and len(value) < 10):
        raise ValueError(f"`{key}` is {value[:100]!r}, and not a number")
    return int(value)


_KINDS = {dict: "an object", list: "a list", str: "a text", int: "a whole number"}

TASKS = {
    "hellaswag": Task(("*hellaswag_val.jsonl", "hellaswag/*.jsonl"), _hellaswag),
    "arc_easy": Task(("*ARC-Easy[_-][Tt]est.jsonl",), _arc),
}
