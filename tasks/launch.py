"""Run a program of llama_core where the recipe says, and listen to what it prints."""

import contextlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

from infra.launch.launcher import JobSpec
from infra.launch.run import run as run_job
from llama_core.artifact import Artifact
from llama_core.job import Job
from llama_core.recipes.running import Launch
from tasks.observe import say
from tasks.step import finished_elsewhere

# The progress bars of libraries are noise in a log; the program's own progress comes as @progress.
QUIET = {"TQDM_DISABLE": "1"}
MESSAGE = re.compile(r"@(metrics|progress) (\{.*\})$")
# The lines of the log that the terminal shows. Tracebacks are in the file only.
SHOWN = re.compile(r"\[launcher\] |(INFO|WARNING|ERROR|CRITICAL) ")


def launch(
    job: Job,
    module: str,
    on_metrics: Callable[[dict[str, Any]], None] | None = None,
    on_progress: Callable[[dict[str, Any]], None] | None = None,
    beside: Callable[[], object] | None = None,
    on: Launch | None = None,
) -> Artifact:
    """Start `python -m MODULE JOB SHA256` by the recipe's launcher, follow it, and return its artifact.

    `beside` is called in a thread meanwhile: it is for slow imports that later stages need. `on`: the
    nodes and processes, where they are not those of the recipe. Raises
    LaunchError, with the program's own message where it gave one.
    """
    listeners = {"metrics": on_metrics, "progress": on_progress}
    name = "llama-" + job.step.name.replace("/", "-")
    try:
        with _in_thread(beside):
            spec = JobSpec(name, module, [job.publish(), job.sha256], on or job.recipe.launch, QUIET)
            for line in run_job(spec):
                if SHOWN.match(line):
                    say(f"      {line}")
                elif match := MESSAGE.match(line):
                    listener = listeners[match[1]]
                    with contextlib.suppress(ValueError):  # a line that a full disk has cut
                        values = json.loads(match[2])
                        if listener is not None:
                            listener(values)
    except Exception:
        return finished_elsewhere(job.step)
    artifact = job.step.finished()
    assert artifact is not None, f"{module} ended well without its manifest"
    return artifact


@contextlib.contextmanager
def _in_thread(function: Callable[[], object] | None) -> Iterator[None]:
    """Call a function in a thread beside the block. What it raises is ignored: whoever needs it meets it."""

    def run() -> None:
        with contextlib.suppress(Exception):
            if function:
                function()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join()  # an interpreter that ends under an import may abort
