"""Benchmarks are named by group, by name, or by one way of asking them."""

import pytest
import toy_benchmark

from llama_core.evaluate import names
from llama_core.evaluate.benchmarks import BENCHMARKS


@pytest.fixture(autouse=True)
def _toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BENCHMARKS, "toy", toy_benchmark.Toy())


def test_each_benchmark_is_in_one_group_and_has_a_key_for_each_of_its_variants() -> None:
    grouped = [name for group in names.GROUPS.values() for name in group]
    assert sorted(grouped) == sorted(set(grouped))
    assert set(BENCHMARKS) - {"toy"} <= set(grouped)
    assert not set(grouped) & set(names.GROUPS)
    for key in names.keys([names.PAPER]):
        benchmark, variant = names.find(key)
        assert key in (benchmark.name, f"{benchmark.name}:{variant.name}")


def test_names_groups_and_keys_give_each_key_once_in_their_order() -> None:
    toys = [f"toy:{name}" for name in ("choices", "2-shot", "whole", "greedy", "drawn@3")]
    assert names.keys(["toy:greedy", "hellaswag", "toy"]) == [
        "toy:greedy",
        "hellaswag",
        *(key for key in toys if key != "toy:greedy"),
    ]
    assert names.keys(["common_sense"])[:2] == ["boolq", "piqa"]
    assert names.keys([]) == []
    assert names.in_order(["toy:greedy", "gone", "piqa", "boolq"]) == ["boolq", "piqa", "gone", "toy:greedy"]


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("hellaswg", "paper, common_sense, .*hellaswag"),
        ("toy:3-shot", "toy:choices, toy:2-shot"),
        ("paper:0-shot", "paper, common_sense"),
        ("", "paper, common_sense"),
    ],
)
def test_an_unknown_name_is_refused_with_those_that_are_known(name: str, known: str) -> None:
    with pytest.raises(ValueError, match=f"no benchmark '{name}': {known}"):
        names.keys([name])
