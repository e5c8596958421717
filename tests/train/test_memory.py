"""Memory that a training on a CPU frees stays with its process."""

import subprocess
import sys

import pytest

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
