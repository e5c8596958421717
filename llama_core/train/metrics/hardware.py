"""The memory and the energy that a process's device has used."""

import resource
import sys
from typing import Any

import torch


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
    """The energy that a CUDA device takes, by NVML's counter. Without NVML it knows none."""

    def __init__(self, device: torch.device):
        self._nvml: Any = None
        if device.type == "cuda":
            try:
                import pynvml

                pynvml.nvmlInit()
                uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
                self._handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
                self._before = pynvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)
                self._nvml = pynvml
            except Exception:  # not installed, no right to ask, or a device that does not count
                self._nvml = None

    @property
    def knows(self) -> bool:
        """True if the device tells its energy."""
        return self._nvml is not None

    def joules(self) -> float:
        """Return the energy since the last call, or since the start, in joules; 0 where it is unknown."""
        if self._nvml is None:
            return 0.0
        try:
            now = self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)  # millijoules
        except Exception:
            self._nvml = None
            return 0.0
        spent, self._before = (now - self._before) / 1000, now
        return spent
