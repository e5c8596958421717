"""The lifeline: a program that a launcher started ends when the launcher is gone.

The launcher holds the writing end of a pipe, the program and all its ranks the reading end, as their
standard input. Nothing is ever written: the pipe ends when the launcher closes it, or when the launcher
dies in whatever way. A signal would not do, because a parent killed with -9 sends none, and the kernel's
parent-death signal reaches no grandchild.
"""

import os
import subprocess
import threading
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

VARIABLE = "LLAMA_LIFELINE"
LOST = 113

# A forked process (a pool of workers, say) would otherwise hold the lifelines of a dead launcher.
_held: "weakref.WeakSet[IO[bytes]]" = weakref.WeakSet()
os.register_at_fork(after_in_child=lambda: [pipe.close() for pipe in list(_held)])


def start(
    command: list[str], env: Mapping[str, str], output: IO[bytes], cwd: Path | None = None
) -> subprocess.Popen[bytes]:
    """The launcher's side: start a program that watches its lifeline, its standard output and error in one.

    The lifeline is the process's `stdin`: it is cut by closing it, or by letting go of the process.
    """
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=output,
        env=dict(env) | {VARIABLE: "stdin"},
        cwd=cwd,
        start_new_session=True,  # a Ctrl-C in the terminal is the launcher's to handle
    )
    assert process.stdin
    _held.add(process.stdin)
    return process


def watch(lost: Callable[[], object] = lambda: os._exit(LOST)) -> None:
    """The program's side: call it first thing. `lost` runs when the launcher is gone.

    By default the process ends at once, without clean-up, with exit code 113. Does nothing where the
    environment does not say LLAMA_LIFELINE=stdin (started by hand, or under Slurm).
    """
    if os.environ.get(VARIABLE) == "stdin":
        threading.Thread(target=_wait, args=(lost,), name="lifeline", daemon=True).start()


def _wait(lost: Callable[[], object]) -> None:
    # The descriptor, not sys.stdin: a thread inside its lock makes the interpreter abort at exit.
    while os.read(0, 1):
        pass
    lost()
