"""A benchmark's items are asked in chunks: bounded in memory, and with work for every rank."""

from dataclasses import replace

import pytest
import toy_benchmark

from llama_core.evaluate.benchmark import Dataset
from llama_core.evaluate.task import Task, _chunks


@pytest.mark.parametrize(("ranks", "prompts"), [(1, 16), (2, 16), (8, 32), (32, 128)])
def test_a_chunk_has_several_prompts_for_each_rank_where_an_item_has_many_samples(
    ranks: int, prompts: int
) -> None:
    toy = toy_benchmark.Toy()
    drawn = replace(toy.variants[-1], samples=256)
    items = [toy_benchmark.Riddle(f"r{n}", "What?", ("a", "b")) for n in range(300)]
    found = list(_chunks(Task("toy:drawn@3", toy, drawn, Dataset(items), "", None), ranks))
    assert [len(chunk) for _, chunk in found[:-1]] == [prompts] * (300 // prompts)
    assert [first for first, _ in found] == list(range(0, 300, prompts))
    assert [item for _, chunk in found for item, _ in chunk] == items


def test_likelihoods_are_asked_for_in_the_same_chunks_by_any_number_of_ranks() -> None:
    toy = toy_benchmark.Toy()
    items = [toy_benchmark.Riddle(f"r{n}", "What?", ("a", "b")) for n in range(5000)]
    task = Task("toy:choices", toy, toy.variants[0], Dataset(items), "", None)
    found = [[(first, len(chunk)) for first, chunk in _chunks(task, ranks)] for ranks in (1, 8, 32)]
    assert found == [[(0, 2048), (2048, 2048), (4096, 904)]] * 3
