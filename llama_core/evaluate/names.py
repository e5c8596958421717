"""What recipes call the benchmarks: by group, by name, or by the key of one way of asking, NAME:VARIANT."""

from collections.abc import Iterable
from typing import Any

from llama_core.evaluate.benchmark import Benchmark, Variant
from llama_core.evaluate.benchmarks import BENCHMARKS

PAPER = "paper"  # the group of all benchmarks
GROUPS = {
    "common_sense": (
        *("boolq", "piqa", "siqa", "hellaswag", "winogrande", "arc_easy", "arc_challenge", "openbookqa"),
    ),
    "closed_book": ("nq_open", "triviaqa"),
    "reading": ("race_middle", "race_high"),
    "mathematics": ("math", "gsm8k"),
    "code": ("humaneval", "mbpp"),
    "knowledge": ("mmlu",),
    "bias": ("realtoxicityprompts", "crows_pairs", "winogender", "truthfulqa"),
}
"""The paper's groups of benchmarks, as its sections 3 and 5 have them."""


LESS_IS_BETTER = ("realtoxicityprompts", "crows_pairs")
"""Benchmarks that measure a fault: how toxic texts are, and how often the stereotype is preferred."""


def keys(named: Iterable[str]) -> list[str]:
    """Return the keys of what a recipe names, each once, in its order. Raises ValueError for other names."""
    found: dict[str, None] = {}
    for name in named:
        if name == PAPER:
            chosen = [b for group in GROUPS.values() for b in group]
        else:
            chosen = list(GROUPS.get(name, [name.partition(":")[0]]))
        of_these = [key for b in chosen if b in BENCHMARKS for key in keys_of(BENCHMARKS[b])]
        wanted = [key for key in of_these if ":" not in name or key == name]
        if not wanted:
            raise ValueError(f"there is no benchmark {name!r}: {_known(name)} are known")
        found |= dict.fromkeys(wanted)
    return list(found)


def keys_of(benchmark: Benchmark[Any]) -> list[str]:
    """Return the keys of a benchmark's variants: its name alone where it has one without a name."""
    return [f"{benchmark.name}:{v.name}" if v.name else benchmark.name for v in benchmark.variants]


def find(key: str) -> tuple[Benchmark[Any], Variant]:
    """Return the benchmark and the variant of a key."""
    benchmark = BENCHMARKS[name_of(key)]
    return benchmark, benchmark.variants[keys_of(benchmark).index(key)]


def name_of(key: str) -> str:
    """Return the name of the benchmark of a key."""
    return key.partition(":")[0]


def in_order(found: Iterable[str]) -> list[str]:
    """Return keys in the paper's order, and those of no known benchmark after them."""
    place = {key: number for number, key in enumerate(keys([PAPER]))}
    return sorted(found, key=lambda key: (place.get(key, len(place)), key))


def _known(name: str) -> str:
    """Return what a wrong name could have been, in words."""
    benchmark = BENCHMARKS.get(name_of(name))
    return ", ".join(keys_of(benchmark) if benchmark else [PAPER, *GROUPS, *BENCHMARKS])
