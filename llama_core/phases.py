"""A step's work in phases: shards that know nothing of one another, then a barrier, then the next phase.

A plan is a generator: it yields phases, finds in the step what they have committed, and returns what
`Step.commit` is to be called with. Whoever runs it decides where the shards are worked on.
"""

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from llama_core.step import Artifact, Step


@dataclass(frozen=True)
class Phase:
    """`work(argument)` commits the shard that stands before the argument in `shards`.

    `committed`: the names that are committed by now, for an engine that has lost sight of some.
    """

    label: str
    shards: Mapping[str, Any]
    work: Callable[[Any], None]
    committed: Callable[[], set[str]] = set


Plan = Generator[Phase, None, dict[str, Any]]


class Engine(Protocol):
    """Calls `work(argument)` for each shard, in any order and place; yields its name when it is done."""

    def __call__(self, phase: Phase, todo: list[str]) -> Iterable[str]: ...


def one_phase(shards: Mapping[str, Any], work: Callable[[Any], None], label: str = "shards") -> Plan:
    """The plan of a step whose shards are what was worked on."""
    yield Phase(label, shards, work)
    return {"shards": list(shards)}


def in_turn(phase: Phase, todo: list[str]) -> Iterable[str]:
    """The engine of one process."""
    for name in todo:
        phase.work(phase.shards[name])
        yield name


def execute(
    step: Step,
    plan: Plan,
    engine: Engine = in_turn,
    progress: Callable[[Phase, int], None] = lambda phase, done: None,
) -> Artifact:
    """Run a plan and commit its step. What an earlier attempt has committed is not worked on again.

    `progress(phase, done)` is called before a phase's first shard, and after each.
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
