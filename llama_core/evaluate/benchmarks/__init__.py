"""The paper's benchmarks, by the names that recipes use."""

from typing import Any

from llama_core.evaluate.benchmark import Benchmark

ALL: tuple[Benchmark[Any], ...] = ()
BENCHMARKS: dict[str, Benchmark[Any]] = {benchmark.name: benchmark for benchmark in ALL}
