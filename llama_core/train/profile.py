"""Profiles: what the steps that `run.profile` names do on each device, for Perfetto and PyTorch's viewers.

    <store>/profiles/<id of the train step>/<attempt>/steps-3-5.rank0.trace.json.gz    Chrome trace
                                                      steps-3-5.rank0.kernels.txt      table of the kernels
                                                      steps-3-5.rank0.memory.pickle    on CUDA: its memory

They lie beside the train step and are no part of its result. Of the processes the first and the last one
write theirs. Whatever fails here costs the profile, and never the training.
"""

import contextlib
import logging
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llama_core.recipe import Recipe
from llama_core.step import Step
from llama_core.store import Store

if TYPE_CHECKING:
    from llama_core.train.distributed import World  # with it comes torch, which a report does without

log = logging.getLogger(__name__)
FOLDER = "profiles"
ROWS = 60  # of the table
MEMORY_EVENTS = 200_000  # allocations that a snapshot remembers at most


def folder_of(root: Store, step_name: str) -> Store:
    """Return where the profiles of a train step (`train/<id>`) lie, of all its attempts."""
    return root.at(f"{FOLDER}/{step_name.rpartition('/')[2]}")


class Profile:
    """Profiles some steps of a training: `begin(n)` before each step, and `ends(n)` after it."""

    def __init__(self, step: Step, recipe: Recipe, world: "World"):
        wanted = recipe.run.profile
        self._span = tuple(wanted) if wanted and world.rank in (0, world.size - 1) else None
        self._store = folder_of(step.root, step.name).at(step.attempt)
        self._world = world
        self._profiler: Any = None

    def begin(self, n: int) -> None:
        """Start with the first step of those that are profiled, or with the first that is still to come."""
        if self._span and self._profiler is None and self._span[0] <= n <= self._span[1]:
            with self._harmless():
                self._start(n)

    def ends(self, n: int) -> bool:
        """Write the profile after the last of its steps, and tell whether it was that."""
        if self._profiler is None or not self._span or n < self._span[1]:
            return False
        with self._harmless():
            self._write(n)
        self._span = self._profiler = None
        return True

    def _start(self, n: int) -> None:
        import torch
        from torch.profiler import ProfilerActivity, profile

        activities = [ProfilerActivity.CPU]
        if self._world.device.type == "cuda":
            activities.append(ProfilerActivity.CUDA)
            torch.cuda.memory._record_memory_history(max_entries=MEMORY_EVENTS)
        self._first = n
        profiler = profile(activities=activities, record_shapes=True)
        profiler.start()
        self._profiler = profiler

    def _write(self, n: int) -> None:
        import torch

        on_cuda = self._world.device.type == "cuda"
        if on_cuda:
            torch.cuda.synchronize()
        self._profiler.stop()
        name = f"steps-{self._first}-{n}.rank{self._world.rank}"
        with tempfile.TemporaryDirectory(prefix="llama-profile-") as folder:
            trace = Path(folder, "trace.json.gz")
            self._profiler.export_chrome_trace(str(trace))
            self._publish(f"{name}.trace.json.gz", trace)
            if on_cuda:
                memory = Path(folder, "memory.pickle")
                torch.cuda.memory._dump_snapshot(str(memory))
                torch.cuda.memory._record_memory_history(enabled=None)
                self._publish(f"{name}.memory.pickle", memory)
        by = "self_device_time_total" if on_cuda else "self_cpu_time_total"
        table = self._profiler.key_averages().table(sort_by=by, row_limit=ROWS)
        self._store.publish_bytes(f"{name}.kernels.txt", table.encode())
        log.info("profile of steps %d to %d: %s", self._first, n, self._store.url_of(f"{name}.trace.json.gz"))

    def _publish(self, name: str, path: Path) -> None:
        with path.open("rb") as source, self._store.publish(name) as file:
            shutil.copyfileobj(source, file, 1 << 22)

    @contextlib.contextmanager
    def _harmless(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            log.warning("no profile: %s: %s", type(error).__name__, error)
            self._span = None
