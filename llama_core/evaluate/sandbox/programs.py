"""Programs under test: run in a jail, many at once, and what came of each."""

import functools
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from llama_core.errors import LlamaError
from llama_core.evaluate.sandbox import confine
from llama_core.evaluate.sandbox.confine import Limits

WEAKER = "LLAMA_SANDBOX"
"""The variable of the environment that allows programs where the kernel gives them no namespaces: `weaker`.

They can then read the files that `nobody` can, where this is root, and otherwise those of this user, and
change none.
"""
USUAL = Limits()
_JAIL = ("-m", "llama_core.evaluate.sandbox.jail")
_ROOT = Path(__file__).parents[3]
_SPARE_SECONDS = 60  # for the jail itself, which ends a program in time
_ADDRESS = re.compile(r"0x[0-9a-f]{6,}")
_FORBIDDEN = (
    "programs of models are run in namespaces of their own, which this machine does not give: {}. They need "
    "Linux 5.14 or newer with user namespaces (sysctl user.max_user_namespaces above 0, "
    "kernel.apparmor_restrict_unprivileged_userns 0), in a container --security-opt seccomp=unconfined and "
    f"apparmor=unconfined. In a machine or container that holds nothing of value, {WEAKER}=weaker runs them "
    "without: they can then read files"
)


class SandboxError(LlamaError):
    """This machine cannot keep programs apart from itself; the message says what to do."""


class Outcome(NamedTuple):
    """What came of a program."""

    passed: bool
    """True if it has come to its end, without an error and within its limits."""
    reason: str
    """Why it has not passed, such as `AssertionError: ` or `it timed out`; empty where it has."""


def run(program: str, limits: Limits = USUAL) -> Outcome:
    """Run a Python program and return what came of it. Nothing of it is left.

    Raises SandboxError where this machine cannot do so.
    """
    if reason := _unsupported():
        raise SandboxError(reason)
    if (chosen := os.environ.get(WEAKER, "")) not in ("", "weaker"):
        raise SandboxError(f"{WEAKER} is {chosen!r} in the environment, and not weaker or empty")
    weaker = chosen == "weaker"
    report = _jailed(program, limits, in_namespaces=not weaker)
    if "broken" in report:
        user = "nobody" if os.geteuid() == 0 else "this user"
        needed = f"{WEAKER}=weaker needs a Python that {user} can run, unlike {_interpreter()}: {{}}"
        raise SandboxError((needed if weaker else _FORBIDDEN).format(report["broken"]))
    (word, reason) = next(iter(report.items()))
    return Outcome(word == "passed", _ADDRESS.sub("0x...", reason))  # addresses differ from run to run


def run_all(programs: Sequence[str], limits: Limits = USUAL) -> list[Outcome]:
    """Run programs, as many at once as there are cores, and return what came of each.

    Programs that are the same run once. Raises SandboxError.
    """
    distinct = list(dict.fromkeys(programs))
    if not distinct:
        return []
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    with ThreadPoolExecutor(min(cores, len(distinct))) as pool:
        outcomes = dict(zip(distinct, pool.map(lambda program: run(program, limits), distinct)))
    return [outcomes[program] for program in programs]


def missing() -> str | None:
    """Return why this machine cannot run programs, as a sentence that says what to do, or None."""
    return _missing(os.environ.get(WEAKER))


@functools.cache
def _missing(_weaker: str | None) -> str | None:
    try:
        outcome = run("import math")
    except SandboxError as error:
        return str(error)
    return None if outcome.passed else f"a program of one line has failed in the sandbox: {outcome.reason}"


def _unsupported() -> str | None:
    if sys.platform != "linux":
        return (
            f"programs of models are run on Linux alone: {platform.system()} has no namespaces to keep them "
            "in. Evaluate code on a Linux machine or in a container"
        )
    if confine.machine() is None:
        return f"programs of models are run on x86_64 and aarch64: this machine is {platform.machine()}"
    return None


def _jailed(program: str, limits: Limits, in_namespaces: bool) -> dict[str, Any]:
    python = _interpreter()
    job = {
        "program": program.encode("utf-8", "replace").decode(),
        "limits": limits,
        "namespaces": in_namespaces,
        "python": python,
        "trees": [os.path.realpath(sys.base_prefix), os.path.dirname(os.path.dirname(python))],
    }
    command = [sys.executable, "-s", "-S", "-P", *_JAIL, str(os.getpid())]
    try:
        done = subprocess.run(
            command,
            input=json.dumps(job),
            capture_output=True,
            text=True,
            errors="replace",
            cwd="/",
            env={"PYTHONPATH": str(_ROOT), "LANG": "C.UTF-8"},
            start_new_session=True,
            timeout=limits.seconds + _SPARE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return {"failed": "it timed out"}
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        return {"broken": f"the jail has ended with {done.returncode}: {done.stderr.strip()[-300:]}"}
    return report


def _interpreter() -> str:
    """Return the path of the Python that this one is, or is a virtual environment of."""
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))
