"""Programs of ours as forks of one process that has imported what they need: their start costs no imports.

A fork is a process of its own: it has its own environment, output and exit code, and may be killed. What it
cannot show (the imports themselves, a GPU) is tested with a fresh interpreter.
"""

import contextlib
import multiprocessing
import os
import runpy
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait

context = multiprocessing.get_context("forkserver")
PRELOADED = [
    "pytest",
    "pandas",
    "torch._dynamo",
    "torch.distributed.fsdp",
    "torch.distributed.pipelining",
    "torch.distributed.tensor.parallel",
    "llama_core.train.run",
    "llama_core.evaluate.run",
    "llama_core.export.job.run",
    "transformers.models.auto.tokenization_auto",
    "transformers.models.llama.modeling_llama",
]
context.set_forkserver_preload(PRELOADED)


@dataclass
class Done:
    """How a program ended: its exit code, negative for a signal, and what it printed to both streams."""

    returncode: int
    stdout: str


class Program:
    """A running program: `Program("-m", "llama_core.train", url)`, as on Python's command line.

    `output` is a file with what it prints to both streams, unless that goes into the connection given.
    """

    def __init__(
        self, *arguments: str, env: Mapping[str, str] | None = None, output: Connection | None = None
    ) -> None:
        reading, writing = (None, output) if output else context.Pipe(duplex=False)
        self.process = context.Process(
            target=_be, args=(arguments, env or environment(), writing), daemon=True
        )
        self.process.start()
        if reading:
            writing.close()
            self.output = _file(reading)

    def send_signal(self, number: int) -> None:
        assert self.process.pid
        os.kill(self.process.pid, number)

    def wait(self) -> int:
        self.process.join()
        assert self.process.exitcode is not None
        return self.process.exitcode


def environment() -> dict[str, str]:
    """What a launcher gives one process of several: a core, and loopback."""
    env = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    env.pop("LLAMA_LIFELINE", None)
    return env


def run(*arguments: str, ranks: int = 1, timeout: float = 240, env: Mapping[str, str] | None = None) -> Done:
    """Run a program to its end. Several `ranks` are a process group, which ends when one of them fails."""
    reading, writing = context.Pipe(duplex=False)
    groups, own = group(ranks), environment() | (env or {})
    programs = [Program(*arguments, env=own | place, output=writing) for place in groups]
    writing.close()
    printed: list[str] = []
    reader = threading.Thread(target=lambda: printed.append(_file(reading).read()))
    reader.start()
    deadline, code = time.monotonic() + timeout, 0
    living = {program.process.sentinel: program for program in programs}
    while living and not code and time.monotonic() < deadline:
        for ended in wait(list(living), timeout=1):
            code = code or living.pop(ended).wait()
    for program in living.values():
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself meanwhile
            program.send_signal(signal.SIGKILL)
        program.wait()
    reader.join()
    assert code or not living, f"not done in {timeout} s:\n{printed[0]}"
    return Done(code, printed[0])


def group(ranks: int) -> list[dict[str, str]]:
    """The variables that torchrun would give each rank; none to one that is alone."""
    if ranks == 1:
        return [{}]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(probe.getsockname()[1])}
    size = {"WORLD_SIZE": str(ranks), "LOCAL_WORLD_SIZE": str(ranks)}
    return [place | size | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(ranks)]


def _file(connection: Connection):  # type: ignore[no-untyped-def]
    with connection:
        return os.fdopen(os.dup(connection.fileno()), "r")


def _be(arguments: tuple[str, ...], env: dict[str, str], output: Connection) -> None:
    """In the fork: become the program."""
    os.environ.clear()
    os.environ.update(env)
    for stream in (1, 2):
        os.dup2(output.fileno(), stream)
    output.close()
    option, program, *sys.argv[1:] = arguments
    sys.argv[0] = option
    if option == "-m":
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    else:
        exec(compile(program, "<string>", "exec"), {"__name__": "__main__"})
