"""What MLflow calls system metrics: the use of this machine's processor, memory, disk, network and GPUs.

MLflow's own monitors measure. Its own loop is not used: it would end for good when the server is away once,
and hold up the end of a run.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mlflow.environment_variables import (
    MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING,
    MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL,
)

Take = Callable[[Mapping[str, float]], object]
Fail = Callable[[Exception], object]
EVERY = 10.0  # seconds between two samples, if MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL says no other
PARTING = 2.0  # seconds that the end of the block waits for the last sample


@contextlib.contextmanager
def watched(take: Take, fail: Fail) -> Iterator[None]:
    """Measure this machine during the block, and give what is found to `take`, in a thread.

    The metrics have MLflow's names. MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING=false turns this off. Whatever is
    raised is given to `fail`, and ends the measuring alone.
    """
    if MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING.is_set() and not MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING.get():
        yield
        return
    stop = threading.Event()
    thread = threading.Thread(target=_watch, args=(take, fail, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(PARTING)


def _watch(take: Take, fail: Fail, stop: threading.Event) -> None:
    try:
        monitors = _monitors()
        every = MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL.get() or EVERY
        while not stop.is_set():
            for monitor in monitors:
                monitor.collect_metrics()
            stop.wait(every)
            found: dict[str, float] = {}
            for monitor in monitors:
                found |= monitor.aggregate_metrics()
                monitor.clear_metrics()
            take({f"system/{name}": float(value) for name, value in found.items()})
    except Exception as error:
        fail(error)


def _monitors() -> list[Any]:
    """Return MLflow's monitors of what this machine has."""
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

    monitors = [CPUMonitor(), DiskMonitor(), NetworkMonitor()]
    with contextlib.suppress(Exception):  # no GPU, or no nvidia-ml-py
        monitors.append(GPUMonitor())
    return monitors
