"""The lifeline: a process that we started ends when the process that started it is gone.

The starter holds the writing end of a pipe. What it started (a program and all its ranks, or a worker) holds
the reading end. Nothing is ever written: the pipe ends when the starter closes it, or when the starter dies
in whatever way. A signal would not do, because a parent killed with -9 sends none, and the kernel's
parent-death signal reaches no grandchild.

A program gets the reading end as its standard input (`start`), a worker of a pool as an argument
(`of_this_process`). Both call `watch`.
"""

import multiprocessing
import os
import subprocess
import threading
import weakref
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO

from llama_core.exit import leave

VARIABLE = "LLAMA_LIFELINE"  # names the descriptor of a program's lifeline
LOST = 113  # the exit code of a process that has lost its lifeline

# The writing ends of this process. A process forked from it (a worker of a pool, say) must not hold them too.
_held: "weakref.WeakSet[IO[bytes] | Connection]" = weakref.WeakSet()
_own: list[Connection] = []  # keeps open those that no `Popen` does


def start(
    command: list[str], env: Mapping[str, str], output: IO[bytes], cwd: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start a program that watches its lifeline; its standard output and error both go to `output`.

    The lifeline is the process's `stdin`: the program ends when it is closed, or when the process is dropped.
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


def of_this_process() -> Connection:
    """Return the reading end of a lifeline that ends with this process.

    A pool hands it to its workers as an argument of their initializer (with loky or `spawn`).
    """
    reading, writing = multiprocessing.Pipe(duplex=False)
    _held.add(writing)
    _own.append(writing)
    return reading


def watch(line: Connection | None = None, lost: Callable[[], object] | None = None) -> None:
    """Call `lost` when the starter of this process is gone; a thread waits for that. Call this first thing.

    `line`: what `of_this_process` returned in the starter; without it the descriptor is the one that the
    environment names, and where it names none (the program was started by hand, or under Slurm) nothing is
    watched. `lost`: by default the process ends at once, without clean-up, with exit code 113.
    """
    if line is not None:
        pipe = os.dup(line.fileno())
    elif VARIABLE in os.environ:
        pipe = int(os.environ[VARIABLE])
    else:
        return
    threading.Thread(target=_wait, args=(pipe, lost or _leave), name="lifeline", daemon=True).start()


def keep() -> None:
    """Hold the lifeline by another descriptor too: multiprocessing closes the standard input of a fork."""
    if VARIABLE in os.environ:
        os.environ[VARIABLE] = str(os.dup(int(os.environ[VARIABLE])))


def _let_go() -> None:
    for end in list(_held):
        end.close()


os.register_at_fork(after_in_child=_let_go)


def _wait(pipe: int, lost: Callable[[], object]) -> None:
    # The descriptor, not sys.stdin: a thread inside its lock makes the interpreter abort at exit.
    while os.read(pipe, 1):
        pass
    lost()


def _leave() -> None:
    leave(LOST, flush=False)  # whoever read our output is gone, and another thread may hold its lock
