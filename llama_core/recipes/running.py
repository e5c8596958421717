"""The sections of a recipe that say where and how work is done: `layout`, `launch` and `run`."""

import re
from typing import Literal

from pydantic import Field, model_validator

from llama_core.recipes.time_limit import TimeLimit
from llama_core.section import Execution, Section
from llama_core.url import Address


class Layout(Section):
    """How a model and its batches are spread over processes."""

    dp_replicate: Execution[int] = Field(1, ge=1)
    """Number of replicas of the sharded model (HSDP). It must divide the number of processes; 1 shards the
    model over all of them (FSDP)."""
    micro_batch: Execution[int] = Field(1, ge=1)
    """Number of sequences that a process takes in one forward pass."""
    activation_checkpointing: Execution[Literal["none", "full"]] = "none"
    """`full`: keep only the input of each block, and compute the rest again in the backward pass. This takes
    less memory and more time."""
    compile: Execution[bool] = False
    """Compile each block and the loss with torch.compile."""
    attention: Execution[Literal["auto", "xformers", "varlen", "cudnn", "sdpa"]] = "auto"
    """Implementation of attention; `auto` is xformers on CUDA, as in the paper, and `sdpa` elsewhere. On CUDA
    there are also `varlen` (PyTorch's flash attention by documents) and `cudnn` (PyTorch's SDPA by cuDNN);
    `sdpa` (PyTorch's SDPA) is everywhere."""


class Launch(Section):
    """Where training and evaluation run."""

    launcher: Execution[Literal["local", "slurm"]] = "local"
    """What starts the processes: `local` on this machine, or `slurm` on a cluster."""
    nodes: Execution[int] = Field(1, ge=1)
    """Number of machines."""
    procs_per_node: Execution[int] = Field(1, ge=1)
    """Number of processes on each machine, one for each GPU if there are any."""
    device: Execution[Literal["cpu", "cuda"]] = "cpu"
    """Device that each process computes on."""
    time_limit: Execution[TimeLimit] = "24:00:00"
    """Time limit of one Slurm job, such as hours:minutes:seconds or UNLIMITED: any of Slurm's forms. The next
    job goes on from the checkpoint that is saved before the limit."""
    partition: Execution[str | None] = Field(None, pattern=r"^\w[\w.,@+-]*$", max_length=255)
    """Name of the Slurm partition, or several with commas between; null: the cluster's default."""
    max_restarts: Execution[int] = Field(2, ge=0)
    """Number of times that a failed job is started again from its last checkpoint."""

    @property
    def world_size(self) -> int:
        """The number of processes on all nodes."""
        return self.nodes * self.procs_per_node


class RunSection(Section):
    """How a run works: the processes of its data stages, its checkpoints and its log."""

    engine: Execution[Literal["processes", "dask", "ray"]] = "processes"
    """Where the shards of the data stages are worked on: in processes of this machine, or on a cluster."""
    address: Execution[Address | None] = None
    """Address of the Dask scheduler or the Ray cluster; null: one is started on this machine."""
    workers: Execution[int] = Field(2, ge=1, le=10_000)
    """Number of processes of the data stages on this machine."""
    save_every: Execution[int] = Field(1000, ge=1)
    """Number of training steps between two checkpoints."""
    keep: Execution[int] = Field(2, ge=1)
    """Number of checkpoints that are kept besides the newest."""
    log_every: Execution[int] = Field(10, ge=1)
    """Number of training steps between two lines of the log."""

    @model_validator(mode="after")
    def _address_has_an_engine(self) -> "RunSection":
        if self.address and self.engine == "processes":
            raise ValueError(f"run.address {self.address} is of no use without run.engine dask or ray")
        host, colon, port = (self.address or "").rpartition(":")
        is_port = re.fullmatch(r"[0-9]{1,5}", port) is not None and 0 < int(port) < 2**16
        wants_port = self.address and self.engine == "dask" and not self.address.startswith("inproc://")
        if (wants_port or (colon and port[:1].isdigit())) and not (host and is_port):
            raise ValueError(f"run.address {self.address} has no port: write it as host:port")
        return self
