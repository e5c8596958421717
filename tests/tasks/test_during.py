"""Which checkpoints of a run are evaluated, on what, and how their scores are shown."""

from typing import Any

import pytest

from llama_core.recipe import Recipe
from llama_core.recipes.load import load_recipe
from llama_core.step import Step
from llama_core.store import Store
from tasks.evaluation.during import due, on_the_way, rows
from tasks.run import Run

EVERY = {"evaluate.at.every": 12 * 1024}


def run_of(store: Store, **overrides: Any) -> Run:
    return Run(load_recipe("micro", EVERY | overrides), store)


def test_less_may_be_asked_on_the_way_whatever_the_gate_names(store: Store) -> None:
    gate = {"evaluate.tasks": "[piqa, hellaswag]", "register.gate": "[hellaswag]"}
    whole = run_of(store, **gate)
    assert on_the_way(whole) is whole
    fewer = on_the_way(run_of(store, **gate, **{"evaluate.at.tasks": "[piqa]"})).recipe
    assert fewer.evaluate.tasks == ["piqa"]
    assert Recipe.model_validate(fewer.model_dump(mode="json", by_alias=True)) == fewer, "a job can take it"


@pytest.mark.parametrize(("anew", "expected"), [(False, [24, 36]), (True, [12, 24, 36])])
def test_a_training_that_starts_from_another_has_no_earlier_checkpoints(
    store: Store, anew: bool, expected: list[int]
) -> None:
    start = {"train.start_from": {"step": "train/0123456789abcdef", "at": 12, "anew": anew}}
    assert due(run_of(store, **start)) == expected
    assert due(run_of(store)) == [12, 24, 36]


def test_an_imported_model_has_none(store: Store) -> None:
    assert due(run_of(store, **{"train.imported": "train/0123456789abcdef"})) == []


def test_scores_stand_in_columns_by_checkpoint(store: Store) -> None:
    made = []
    for step, tasks in ((12, {}), (1200, {"piqa": {"status": "done", "score": 0.5}})):
        heldout = {"code": {"bits_per_byte": step / 1000}}
        facts = {"step": step, "tokens": step * 1024, "heldout": heldout, "tasks": tasks}
        made.append(Step(store, "evaluate", 1, {"step": step}).commit([], facts=facts))
    assert rows(made) == [
        {"step": "12", "tokens": "12,288", "bits_per_byte/code": "0.012", "piqa": "-"},
        {"step": "1,200", "tokens": "1,228,800", "bits_per_byte/code": "1.200", "piqa": "0.500"},
    ]
