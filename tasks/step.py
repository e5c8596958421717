"""What the tasks of all stages share: reuse a finished step, make one that is not, and show it."""

import contextlib
import functools
import time
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from prefect import task
from prefect.cache_policies import NO_CACHE

from llama_core.artifact import Artifact
from llama_core.errors import LlamaError
from llama_core.phases import Phase, Plan, execute
from llama_core.step import Step
from llama_core.url import without_secrets
from tasks.fanout import engine_of
from tasks.observe import Progress, say, show_link, show_table, wait_for_prefect
from tasks.run import Run

P = ParamSpec("P")
R = TypeVar("R")


def stage(name: str, **options: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that makes a function the Prefect task of a stage.

    The manifest is the only cache. Nothing is retried here: a request to the store is tried again where it is
    made, and a run that is started again goes on where it was. `options`: further ones of Prefect's `task`.
    """
    as_task = task(name=name, cache_policy=NO_CACHE, **options)

    def wrap(function: Callable[P, R]) -> Callable[P, R]:
        @without_secrets  # Prefect writes an error's text into its database
        @functools.wraps(function)
        def body(*args: P.args, **kwargs: P.kwargs) -> R:
            result = function(*args, **kwargs)
            wait_for_prefect()
            return result

        return as_task(body)

    return wrap


def make(run: Run, step: Step, plan: Plan, *, title: str = "") -> Artifact:
    """Return the step's artifact, which is reused if the step is finished, and else made phase by phase.

    `title`: what the terminal and Prefect call the step; by default its stage.
    """
    started = time.monotonic()
    if artifact := step.finished():
        return reused(artifact, title)
    bars: dict[str, Progress] = {}

    def progress(phase: Phase, done: int) -> None:
        if phase.name not in bars:
            name = f"{title or step.stage}-{phase.name}"
            bars[phase.name] = Progress(name, len(phase.shards), phase.name, before=done)
            if done:
                say(f"      {done} of {len(phase.shards)} {phase.name} were done before")
            return
        bars[phase.name].update(done)

    try:
        artifact = execute(step, plan, engine_of(run.recipe.run), progress)
    except Exception:
        artifact = finished_elsewhere(step)
    return made(artifact, time.monotonic() - started, title)


def finished_elsewhere(step: Step) -> Artifact:
    """Return the artifact if another run has finished the step meanwhile, else raise the error being handled.

    A run that finishes a step deletes what a slower run still works on, whose error then does not matter.
    Call this while an error is handled.
    """
    artifact = None
    with contextlib.suppress(LlamaError):  # the error being handled is the one to show
        artifact = step.finished()
    if artifact is None:
        raise
    say("      another run has finished this step")
    return artifact


def reused(artifact: Artifact, title: str = "") -> Artifact:
    """Show that a step was finished before, and return its artifact."""
    return _show(artifact, "reused", title)


def made(artifact: Artifact, seconds: float, title: str = "") -> Artifact:
    """Show that a step was made in some seconds, and return its artifact."""
    return _show(artifact, f"{seconds:.1f} s", title)


def _show(artifact: Artifact, how: str, title: str) -> Artifact:
    title = title or artifact.stage
    say(f"  {title:<20} {how:>8}  {artifact.name:<28}  {headline(artifact)}")
    rows = [{"count": k, "value": v} for k, v in artifact.counts.items()]
    if rows:
        show_table(f"{title}-counts", rows, f"{title}: what went in and out ({how})")
    show_link(f"{title}-artifact", artifact.url, artifact.name)
    return artifact


def headline(artifact: Artifact) -> str:
    """Return the few counts that a person looks for, in one line."""
    wanted = ("raw", "documents", "kept", "documents.train", "documents.heldout", "tokens", "bytes", "steps")
    shown = [f"{artifact.counts[k]:,} {k.replace('.', ' ')}" for k in wanted if k in artifact.counts]
    return ", ".join(shown)
