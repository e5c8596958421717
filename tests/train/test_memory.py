"""The memory of a machine: what is freed stays with its process, and what is left is known."""

import subprocess
import sys
from pathlib import Path

import pytest

from llama_core.train.memory import memory_left

STEPS = """
import resource, sys, torch
from llama_core.train.memory import keep_freed_memory
if len(sys.argv) > 1 and not keep_freed_memory():
    sys.exit(3)
def step():
    kept = [torch.ones(2048, 1024) for _ in range(8)]
    return sum(float(x[0, 0]) for x in kept)
for _ in range(4):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(*arguments):
    done = subprocess.run([sys.executable, "-c", STEPS, *arguments], capture_output=True, text=True)
    if done.returncode == 3:
        pytest.skip("this C library is not glibc")
    return int(done.stdout)


def test_a_step_touches_no_new_page_once_freed_memory_is_kept():
    if faults() < 1000:  # 64 MiB are 16,384 pages
        pytest.skip("this C library keeps the memory by itself")
    assert faults("keep") < 100


def machine(folder: Path, **files: str) -> Path:
    """A machine with 8 GiB left, and files of its cgroups, whose names have `__` for `/`."""
    made = {"proc__meminfo": "MemTotal: 16777216 kB\nMemAvailable: 8388608 kB\n"} | files
    for name, text in made.items():
        path = folder / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


GIB = 1 << 30


def test_what_is_left_is_the_machines_or_less_by_the_limit_of_a_cgroup(tmp_path: Path) -> None:
    at = "sys__fs__cgroup__"
    free = machine(tmp_path / "free", proc__self__cgroup="0::/\n")
    assert memory_left(free) == 8 * GIB
    job = {"proc__self__cgroup": "0::/job/step\n", f"{at}job__memory_DOT_max": f"{4 * GIB}\n"}
    job |= {
        f"{at}job__memory_DOT_current": f"{3 * GIB}\n",
        f"{at}job__memory_DOT_stat": f"inactive_file {GIB}",
    }
    job |= {f"{at}job__step__memory_DOT_max": "max\n", f"{at}job__step__memory_DOT_current": f"{3 * GIB}\n"}
    job |= {f"{at}job__step__memory_DOT_stat": "anon 1\n"}
    assert memory_left(machine(tmp_path / "v2", **job)) == 2 * GIB
    of = f"{at}memory__slurm__"
    old = {
        "proc__self__cgroup": "4:memory:/slurm\n1:cpu:/\n",
        f"{of}memory_DOT_stat": "total_inactive_file 0",
    }
    old |= {f"{of}memory_DOT_limit_in_bytes": f"{GIB}", f"{of}memory_DOT_usage_in_bytes": f"{GIB // 4}"}
    assert memory_left(machine(tmp_path / "v1", **old)) == GIB - GIB // 4
    assert memory_left(tmp_path / "elsewhere") is None


def test_this_machine_tells_what_it_has_left() -> None:
    left = memory_left()
    assert left is None or left > 0
