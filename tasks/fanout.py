"""The engines: they work on the shards of a phase in this process, in several, on Dask or on Ray.

An engine does not know what the shards hold. The work itself (a function with the step and its inputs) is
sent to a worker once, not with every shard. When a worker is lost, its shard is worked on again elsewhere.
"""

import atexit
import contextlib
import logging
import os
import re
import socket
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from functools import lru_cache, partial
from itertools import chain, count, islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cloudpickle
from loky.process_executor import ProcessPoolExecutor, TerminatedWorkerError

from llama_core import lifeline
from llama_core.errors import LaunchError
from llama_core.phases import Engine, Phase, in_turn
from llama_core.recipes.running import RunSection

IDLE_SECONDS = 60  # after which a worker process without work ends
TRIES = 4  # times that a shard may lose its worker; for processes, with no other shard done in between
QUEUED = 3  # shards that a cluster holds for each of its workers
AHEAD = 2  # shards that a process holds: the one that it works on and, unless they are the last, the next


def engine_of(cfg: RunSection) -> Engine:
    """Return the recipe's engine. When it is called, it raises LaunchError where no cluster answers."""
    if cfg.engine == "dask":
        return partial(on_dask, cfg=cfg)
    if cfg.engine == "ray":
        return partial(on_ray, cfg=cfg)
    return in_turn if cfg.workers == 1 else partial(on_processes, workers=cfg.workers)


def on_processes(phase: Phase, todo: list[str], workers: int) -> Iterable[str]:
    """Work on the shards `todo` in processes of this machine, and yield the name of each that is done.

    The processes end when this process is gone, however it died. The first error ends the phase: shards that
    have not begun are left out, and those that are committed stay. Raises LaunchError where a shard loses its
    process TRIES times.
    """
    if len(todo) <= 1:
        yield from in_turn(phase, todo)
        return
    waiting, lost = deque(todo), Counter[str]()
    queues: dict[_Process, deque[tuple[Future[None], str]]] = {p: deque() for p in _processes(workers)}
    with tempfile.NamedTemporaryFile(prefix="llama-work-") as file:
        cloudpickle.dump(phase.work, file)
        file.flush()
        try:
            while True:
                for ahead in range(AHEAD):
                    spare = workers if ahead else 0  # shards that are left for the process that is free first
                    for process, queue in queues.items():
                        if len(queue) == ahead and len(waiting) > spare:
                            name = waiting.popleft()
                            queue.append((process.submit(_work_on, file.name, phase.shards[name]), name))
                # A process works on its shards in turn: the first of a queue ends first.
                heads = {queue[0][0]: queue for queue in queues.values() if queue}
                if not heads:
                    return
                for future in wait(heads, return_when=FIRST_COMPLETED).done:
                    queue = heads[future]
                    try:
                        future.result()
                    except TerminatedWorkerError as error:
                        names = [name for _, name in queue]
                        queue.clear()
                        committed = phase.committed()
                        yield from (name for name in names if name in committed)
                        again = [name for name in names if name not in committed]
                        lost.update(again[:1])
                        if again and lost[again[0]] == TRIES:
                            raise LaunchError(
                                f"a worker process was lost {TRIES} times while it worked on {again[0]} of "
                                f"{phase.name}: did the machine run out of memory? Set a lower run.workers"
                            ) from error
                        waiting.extend(again[:1])  # after all others: it may be why its process was lost
                        waiting.extendleft(again[1:])
                    else:
                        lost.clear()
                        yield queue.popleft()[1]
        finally:
            for future, _ in chain.from_iterable(queues.values()):
                future.cancel()


class _Process:
    """A worker process, which is replaced when it is lost.

    It is a pool of one: a pool of several ends with the first process that it loses, and the shards of the
    others are lost with it.
    """

    def __init__(self, line: Connection) -> None:
        self._lifeline = line
        self._start()

    def _start(self) -> None:
        self._pool = ProcessPoolExecutor(
            max_workers=1, timeout=IDLE_SECONDS, initializer=lifeline.watch, initargs=(self._lifeline,)
        )

    def submit(self, function: Callable[..., None], *arguments: Any) -> Future[None]:
        """Queue a call of `function`. A process is started if there is none."""
        try:
            return self._pool.submit(function, *arguments)
        except TerminatedWorkerError:
            self._start()
            return self._pool.submit(function, *arguments)


@lru_cache(maxsize=1)
def _processes(workers: int) -> tuple[_Process, ...]:
    """Return the processes. They are the same for all phases, because each takes seconds to start."""
    line = lifeline.of_this_process()
    return tuple(_Process(line) for _ in range(workers))


def _work_on(path: str, argument: Any) -> None:
    _work_at(path)(argument)


@lru_cache(maxsize=1)
def _work_at(path: str) -> Callable[[Any], None]:
    """Return the work of a phase, read once by each process."""
    return cloudpickle.loads(Path(path).read_bytes())


