"""A step's work in phases: shards that know nothing of one another, then a barrier, then the next phase.

A plan is a generator: it yields phases, finds in the step what they have committed, and returns the arguments
of `Step.commit`. The engine that runs it decides where the shards are worked on.
"""

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from llama_core.artifact import Artifact
from llama_core.step import Step


@dataclass(frozen=True)
class Phase:
    """Some shards of a step that may be worked on side by side."""

    name: str
    """What a person calls the phase."""
    shards: Mapping[str, Any]
    """The argument of `work` for each shard, by the shard's name."""
    work: Callable[[Any], None]
    """Commits the shard whose argument it is called with."""
    committed: Callable[[], set[str]] = set
    """Returns the names of the shards that are committed by now, for an engine that has lost a worker."""


Plan = Generator[Phase, None, dict[str, Any]]


class Engine(Protocol):
    """What works on the shards of a phase: in this process, in several, or on a cluster."""

    def __call__(self, phase: Phase, todo: list[str]) -> Iterable[str]:
        """Work on the shards named in `todo`, in any order, and yield the name of each that is done."""
        ...


def one_phase(shards: Mapping[str, Any], work: Callable[[Any], None], name: str = "shards") -> Plan:
    """Return the plan of a step whose shards are all worked on in one phase."""
    yield Phase(name, shards, work)
    return {"shards": list(shards)}


def in_turn(phase: Phase, todo: list[str]) -> Iterable[str]:
    """Work on the shards one after the other, in this process (see `Engine`)."""
    for name in todo:
        phase.work(phase.shards[name])
        yield name


def execute(
    step: Step,
    plan: Plan,
    engine: Engine = in_turn,
    progress: Callable[[Phase, int], None] = lambda phase, done: None,
) -> Artifact:
    """Run a plan and commit its step. Shards that an earlier attempt has committed are not worked on again.

    `progress(phase, done)` is called before the first shard of a phase, and after each.
    """
    while True:
        try:
            phase = next(plan)
        except StopIteration as stop:
            return step.commit(**stop.value)
        committed = step.committed_names()
        todo = sorted(name for name in phase.shards if name not in committed)
        done = len(phase.shards) - len(todo)
        progress(phase, done)
        for _ in engine(replace(phase, committed=step.committed_names), todo):
            done += 1
            progress(phase, done)
