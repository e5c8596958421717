"""The processes of a training: which of them this one is, and what they tell one another."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from llama_core.errors import LaunchError
from llama_core.train.memory import keep_freed_memory
from llama_core.train.network import LOOPBACK, open_store, restrict_messages, stay_on_loopback

T = TypeVar("T")
# How gloo and NCCL say that the process at the other end is gone.
GONE = re.compile(
    r"closed by peer|reset by peer|refused|Broken pipe|[Tt]imed out|remote process (exited|has terminated)"
    r"|remote error|Socket (Timeout|Closed)|failed to (recv|send)"
)
TIMEOUT = timedelta(minutes=10)  # how long a process waits for the others


@dataclass(frozen=True)
class World:
    """One process among others. Every method is called by all of them at the same point.

    What they tell one another is plain values, errors, and the classes that `network.Unpickler` knows.
    """

    rank: int
    """The number of this process, from 0."""
    size: int
    """The number of processes."""
    device: torch.device
    """The device that this process computes on."""

    def sum(self, *values: float) -> list[float]:
        """Return the sum of each value over all processes."""
        if self.size == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        return total.tolist()

    def agree(self, decide: Callable[[], T]) -> T:
        """Call `decide` on rank 0, and return what it returns, or raise what it raises, on every rank."""
        if self.size == 1:
            return decide()
        said: list[Any] = [None, None]
        if self.rank == 0:
            try:
                said[0] = decide()
            except Exception as error:
                said[1] = error
        dist.broadcast_object_list(said, src=0, device=torch.device("cpu"))
        if said[1] is not None:
            raise said[1]
        return said[0]

    def all_of(self, do: Callable[[], T]) -> list[T]:
        """Call `do` on every rank, and return by rank, on rank 0, what it returns; nothing on the others.

        Raises on every rank the first of the errors that one of them has met.
        """
        value: Any = None
        error: Exception | None = None
        try:
            value = do()
        except Exception as caught:
            error = caught
        said = self.gather((error, value))

        def check() -> None:
            for failed, _ in said:
                if failed is not None:
                    raise failed

        self.agree(check)
        return [value for _, value in said]

    def ensure_group(self) -> None:
        """Make a process group of one if this process is alone, for a library that needs a group."""
        if not dist.is_initialized():
            stay_on_loopback()  # a group of one listens too
            dist.init_process_group(_backend(self.device), store=dist.HashStore(), rank=0, world_size=1)

    def gather(self, value: T) -> list[T]:
        """Return the values of all processes, by rank, on rank 0, and an empty list on the others."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size if self.rank == 0 else []
        dist.gather_object(value, values if self.rank == 0 else None)
        return values


def rank_of_this_process() -> int:
    """Return the number of this process, as torchrun's environment says it."""
    return int(os.environ.get("RANK", 0))


def join(device: str) -> World:
    """Enter the process group that torchrun's environment describes, if there is more than one process.

    `device`: `cpu` or `cuda`. Raises LaunchError where this node has fewer CUDA devices than processes, or
    where the processes cannot meet.
    """
    rank, size = rank_of_this_process(), int(os.environ.get("WORLD_SIZE", 1))
    local_rank = int(os.environ.get("LOCAL_RANK", 0))
    if device == "cuda":
        if local_rank >= torch.cuda.device_count():
            raise LaunchError(
                f"process {local_rank} of this node finds {torch.cuda.device_count()} CUDA devices: "
                "set launch.procs_per_node to what the node has, or launch.device to cpu"
            )
        place = torch.device("cuda", local_rank)
        torch.cuda.set_device(place)
    else:
        place = torch.device("cpu")  # the launchers set its number of threads, OMP_NUM_THREADS
        keep_freed_memory()
    if size > 1:
        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        if os.environ.get("LOCAL_WORLD_SIZE") == str(size):  # all of them are here
            address = LOOPBACK
            stay_on_loopback()
        restrict_messages()
        os.environ.setdefault("TORCH_FR_BUFFER_SIZE", "2000")  # messages that the watchdog writes
        holds = rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"  # else the agent does
        store = open_store(address, port, size, holds, TIMEOUT)
        dist.init_process_group(_backend(place), store=store, rank=rank, world_size=size, timeout=TIMEOUT)
    return World(rank, size, place)


def _backend(device: torch.device) -> str:
    return "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"


def is_left_alone(error: RuntimeError) -> bool:
    """Tell whether an error means that another process of the group is gone, rather than a fault here."""
    return GONE.search(str(error)) is not None


def close_group() -> None:
    """Leave the process group, if this process is in one."""
    if dist.is_initialized():
        dist.destroy_process_group()