def on_dask(phase: Phase, todo: list[str], cfg: RunSection) -> Iterable[str]:
    """Work on the shards `todo` on a Dask cluster, and yield the name of each that is done.

    It is the cluster at `run.address`, or without an address one of processes that are started on this
    machine. Raises LaunchError where no cluster answers.
    """
    from distributed import KilledWorker
    from distributed import as_completed as as_they_end
    from distributed.client import FutureCancelledError

    client = _dask_client(cfg.address, cfg.workers)
    waiting, tries = iter(todo), dict.fromkeys(todo, 0)
    work = client.scatter(phase.work, broadcast=True, hash=False)
    slots = QUEUED * max(1, sum(client.nthreads().values()))

    def submit(name: str) -> Any:
        tries[name] += 1
        key = f"{phase.name}-{name}-{tries[name]}-{next(_numbers)}"
        return client.submit(_apply, work, phase.shards[name], key=key, pure=False)

    names = {submit(name): name for name in islice(waiting, slots)}
    ended = as_they_end(list(names), raise_errors=False)
    try:
        for future in ended:
            name = names.pop(future)
            fault = future.exception()
            if isinstance(fault, KilledWorker | FutureCancelledError) and tries[name] < TRIES:
                work = client.scatter(phase.work, broadcast=True, hash=False)  # the work may be lost as well
                again = submit(name)
                names[again] = name
                ended.add(again)
                continue
            if fault:
                raise fault
            yield name
            following = next(waiting, None)
            if following is not None:
                new = submit(following)
                names[new] = following
                ended.add(new)
    finally:
        client.cancel(list(names))


_numbers = count()  # part of the keys of Dask's tasks, since a key stands for one result for ever


@lru_cache(maxsize=1)
def _dask_client(address: str | None, workers: int) -> Any:
    """Return the client, which is closed when this process ends.

    It is the same for all phases, because a cluster takes seconds to start.
    """
    from distributed import Client

    here = {"n_workers": workers, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    try:
        client = Client(address, timeout=20) if address else Client(**here)
    except (OSError, TimeoutError, TypeError, ValueError) as error:  # the last two: it is no address
        raise LaunchError(f"no Dask scheduler answers at run.address {address}: {error}") from error
    atexit.register(client.close)
    return client


def _apply(work: Callable[[Any], None], argument: Any) -> None:
    work(argument)


def _apply_put(work: list[Any], argument: Any) -> None:
    _work_put(work[0])(argument)


@lru_cache(maxsize=1)
def _work_put(reference: Any) -> Callable[[Any], None]:
    """Return the work of a phase, fetched once by each worker."""
    import ray

    return ray.get(reference)


@contextlib.contextmanager
def _ray_on_loopback() -> Iterator[None]:
    """Let a cluster of Ray's that is started in the block listen where it is told: at 127.0.0.1.

    Ray takes this for the address by which other machines reach this one, and its servers, which execute
    what they are sent, would listen there.
    """
    from ray._private import services

    resolve = services.resolve_ip_for_localhost
    services.resolve_ip_for_localhost = lambda host: host
    try:
        yield
    finally:
        services.resolve_ip_for_localhost = resolve


def on_ray(phase: Phase, todo: list[str], cfg: RunSection) -> Iterator[str]:
    """Work on the shards `todo` on a Ray cluster, and yield the name of each that is done.

    It is the cluster at `run.address`, or without an address one that is started on this machine. Raises
    LaunchError where no cluster answers.
    """
    import ray

    if not ray.is_initialized():
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        here = {"num_cpus": cfg.workers, "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
        where = {"address": cfg.address} if cfg.address else here
        try:
            if host_and_port := re.search(r"([^/]+):(\d+)$", cfg.address or ""):
                socket.create_connection((host_and_port[1], int(host_and_port[2])), timeout=10).close()
            with _ray_on_loopback():
                ray.init(**where, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, ValueError) as error:  # Ray itself would try for minutes
            raise LaunchError(f"no Ray cluster answers at run.address {cfg.address}: {error}") from error
    work = [ray.put(phase.work)]  # in a list, because Ray would unpack a bare reference with every shard
    remote = ray.remote(num_cpus=1, max_retries=TRIES)(_apply_put)
    slots = QUEUED * max(1, int(ray.cluster_resources().get("CPU", 1)))
    waiting = iter(todo)
    names = {remote.remote(work, phase.shards[name]): name for name in islice(waiting, slots)}
    try:
        while names:
            [ready], _ = ray.wait(list(names), num_returns=1)
            ray.get(ready)
            yield names.pop(ready)
            following = next(waiting, None)
            if following is not None:
                names[remote.remote(work, phase.shards[following])] = following
    except ray.exceptions.RayTaskError as error:
        raise error.cause if error.cause is not None else error from error
    finally:
        for future in names:
            ray.cancel(future)
