"""The paper's benchmarks, by the names that recipes use."""

from typing import Any

from llama_core.evaluate.benchmark import Benchmark
from llama_core.evaluate.benchmarks.closed_book import NaturalQuestions, TriviaQa
from llama_core.evaluate.benchmarks.competition_math import CompetitionMath
from llama_core.evaluate.benchmarks.gsm8k import Gsm8k
from llama_core.evaluate.benchmarks.realtoxicityprompts import RealToxicityPrompts

ALL: tuple[Benchmark[Any], ...] = (
    NaturalQuestions(),
    TriviaQa(),
    Gsm8k(),
    CompetitionMath(),
    RealToxicityPrompts(),
)
BENCHMARKS: dict[str, Benchmark[Any]] = {benchmark.name: benchmark for benchmark in ALL}
