"""The paper's benchmarks, by the names that recipes use."""

from typing import Any

from llama_core.evaluate.benchmark import Benchmark
from llama_core.evaluate.benchmarks.boolq import BoolQ
from llama_core.evaluate.benchmarks.closed_book import NaturalQuestions, TriviaQA
from llama_core.evaluate.benchmarks.competition_math import MATH
from llama_core.evaluate.benchmarks.crows_pairs import CrowSPairs
from llama_core.evaluate.benchmarks.gsm8k import GSM8k
from llama_core.evaluate.benchmarks.hellaswag import HellaSwag
from llama_core.evaluate.benchmarks.humaneval import HumanEval
from llama_core.evaluate.benchmarks.labelled import PIQA, SIQA, WinoGrande
from llama_core.evaluate.benchmarks.mbpp import MBPP
from llama_core.evaluate.benchmarks.mmlu import MMLU
from llama_core.evaluate.benchmarks.race import RACE
from llama_core.evaluate.benchmarks.realtoxicityprompts import RealToxicityPrompts
from llama_core.evaluate.benchmarks.science import ARC, OpenBookQA
from llama_core.evaluate.benchmarks.truthfulqa import TruthfulQA
from llama_core.evaluate.benchmarks.winogender import WinoGender

ALL: tuple[Benchmark[Any], ...] = (
    BoolQ(),
    PIQA(),
    SIQA(),
    HellaSwag(),
    WinoGrande(),
    ARC("arc_easy", "ARC-e", "ARC-Easy"),
    ARC("arc_challenge", "ARC-c", "ARC-Challenge"),
    OpenBookQA(),
    RACE("middle"),
    RACE("high"),
    MMLU(),
    CrowSPairs(),
    WinoGender(),
    TruthfulQA(),
    NaturalQuestions(),
    TriviaQA(),
    GSM8k(),
    MATH(),
    HumanEval(),
    MBPP(),
    RealToxicityPrompts(),
)
BENCHMARKS: dict[str, Benchmark[Any]] = {benchmark.name: benchmark for benchmark in ALL}
