"""Run a program of llama_core where the recipe says, and listen to what it prints."""

import contextlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from infra.launch.launcher import JobSpec
from infra.launch.run import run as run_job
from infra.prefect_server import Lock
from llama_core.artifact import Artifact, digest_of
from llama_core.errors import AwayError, ServiceError
from llama_core.job import Job
from llama_core.recipes.running import Launch
from llama_core.step import Step
from tasks.observe import is_cancelled, say, warn_once
from tasks.step import finished_elsewhere

GOES_ON = "job_goes_on"  # the attribute of an exception that has ended the watching of a job, but not the job
LOOK_EVERY = 1.0  # seconds between two looks for the end of another flow
SECOND = 5.0  # seconds that a person has for a second Ctrl-C
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

    `beside` is called in a thread meanwhile: it is for slow imports that later stages need. `on`: the nodes
    and processes, where they are not those of the recipe. What a listener raises is told, and ends nothing.
    A job of a cluster goes on without this flow, unless somebody has asked for its end (see `Asked`). Raises
    LaunchError, with the program's own message where it gave one, and AwayError where the job may go on.
    """
    listeners = {"metrics": on_metrics, "progress": on_progress}
    name = "llama-" + job.step.name.replace("/", "-")
    asked = Asked(name)
    try:
        with _in_thread(beside):
            spec = JobSpec(name, module, [job.publish(), job.sha256], on or job.recipe.launch, QUIET)
            here = alone(job.step) if spec.launch.launcher == "local" else contextlib.nullcontext()
            with here, contextlib.closing(run_job(spec, cancel_asked=asked.cancel)) as lines, asked:
                for line in lines:
                    if SHOWN.match(line):
                        say(f"      {line}")
                    elif (match := MESSAGE.match(line)) and (listener := listeners[match[1]]):
                        _listen(listener, match[2])
    except BaseException as error:
        setattr(error, GOES_ON, asked.left or isinstance(error, AwayError))
        if not isinstance(error, Exception):
            raise
        return finished_elsewhere(job.step)
    artifact = job.step.finished()
    assert artifact is not None, f"{module} ended well without its manifest"
    return artifact


@contextlib.contextmanager
def alone(step: Step) -> Iterator[None]:
    """Let no other flow of this home run a job of a step beside the block: one that does is waited for.

    Its job has ended then, or ends with it; what that has done is gone on from. Elsewhere than on one machine
    the job has a name by which the second flow adopts it.
    """
    lock: Lock | None = None
    with contextlib.suppress(ServiceError):  # a home that cannot be written ends no run
        lock = Lock(f"{digest_of(step.folder.url)[:16]}.lock")
    try:
        told = False
        while lock and not lock.take():
            if not told:
                say(f"      another flow makes {step.folder.url}: this one waits for it")
            told = True
            time.sleep(LOOK_EVERY)
        yield
    finally:
        if lock:
            lock.close()


class Asked:
    """Tells whether a person has asked for the end of a job, and not only this flow has ended.

    It is asked for by Cancel in Prefect, and by a second Ctrl-C within SECOND seconds of the first. As a
    context manager it notices what ends the reading of the job's log.
    """

    def __init__(self, name: str):
        self._name = name
        self._reason: BaseException | None = None
        self.left = False
        """Whether the job was left to the next flow."""

    def __enter__(self) -> "Asked":
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self._reason = error

    def cancel(self, error: BaseException) -> bool:
        """Tell whether the job is to be cancelled. `error`: what has ended the reading of its log."""
        reason = self._reason or error
        self.left = not (self._again() if isinstance(reason, KeyboardInterrupt) else is_cancelled())
        return not self.left

    def _again(self) -> bool:
        """Tell whether a second Ctrl-C comes."""
        try:
            say(f"      {self._name} goes on without this flow: press Ctrl-C again to cancel it as well")
            time.sleep(SECOND)
        except KeyboardInterrupt:
            return True
        return False


def _listen(listener: Callable[[dict[str, Any]], None], text: str) -> None:
    """Give a listener the values of a line. An error of the listener ends nothing."""
    try:
        values = json.loads(text)
    except ValueError:
        return  # a full disk has cut the line
    try:
        listener(values)
    except Exception as error:
        warn_once(f"listener {type(error).__name__}", f"      {type(error).__name__} in watching: {error}")


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
