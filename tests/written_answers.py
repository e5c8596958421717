"""Models of which a test says what they write, and the small files that they are asked about."""

import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from llama_core.evaluate.benchmark import Answer, File, Generation, Request

EVALDATA = Path(os.environ.get("LLAMA_EVALDATA") or Path(__file__).parents[2] / "shared" / "evaldata")


class Writer:
    """A model that writes what `text` makes of the number of an item and of a sample, both from 0."""

    def __init__(self, text: Callable[[int, int], str]):
        self.text = text
        self.asked: list[Generation] = []

    def answer(self, requests: Sequence[Request]) -> list[Answer]:
        self.asked = [request for request in requests if isinstance(request, Generation)]
        assert len(self.asked) == len(requests)
        return [[self.text(n, i) for i in range(one.samples)] for n, one in enumerate(self.asked)]


def lines(name: str, rows: Iterable[object]) -> File:
    return File(name, "".join(json.dumps(row) + "\n" for row in rows).encode())
