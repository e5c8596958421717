"""Cases of a process group: `call` runs a function on real gloo processes, `train` a training's job.

The processes of all cases are forks of the one fork server of `programs`, which is started once and has
imported all that they need. So a case begins in some milliseconds, with no group, mesh, compiled code or
environment of an earlier case, and one that hangs or dies takes nothing with it.

To write a case, give `call` a function at the top of a test's module. Each process calls it with its `World`,
which is that of `distributed.join`, and returns what it returns:

    def share(world, value):
        return world.sum(value * world.rank)

    def test_it():
        assert ranks.call(4, share, 2.0) == [[12.0]] * 4

A training is one of the fixture `training`; `train` runs its step by `llama_core.train.run.main`, on any
number of processes and in any layout, and goes on where an earlier call was stopped:

    run = training(**{"train.grad_clip": 0.5})
    first = ranks.train(run, 4, stop=5, tp=2)
    rest = ranks.train(run, 2, pp=2)
    curves = [(r["loss"], r["grad_norm"]) for r in run.records()]
    assert digest_of_rows(first | rest) == digest_of_rows(others)
"""

import faulthandler
import hashlib
import importlib.util
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import programs

from llama_core.program import STOPPED

Row = tuple[int, int]  # a batch, and the place of a sequence in it
GRACE = 3.0  # seconds that the other processes have to end in once one of them has failed


class CaseError(AssertionError):
    """A process of a case has raised an error, has died, or was not done in time."""


def call(processes: int, function: Callable[..., Any], *arguments: Any, timeout: float = 60) -> list[Any]:
    """Return what `function(world, *arguments)` returns on each of some processes. Raises CaseError."""
    code = function.__code__
    return _run(processes, _joined, (code.co_filename, function.__name__, arguments), timeout)


def train(
    training: Any, processes: int, stop: int | None = None, timeout: float = 60, **layout: Any
) -> dict[Row, str]:
    """Train, and return the sha256 of each sequence that was taken. Raises CaseError.

    `stop`: the update after which SIGTERM reaches the processes; None: train to the end. Every sequence of
    each batch must have been taken by all processes of one data rank, and by those alone.
    """
    url = training.publish(processes, **layout)
    taken: dict[Row, str] = {}
    sizes: dict[int, int] = {}
    for code, batches in _run(processes, _trained, (url, stop), timeout):
        assert code == (STOPPED if stop else 0)
        for (n, rank, size), rows in batches.items():
            assert sizes.setdefault(n, size) == size
            for place, row in enumerate(rows, rank * len(rows)):
                assert taken.setdefault((n, place), row) == row
    sequences = training.job.recipe.train.batch_sequences
    assert sorted(taken) == [(n, place) for n in sorted(sizes) for place in range(sequences)]
    return taken


def digest_of_rows(taken: Mapping[Row, str], steps: int) -> str:
    """Return the sha256 over the sequences of the first `steps` batches.

    The order inside a batch does not count: which rank takes which sequence depends on how many there are.
    """
    rows = sorted((n, row) for (n, _), row in taken.items() if n < steps)
    return hashlib.sha256("".join(row for _, row in rows).encode()).hexdigest()


def _run(processes: int, work: Callable[..., Any], arguments: tuple[Any, ...], timeout: float) -> list[Any]:
    groups = programs.group(processes)
    results: dict[int, Any] = {}
    errors: dict[int, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        running = {}
        for rank, group in enumerate(groups):
            reading, writing = programs.context.Pipe(duplex=False)
            output = f"{folder}/{rank}"
            process = programs.context.Process(
                target=_be, args=(programs.environment() | group, output, timeout, writing, work, arguments)
            )
            process.start()
            writing.close()
            running[reading] = rank, process
        deadline = time.monotonic() + timeout
        try:
            while len(results) + len(errors) < processes and time.monotonic() < deadline:
                waiting = [c for c, (rank, _) in running.items() if rank not in results | errors]
                for connection in wait(waiting, timeout=max(0, deadline - time.monotonic())):
                    rank, process = running[connection]  # type: ignore[index]
                    try:
                        error, value = connection.recv()  # type: ignore[union-attr]
                    except EOFError:
                        process.join()
                        error, value = f"died with exit code {process.exitcode}", None
                    if error is None:
                        results[rank] = value
                    else:
                        errors[rank] = error
                        deadline = min(deadline, time.monotonic() + GRACE)
        finally:
            for connection, (_, process) in running.items():
                connection.close()
                if process.exitcode is None and len(results) < processes:
                    process.kill()
                process.join()
        if len(results) == processes:
            return [results[rank] for rank in range(processes)]
        late = set(range(processes)) - results.keys() - errors.keys()
        if not errors:
            errors = dict.fromkeys(late, f"was not done in {timeout} s")
        said = (
            f"process {rank} of {processes} {error}\n{Path(folder, str(rank)).read_text()[-4000:]}"
            for rank, error in sorted(errors.items())
        )
        raise CaseError("\n".join(said))


def _be(
    env: dict[str, str],
    output: str,
    timeout: float,
    connection: Connection,
    work: Callable[..., Any],
    arguments: tuple[Any, ...],
) -> None:
    """In the fork: be one process of a case."""
    os.environ.clear()
    os.environ.update(env)
    file = os.open(output, os.O_WRONLY | os.O_CREAT)
    for stream in (1, 2):
        os.dup2(file, stream)
    sys.stdout = sys.stderr = os.fdopen(file, "w")
    faulthandler.dump_traceback_later(timeout * 0.95, file=sys.stderr)  # where it hangs
    try:
        connection.send((None, work(*arguments)))
        code = 0
    except BaseException:
        connection.send((f"raised\n{traceback.format_exc()}", None))
        code = 1
    sys.stdout.flush()
    connection.close()
    os._exit(code)  # without waiting for threads of a group that is broken


def _joined(path: str, name: str, arguments: tuple[Any, ...]) -> Any:
    from llama_core.train import distributed

    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    world = distributed.join("cpu")
    result = getattr(module, name)(world, *arguments)
    distributed.close_group()
    return result


def _trained(url: str, stop: int | None) -> tuple[int, dict[tuple[int, int, int], list[str]]]:
    """Train the job at `url`, and return its exit code and the digests of what each call took."""
    import numpy as np

    from llama_core.tokens.loader import Loader
    from llama_core.train import run

    taken: dict[tuple[int, int, int], list[str]] = {}

    class Noting(Loader):
        def batch(self, n: int, rank: int = 0, world: int = 1) -> Any:
            batch = super().batch(n, rank, world)
            tokens = np.asarray(getattr(batch, "tokens", batch))
            taken[n, rank, world] = [hashlib.sha256(row.tobytes()).hexdigest() for row in tokens]
            if n + 1 == stop:
                os.kill(os.getpid(), signal.SIGTERM)
            return batch

    run.Loader = Noting  # type: ignore[misc]
    return run.main(url), taken
