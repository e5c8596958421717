"""A request to end, however often it comes."""

import programs

STORM = """
import os, signal, subprocess, sys
import torch
from llama_core.train.distributed import World
from llama_core.train.stability.stop import Stop
send = f"import os; [os.kill({os.getpid()}, 15) for _ in range(300_000)]"
with Stop(World(0, 1, torch.device("cpu"))) as stop:
    storm = subprocess.Popen([sys.executable, "-c", send])
    while storm.poll() is None:
        sum(range(100))
    print("stops" if stop.now() else "goes on")
"""


def test_a_signal_that_comes_while_another_is_noted_blocks_nothing() -> None:
    """Slurm and the agent both send one to each process."""
    done = programs.run("-c", STORM)
    assert done.returncode == 0 and done.stdout == "stops\n", done.stdout
