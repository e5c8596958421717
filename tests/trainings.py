"""What tests do with the trainings of `distributed/conftest.py`."""

import signal

import programs

# The held-out text of each source: short documents, and one that is longer than a sequence.
HELD_OUT = ["a short text", "one two three four five six seven " * 40, "abc def " * 25, "the last one"]


def end_of(training):
    """What two runs that ended alike have in common, bit for bit."""
    return training.artifact().digest, [(r["step"], r["loss"], r["grad_norm"]) for r in training.records()]


def run_and_die(training, at, processes=1):
    """Run until an object whose name ends in `at` is half published, and die there of SIGKILL."""
    script = f"""
import os, signal, sys
from llama_core import store
write = store.Writer.write
def write_half(self, data):
    if self._name.endswith({at!r}):
        write(self, memoryview(data).cast("B")[: len(data) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    return write(self, data)
store.Writer.write = write_half
create = store.Store.create
def create_or_die(self, name, data):
    if name.endswith({at!r}):
        os.kill(os.getpid(), signal.SIGKILL)
    return create(self, name, data)
store.Store.create = create_or_die
from llama_core.train.run import main
sys.exit(main({training.publish(processes)!r}))
"""
    done = programs.run("-c", script, ranks=processes)
    assert done.returncode == -signal.SIGKILL, done.stdout
