"""The time and the energy that a training took from its devices, and the carbon dioxide behind it.

The formulas and the factors are those of Touvron et al. 2023, section 6 and Table 15. A device is a GPU, or a
process of a training on CPUs.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from llama_core.train.metrics.goodput import seconds_of

PUE = 1.1  # the power of a data centre per that of its devices
TONNES_PER_MWH = 0.385  # of CO2 equivalents: the average of the US
STOPPED = 3600.0  # seconds without a step, after which no job was there: one that hangs ends itself before


@dataclass(frozen=True)
class Use:
    """What a training took from all its devices together."""

    device_hours: float = 0.0
    """The hours of the devices from the first step to the last, with saves, validations and restarts. Where
    no step was made for more than STOPPED seconds, nobody held the devices."""
    in_steps: float = 0.0
    """Those of them in which steps that count were made."""
    joules: float | None = None
    """The energy of the devices by their own counters, or None where some steps have none."""

    @property
    def watts(self) -> float | None:
        """The mean power of a device, if the energy is known."""
        if self.joules is None or not self.device_hours:
            return None
        return self.joules / (self.device_hours * 3600)


def use(records: Iterable[dict[str, Any]]) -> Use:
    """Return what the record of a training tells, step by step, of the use of its devices."""
    total = steps = joules = 0.0
    known, before = True, None
    for record in records:
        seconds = seconds_of(record)
        passed = seconds if before is None else record["time"] - before
        if passed - seconds > STOPPED:
            passed = seconds
        devices = _devices(record)
        total += devices * passed / 3600
        steps += 0.0 if record.get("skipped") else devices * seconds / 3600
        known = known and record["joules"] is not None
        joules += record["joules"] or 0.0
        before = record["time"]
    return Use(total, steps, joules if known and before is not None else None)


def _devices(record: dict[str, Any]) -> int:
    """Return the number of devices at a step, of which the speed of all and that of one are known."""
    return max(1, round(record["tokens_per_s"] / max(0.1, record["tokens_per_s_per_device"])))


def megawatt_hours(device_hours: float, watts: float) -> float:
    """Return the energy that a data centre takes for devices of `watts` each."""
    return device_hours * watts * PUE / 1e6


def tonnes(mwh: float) -> float:
    """Return the tonnes of CO2 equivalents that so many megawatt-hours cause."""
    return mwh * TONNES_PER_MWH
