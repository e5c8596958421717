"""The paper's benchmarks, by the names that recipes use."""

from typing import Any

from llama_core.evaluate.benchmark import Benchmark
from llama_core.evaluate.benchmarks.humaneval import HumanEval
from llama_core.evaluate.benchmarks.mbpp import MBPP

ALL: tuple[Benchmark[Any], ...] = (
    HumanEval(),
    MBPP(),
)
BENCHMARKS: dict[str, Benchmark[Any]] = {benchmark.name: benchmark for benchmark in ALL}
