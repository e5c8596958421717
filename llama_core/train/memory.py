"""The memory of the machine that a process trains on."""

import ctypes
from pathlib import Path

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # the numbers of glibc's malloc.h
LARGEST = 32 * 2**20  # the highest MMAP_THRESHOLD that glibc takes


def keep_freed_memory() -> bool:
    """Let the C library keep memory that is freed, for the next tensor, and tell whether it does.

    It gives large pieces back to the system otherwise, and the system clears each page again when it is
    touched next: some 67,000 pages in a step of a model of 17 M parameters, some 4 % of the step's time.
    Other C libraries than glibc do as they always do.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return bool(mallopt(MMAP_THRESHOLD, LARGEST)) and bool(mallopt(TRIM_THRESHOLD, -1))


def memory_left(root: Path = Path("/")) -> int | None:
    """Return how many bytes of memory processes of this job may still take here, or None if nobody says.

    It is what the machine has left, or less where a container or Slurm has set the job a limit (a cgroup).
    """
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
        left = [int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")]
        groups = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    for _, controllers, path in (line.split(":", 2) for line in groups):
        version = _V2 if not controllers else _V1 if "memory" in controllers.split(",") else None
        if version is not None:
            folder, inside = root / version[0], path.strip("/")
            left += [*_left_in(folder, version)]
            for part in [Path(inside), *Path(inside).parents] if inside else []:
                left += [*_left_in(folder / part, version)]
    return min(left, default=None)


# Of each version: the folder, the files of the limit and of the usage, and the line of what can be dropped.
_V2 = ("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file")
_V1 = ("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def _left_in(folder: Path, version: tuple[str, str, str, str]) -> list[int]:
    """Return what a cgroup has left, in a list of one, or nothing where it has no limit."""
    _, limit, usage, droppable = version
    try:
        most, used = (folder / limit).read_text().strip(), int((folder / usage).read_text())
        told = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except OSError:
        return []
    return [] if most == "max" else [int(most) - used + int(told.get(droppable, 0))]
