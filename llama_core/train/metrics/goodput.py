"""How much of its time a training spent on steps that count, from its record."""

import contextlib
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from llama_core.errors import DamagedError, StoreError
from llama_core.step import Step
from llama_core.store import to_json
from llama_core.train.metrics.names import BEGAN, INTERRUPTION, SECONDS

MOST = 10  # pauses that are kept
TIME, TEXT = TypeAdapter(float), TypeAdapter(str)
MARK, NOTES = f"{BEGAN}/first.json", "interruptions"


@dataclass(frozen=True)
class Pause:
    """The time before a step in which no step that counts was made: a restart, a save, a validation.

    `cause`: what interrupted the training, where its record tells it. The time has the steps that were lost.
    """

    step: int
    seconds: float
    cause: str = ""


@dataclass
class Goodput:
    """The time of a training from the beginning of its first step to the end of its last, in seconds."""

    effective: float = 0.0
    """The time of the steps that count. One that was done again after a restart counts once, and one that
    made no update not at all."""
    wall: float = 0.0
    pauses: list[Pause] = field(default_factory=list)
    """The longest pauses, by step."""
    interruptions: list[Pause] = field(default_factory=list)
    """The pauses with a cause, by step."""

    @property
    def share(self) -> float:
        """The effective time's share of all: Llama 3's had more than 0.9 (Grattafiori et al. 2024)."""
        return min(1.0, self.effective / self.wall) if self.wall > 0 else 1.0

    @property
    def lost(self) -> float:
        """The seconds that the interruptions have cost together."""
        return sum(pause.seconds for pause in self.interruptions)


def seconds_of(record: dict[str, Any]) -> float:
    """Return how long the step of a record took."""
    return sum(value for key, value in record.items() if key.startswith(SECONDS))


def first_begun(step: Step) -> tuple[float, bool]:
    """Return when the first attempt of a training has begun its steps, and whether it was one before this.

    Nothing else may be left of attempts that have saved nothing. It is now where the store is away. What
    says so is deleted with all that no shard counts, when the step is finished.
    """
    now = time.time()
    with contextlib.suppress(StoreError, DamagedError, FileNotFoundError):
        if not step.folder.create(MARK, to_json(now)):
            return step.folder.read_as(TIME, MARK), True
    return now, False


def since(step: Step, after: int, cause: str) -> str:
    """Note what has interrupted a training that goes on after step `after`, on rank 0.

    Returns it behind what else did so since that step was saved: the record of the steps that were lost told
    that, and is lost with them. It is returned alone where the store is away.
    """
    folder, causes = f"{NOTES}/{after:08}", list[str]()
    with contextlib.suppress(StoreError, DamagedError, FileNotFoundError):
        names = step.folder.list(folder)
        causes = [f"{len(names) - MOST} earlier ones"] if len(names) > MOST else []
        causes += [step.folder.read_as(TEXT, name) for name in names[-MOST:]]
        step.folder.publish_json(f"{folder}/{time.time_ns()}.json", cause)
    return "; then ".join([*causes, cause])


def goodput(records: Iterable[dict[str, Any]]) -> Goodput:
    """Return what the record of a training tells, step by step."""
    found, pauses, before = Goodput(), list[Pause](), None
    for record in records:
        seconds = seconds_of(record)
        began = record["time"] - seconds
        if before is None and INTERRUPTION in record:
            before = record.get(BEGAN)  # nothing of what was done since then is in the record
        if before is not None:
            pause = Pause(record["step"], max(0.0, began - before), record.get(INTERRUPTION, ""))
            pauses.append(pause)
            if pause.cause:
                found.interruptions.append(pause)
            pauses = sorted(pauses, key=lambda pause: -pause.seconds)[:MOST]
            found.wall += record["time"] - before
        else:
            found.wall += seconds
        found.effective += 0.0 if record.get("skipped") else seconds
        before = record["time"]
    found.pauses = sorted((p for p in pauses if p.seconds > 0), key=lambda pause: pause.step)
    return found


def told(interruptions: list[Pause]) -> str:
    """Return interruptions as text, each with its cause and its cost; of many the last ones."""
    some = interruptions[-MOST:]
    more = f"{len(interruptions) - MOST} earlier ones; " if len(interruptions) > MOST else ""
    return more + "; ".join(f"{p.cause}, before step {p.step} ({p.seconds:.0f} s)" for p in some)
