"""A benchmark of made-up items that asks for all that a benchmark can ask for, for tests of what runs them.

`install` makes it known to this process, as `toy`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llama_core.evaluate.benchmark import (
    Answer,
    Benchmark,
    Continuation,
    Dataset,
    File,
    Generation,
    Likelihood,
    Request,
    Result,
    Role,
    Variant,
    Verdict,
    Whole,
    mean,
)
from llama_core.evaluate.benchmarks import BENCHMARKS, rows

WORDS = ["the", "function", "returns", "a", "value", "None", "when", "self.x", "= [1,", "is", "empty"]


@dataclass(frozen=True)
class Riddle:
    id: str
    text: str
    choices: tuple[str, ...]


class Toy(Benchmark[Riddle]):
    name = "toy"
    title = "Toy"
    files = {"items": Role(("toy/items.jsonl",)), "examples": Role(("toy/examples.jsonl",), needed=False)}
    variants = (
        Variant("choices"),
        Variant("2-shot", shots=2),
        Variant("whole"),
        Variant("greedy"),
        Variant("drawn@3", samples=3, temperature=0.9, top_p=0.95, k=3),
    )

    def load(self, files: Mapping[str, Sequence[File]]) -> Dataset[Riddle]:
        def riddle(row: Any) -> Riddle:
            choices = rows.texts(row, "choices")
            return Riddle(rows.text(row, "id"), rows.text(row, "text"), rows.checked(choices, 0, "gold"))

        return Dataset(*(rows.items(files[role], riddle, rows.json_rows) for role in ("items", "examples")))

    def requests(self, item: Riddle, shots: Sequence[Riddle], variant: Variant) -> list[Request]:
        before = "".join(f"{shot.text} {shot.choices[0]}\n" for shot in shots)
        if variant.name == "whole":
            return [Whole(f"{item.text} {choice}") for choice in item.choices]
        if variant.name in ("greedy", "drawn@3"):
            asked = 12, ("e ", "\n"), variant.samples, variant.temperature, variant.top_p
            return [Generation(before + item.text, *asked)]
        return [Continuation(before + item.text, f" {choice}") for choice in item.choices]

    def judge(self, item: Riddle, variant: Variant, answers: Sequence[Answer]) -> Verdict:
        if isinstance(answers[0], list):
            return Verdict(sum(len(text) % 2 for text in answers[0]) / len(answers[0]), {"texts": answers[0]})
        nats = [answer.nats for answer in answers if isinstance(answer, Likelihood)]
        best = max(range(len(nats)), key=nats.__getitem__)
        return Verdict(float(best == 0), {"best": best})

    def figures(self, variant: Variant, judged: Sequence[tuple[Riddle, Verdict]]) -> Result:
        score, stderr = mean([verdict.score for _, verdict in judged])
        metric = f"drawn@{variant.k}" if variant.k > 1 else "accuracy"
        return Result(metric, score, stderr, len(judged), 0.5, {"of the first item": judged[0][1].score})


def install() -> None:
    BENCHMARKS["toy"] = Toy()


def words(number: int, count: int) -> str:
    return " ".join(WORDS[(number * 7 + i * (number % 5 + 1)) % len(WORDS)] for i in range(count))


def write(folder: Path, items: int = 20) -> None:
    """Write the benchmark's files below a folder. The item r7 is longer than a small model sees."""
    (folder / "toy").mkdir(parents=True, exist_ok=True)
    for role, first, last in (("items", 0, items), ("examples", 100, 103)):
        found = [
            {
                "id": f"r{n}",
                "text": words(n, 90 if n == 7 else 3 + n % 9),
                "choices": [words(n + i, 1 + i) for i in range(2 + n % 3)],
            }
            for n in range(first, last)
        ]
        (folder / f"toy/{role}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in found))
