"""Time limits as Slurm writes them."""

import re
from typing import Annotated

from pydantic import AfterValidator

FORMS = (
    "minutes, minutes:seconds, hours:minutes:seconds, days-hours, days-hours:minutes, "
    "days-hours:minutes:seconds or UNLIMITED"
)
MOST = 2**31  # Slurm counts the seconds of a limit in 32 bits


def seconds(limit: str) -> int | None:
    """Return the seconds of a limit in any of Slurm's forms, or None for no limit, which 0 means too.

    Raises ValueError, which names the forms.
    """
    if limit.upper() in ("UNLIMITED", "INFINITE"):
        return None
    days, dash, clock = limit.rpartition("-")
    parts = clock.split(":")
    numbers = [days, *parts] if dash else parts
    if len(parts) > 3 or not all(re.fullmatch(r"[0-9]+", number) for number in numbers):
        raise ValueError(f"not a time limit: write {FORMS}")
    values = [int(part) for part in parts]
    if dash or len(values) == 3:
        hours, minutes, rest = (*values, 0, 0)[:3]
    else:
        hours, (minutes, rest) = 0, (*values, 0)[:2]
    total = int(days or 0) * 86400 + hours * 3600 + minutes * 60 + rest
    if total >= MOST:
        raise ValueError("longer than Slurm can count: write UNLIMITED for no limit")
    return total or None


def _checked(limit: str) -> str:
    seconds(limit)
    return limit


TimeLimit = Annotated[str, AfterValidator(_checked)]
"""The type of a recipe's field whose value is a time limit."""
