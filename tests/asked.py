"""A benchmark run on any model, such as one that a test has written."""

from collections.abc import Callable
from typing import Any

from llama_core.evaluate.benchmark import Answer, Benchmark, Dataset, Model, Request, Result, Variant, Verdict


def run(
    benchmark: Benchmark[Any],
    variant: Variant,
    dataset: Dataset[Any],
    model: Model,
    told: Callable[[Any, list[Request], list[Answer], Verdict], None] = lambda *_: None,
) -> Result:
    """Run a benchmark on a model, in one process, and return its result.

    `told` is called with each item, its requests, the answers and the verdict.
    """
    asked = [
        benchmark.requests(item, benchmark.shots(item, dataset.examples, variant.shots), variant)
        for item in dataset.items
    ]
    answers = model.answer([request for requests in asked for request in requests])
    judged, start = [], 0
    for item, requests in zip(dataset.items, asked, strict=True):
        mine = answers[start : (start := start + len(requests))]
        verdict = benchmark.judge(item, variant, mine)
        told(item, requests, mine, verdict)
        judged.append((item, verdict))
    return benchmark.figures(variant, judged)
