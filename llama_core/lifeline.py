"""The lifeline: a program that a launcher started ends when the launcher is gone.

The launcher holds the writing end of a pipe, the program and all its ranks the reading end, normally as
their standard input. Nothing is ever written: the pipe ends when the launcher closes it, or when the launcher
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

VARIABLE = "LLAMA_LIFELINE"  # names the descriptor
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
        env=dict(env) | {VARIABLE: "0"},
        cwd=cwd,
        start_new_session=True,  # a Ctrl-C in the terminal is the launcher's to handle
    )
    assert process.stdin
    _held.add(process.stdin)
    return process


def watch(lost: Callable[[], object] = lambda: os._exit(LOST)) -> None:
    """The program's side: call it first thing. `lost` runs when the launcher is gone.

    By default the process ends at once, without clean-up, with exit code 113. Does nothing where the
    environment does not say LLAMA_LIFELINE=0 (started by hand, or under Slurm).
    """
    if VARIABLE in os.environ:
        pipe = int(os.environ[VARIABLE])
        threading.Thread(target=_wait, args=(pipe, lost), name="lifeline", daemon=True).start()


def keep() -> None:
    """Hold the lifeline by another descriptor too: multiprocessing closes the standard input of a fork."""
    if VARIABLE in os.environ:
        os.environ[VARIABLE] = str(os.dup(int(os.environ[VARIABLE])))


def _wait(pipe: int, lost: Callable[[], object]) -> None:
    # The descriptor, not sys.stdin: a thread inside its lock makes the interpreter abort at exit.
    while os.read(pipe, 1):
        pass
    lost()
