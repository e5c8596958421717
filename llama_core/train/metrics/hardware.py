"""The memory and the energy that a process's device has used."""

import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import torch

POWERCAP = Path("/sys/class/powercap")


def peak_memory(device: torch.device) -> dict[str, int]:
    """Return the largest memory of this process so far, in bytes.

    On CUDA that is what tensors had (`memory/allocated`) and what PyTorch held for them (`memory/reserved`),
    elsewhere the resident memory of the process (`memory/resident`). It does not wait for the device.
    """
    if device.type == "cuda":
        return {
            "memory/allocated": torch.cuda.max_memory_allocated(device),
            "memory/reserved": torch.cuda.max_memory_reserved(device),
        }
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"memory/resident": most if sys.platform == "darwin" else most << 10}


class EnergyMeter:
    """The energy that a process's device takes: a GPU's by NVML, a node's CPU packages by RAPL.

    Of the processes on a node that compute on its CPUs, the first counts for all. Where no counter can be
    read, which takes rights that few users have for RAPL, it knows none.
    """

    def __init__(self, device: torch.device):
        self._counter: Callable[[], float] | None = None
        try:
            self._counter = _gpu_joules(device) if device.type == "cuda" else _CpuJoules()
            self._before = self._counter()
        except Exception:  # not installed, no right to ask, or a device that does not count
            self._counter = None

    @property
    def knows(self) -> bool:
        """True if the device tells its energy."""
        return self._counter is not None

    def joules(self) -> float:
        """Return the energy since the last call, or since the start, in joules; 0 where it is unknown."""
        if self._counter is None:
            return 0.0
        try:
            now = self._counter()
        except Exception:
            self._counter = None
            return 0.0
        spent, self._before = now - self._before, now
        return spent


def _gpu_joules(device: torch.device) -> Callable[[], float]:
    """Return what reads the counter of a GPU. It raises where there is none."""
    import pynvml

    pynvml.nvmlInit()
    uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
    handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
    return lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000  # of millijoules


class _CpuJoules:
    """Reads the counters of all packages of this machine, as Linux's powercap shows them.

    One that is full begins at 0 again: after many minutes at full power, and so after many steps. Raises
    OSError where there are none that may be read.
    """

    def __init__(self) -> None:
        zones = sorted(POWERCAP.glob("intel-rapl:*"))
        self._zones = [zone for zone in zones if zone.name.count(":") == 1]  # others are parts of a package
        if not self._zones:
            raise FileNotFoundError(POWERCAP)
        self._first = int(os.environ.get("LOCAL_RANK", 0)) == 0
        self._full = [int((zone / "max_energy_range_uj").read_text()) for zone in self._zones]
        self._last, self._sum = self._read(), 0

    def __call__(self) -> float:
        now = self._read()
        for before, after, full in zip(self._last, now, self._full):
            self._sum += after - before if after >= before else after - before + full
        self._last = now
        return self._sum / 1e6 if self._first else 0.0

    def _read(self) -> list[int]:
        return [int((zone / "energy_uj").read_text()) for zone in self._zones]
