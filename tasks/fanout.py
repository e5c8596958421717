"""Fan the shards of a phase out over an engine, which knows shards and never what they hold.

The work itself (a function with the step and its inputs) crosses to a worker once, not with every shard.
A worker that is lost takes nothing with it: its shards are worked on again elsewhere, and only those.
"""

import atexit
import logging
import os
import re
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import as_completed
from functools import lru_cache, partial
from itertools import count, islice
from pathlib import Path
from typing import Any

import cloudpickle
from loky import get_reusable_executor
from loky.process_executor import TerminatedWorkerError

from llama_core.errors import LaunchError
from llama_core.phases import Engine, Phase, in_turn
from llama_core.recipe import Run

IDLE_SECONDS = 60  # then a worker process ends by itself
TRIES = 4  # of a shard whose worker was lost; of a pool of processes, without a shard done between
QUEUED = 3  # shards handed to the engine, for each of its workers


def engine_of(cfg: Run) -> Engine:
    """The recipe's engine, which raises LaunchError where no cluster answers."""
    if cfg.engine == "dask":
        return partial(on_dask, cfg=cfg)
    if cfg.engine == "ray":
        return partial(on_ray, cfg=cfg)
    return in_turn if cfg.workers == 1 else partial(on_processes, workers=cfg.workers)


def on_processes(phase: Phase, todo: list[str], workers: int) -> Iterable[str]:
    """Worker processes of this machine, which end when this process is gone, however it died.

    The first error ends the phase: what has not begun is dropped, what was committed stays.
    """
    if len(todo) <= 1:
        yield from in_turn(phase, todo)
        return
    left = dict.fromkeys(todo)
    with tempfile.NamedTemporaryFile(prefix="llama-work-") as file:
        cloudpickle.dump(phase.work, file)
        file.flush()
        lost = 0
        while left:
            try:
                for name in _on_one_pool(phase, list(left), workers, file.name):
                    del left[name]
                    lost = 0
                    yield name
            except TerminatedWorkerError as error:  # a pool is lost with its worker
                for name in phase.committed() & left.keys():
                    del left[name]
                    yield name
                lost += 1
                if lost == TRIES:
                    raise LaunchError(
                        f"worker processes were lost {TRIES} times in a row, while they worked on "
                        f"{phase.label}: did the machine run out of memory? Set a lower run.workers"
                    ) from error


def _on_one_pool(phase: Phase, todo: list[str], workers: int, work: str) -> Iterator[str]:
    pool = get_reusable_executor(
        max_workers=workers, timeout=IDLE_SECONDS, initializer=_end_with_parent, initargs=(os.getpid(),)
    )
    futures = {pool.submit(_work_on, work, phase.shards[name]): name for name in todo}
    try:
        for future in as_completed(futures):
            future.result()
            yield futures[future]
    except TerminatedWorkerError:
        pool.shutdown()  # it says so before its other workers are gone: what they commit, they have by now
        raise
    finally:
        for future in futures:
            future.cancel()


def _work_on(path: str, argument: Any) -> None:
    _work_at(path)(argument)


@lru_cache(maxsize=1)
def _work_at(path: str) -> Callable[[Any], None]:
    return cloudpickle.loads(Path(path).read_bytes())


def _end_with_parent(parent: int) -> None:
    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(113)

    threading.Thread(target=watch, daemon=True).start()


def on_dask(phase: Phase, todo: list[str], cfg: Run) -> Iterable[str]:
    """Workers of a Dask cluster at `run.address`, or of a cluster of processes started here."""
    from distributed import KilledWorker
    from distributed import as_completed as as_they_end
    from distributed.client import FutureCancelledError

    client = _dask_client(cfg.address, cfg.workers)
    waiting, tries = iter(todo), dict.fromkeys(todo, 0)
    work = client.scatter(phase.work, broadcast=True, hash=False)
    slots = QUEUED * max(1, sum(client.nthreads().values()))

    def submit(name: str) -> Any:
        tries[name] += 1
        key = f"{phase.label}-{name}-{tries[name]}-{next(_numbers)}"
        return client.submit(_apply, work, phase.shards[name], key=key, pure=False)

    names = {submit(name): name for name in islice(waiting, slots)}
    ended = as_they_end(list(names), raise_errors=False)
    try:
        for future in ended:
            name = names.pop(future)
            fault = future.exception()
            if isinstance(fault, KilledWorker | FutureCancelledError) and tries[name] < TRIES:
                work = client.scatter(phase.work, broadcast=True, hash=False)  # it may be gone as well
                again = submit(name)
                names[again] = name
                ended.add(again)
                continue
            if fault:
                raise fault
            yield name
            for following in islice(waiting, 1):
                new = submit(following)
                names[new] = following
                ended.add(new)
    finally:
        client.cancel(list(names))


_numbers = count()  # of tasks: a key of Dask's stands for one result, for ever


@lru_cache(maxsize=1)
def _dask_client(address: str | None, workers: int) -> Any:
    """One for all phases of this process, and closed with it: a cluster takes seconds to start."""
    from distributed import Client

    here = {"n_workers": workers, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    try:
        client = Client(address, timeout=20) if address else Client(**here)
    except (OSError, TimeoutError) as error:
        raise LaunchError(f"no Dask scheduler answers at run.address {address}: {error}") from error
    atexit.register(client.close)
    return client


def _apply(work: Callable[[Any], None], argument: Any) -> None:
    work(argument)


def _apply_put(work: list[Any], argument: Any) -> None:
    _work_put(work[0])(argument)


@lru_cache(maxsize=1)
def _work_put(reference: Any) -> Callable[[Any], None]:
    import ray

    return ray.get(reference)


def on_ray(phase: Phase, todo: list[str], cfg: Run) -> Iterator[str]:
    """Workers of a Ray cluster at `run.address`, or of a Ray started here."""
    import ray

    if not ray.is_initialized():
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        here = {"num_cpus": cfg.workers, "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
        where = {"address": cfg.address} if cfg.address else here
        try:
            if host_and_port := re.search(r"([^/]+):(\d+)$", cfg.address or ""):
                socket.create_connection((host_and_port[1], int(host_and_port[2])), timeout=10).close()
            ray.init(**where, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, OSError) as error:  # Ray itself would ask for minutes
            raise LaunchError(f"no Ray cluster answers at run.address {cfg.address}: {error}") from error
    work = [ray.put(phase.work)]  # in a list: Ray would unpack it anew with every shard
    remote = ray.remote(num_cpus=1, max_retries=TRIES)(_apply_put)
    slots = QUEUED * max(1, int(ray.cluster_resources().get("CPU", 1)))
    waiting = iter(todo)
    names = {remote.remote(work, phase.shards[name]): name for name in islice(waiting, slots)}
    try:
        while names:
            [ready], _ = ray.wait(list(names), num_returns=1)
            ray.get(ready)
            yield names.pop(ready)
            for following in islice(waiting, 1):
                names[remote.remote(work, phase.shards[following])] = following
    except ray.exceptions.RayTaskError as error:
        raise error.cause if error.cause is not None else error from error
    finally:
        for future in names:
            ray.cancel(future)
