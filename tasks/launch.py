"""Run a program of llama_core where the recipe says, and listen to what it prints."""

import contextlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

from infra.launch.launcher import JobSpec
from infra.launch.launcher import run as run_job
from llama_core.job import Job
from llama_core.step import Artifact
from tasks.observe import say
from tasks.step import finished_elsewhere

# Bars of libraries are noise in a log; what matters comes as @progress.
QUIET = {"TQDM_DISABLE": "1"}
MESSAGE = re.compile(r"@(metrics|progress) (\{.*\})$")
# Of its log; tracebacks are left to the file.
SHOWN = re.compile(r"\[launcher\] |(INFO|WARNING|ERROR|CRITICAL) ")

_meanwhile: list[threading.Thread] = []


@contextlib.contextmanager
def meanwhile(prepare: Callable[[], object]) -> Iterator[None]:
    """Within, `prepare` runs once beside what is launched first: the place for slow imports."""

    def run() -> None:
        with contextlib.suppress(Exception):  # whoever needs it will meet it again
            prepare()

    thread = threading.Thread(target=run, daemon=True)
    _meanwhile.append(thread)
    try:
        yield
    finally:
        if thread in _meanwhile:
            _meanwhile.remove(thread)
        else:
            thread.join()  # an interpreter that ends under an import may abort


def launch(
    job: Job,
    module: str,
    on_metrics: Callable[[dict[str, Any]], None] | None = None,
    on_progress: Callable[[dict[str, Any]], None] | None = None,
) -> Artifact:
    """Start `python -m MODULE JOB` by the recipe's launcher, follow it to its end, return its artifact.

    Raises LaunchError, with the program's own message where it gave one.
    """
    hears = {"metrics": on_metrics, "progress": on_progress}
    while _meanwhile:
        _meanwhile.pop().start()
    name = "llama-" + job.step.name.replace("/", "-")
    try:
        for line in run_job(JobSpec(name, module, [job.publish()], job.recipe.launch, QUIET)):
            if SHOWN.match(line):
                say(f"      {line}")
            elif (match := MESSAGE.match(line)) and (listener := hears[match[1]]):
                listener(json.loads(match[2]))
    except Exception:
        return finished_elsewhere(job.step)
    artifact = job.step.finished()
    assert artifact is not None, f"{module} ended well without its manifest"
    return artifact
