"""The sections of a recipe that say where and how work is done: `layout`, `launch` and `run`."""

import re
from typing import Literal

from pydantic import Field, model_validator

from llama_core.recipes.evaluation import MOST_HELDOUT
from llama_core.recipes.time_limit import TimeLimit
from llama_core.section import Execution, Section
from llama_core.url import Address

MOST_PROFILED = 20  # steps: the trace of one has tens of megabytes


class Layout(Section):
    """How a model and its batches are spread over processes."""

    pp: Execution[int] = Field(1, ge=1)
    """Number of processes of a pipeline (pipeline parallelism, Huang et al. 2019): each has a part of the
    blocks."""
    pp_schedule: Execution[
        Literal["1f1b", "interleaved_1f1b", "interleaved_zero_bubble", "zbv_zero_bubble"]
    ] = "1f1b"
    """Order in which a pipeline's processes take up micro-batches: `1f1b` (Narayanan et al. 2019); with two
    stages a process, which waits less and sends more, `interleaved_1f1b` (Narayanan et al. 2021); and with a
    backward pass in two parts, `interleaved_zero_bubble` and `zbv_zero_bubble` (Qi et al. 2024)."""
    dp_replicate: Execution[int] = Field(1, ge=1)
    """Number of replicas of the sharded model (HSDP); 1 shards it over all processes that the other kinds of
    parallelism leave (FSDP, Zhao et al. 2023)."""
    cp: Execution[int] = Field(1, ge=1)
    """Number of processes that share the positions of a sequence (context parallelism), each with all keys
    and values, gathered as in Llama 3 (Grattafiori et al. 2024, section 3.3.2)."""
    tp: Execution[int] = Field(1, ge=1)
    """Number of processes that share each matrix (tensor parallelism, Shoeybi et al. 2019), with the rest of
    a block shared by position (sequence parallelism, Korthikanti et al. 2022, which the paper uses)."""
    loss_parallel: Execution[bool] = False
    """Keep the logits shared by vocabulary among the `tp` processes, also in the loss."""
    async_tp: Execution[bool] = False
    """Overlap the communication of `tp` with its matrix products, by symmetric memory. It needs GPUs that
    reach each other by NVLink, and `compile`."""
    micro_batch: Execution[int] = Field(1, ge=1)
    """Number of sequences that a process takes in one forward pass."""
    activation_checkpointing: Execution[Literal["none", "full", "selective", "budget"]] = "none"
    """What is computed again in the backward pass, which takes less memory and more time. `full`: all but the
    input of each block; `selective`: all but the outputs of linear layers and attention as well, as in the
    paper (section 2.4); `budget`: what the compiler chooses to fit `activation_budget`."""
    activation_budget: Execution[float] = Field(0.5, ge=0, le=1)
    """Share of the activations of a block that `budget` keeps: 1 is all, 0 its input alone."""
    compile: Execution[bool] = False
    """Compile each block and the loss with torch.compile."""
    attention: Execution[Literal["auto", "xformers", "varlen", "cudnn", "sdpa"]] = "auto"
    """Implementation of attention; `auto` is xformers on CUDA, as in the paper, and `sdpa` elsewhere. On CUDA
    there are also `varlen` (PyTorch's flash attention by documents) and `cudnn` (PyTorch's SDPA by cuDNN);
    `sdpa` (PyTorch's SDPA) is everywhere."""

    @model_validator(mode="after")
    def _compiler_has_the_budget(self) -> "Layout":
        if self.activation_checkpointing == "budget" and not self.compile:
            raise ValueError(
                "layout.activation_checkpointing budget is the compiler's choice: set layout.compile to "
                "true, or layout.activation_checkpointing to selective"
            )
        return self

    @property
    def n_stages(self) -> int:
        """The number of stages of the pipeline: all schedules but 1F1B have two a process."""
        return self.pp * (2 if self.pp > 1 and self.pp_schedule != "1f1b" else 1)

    def dp_shard(self, world_size: int) -> int:
        """Return the number of processes that each replica is sharded over, besides `pp`, `cp` and `tp`."""
        return world_size // (self.pp * self.dp_replicate * self.cp * self.tp)


class Launch(Section):
    """Where a job of the training, its export or its evaluation runs."""

    launcher: Execution[Literal["local", "slurm"]] = "local"
    """What starts the processes: `local` on this machine, or `slurm` on a cluster."""
    nodes: Execution[int] = Field(1, ge=1)
    """Number of machines."""
    spare_nodes: Execution[int] = Field(0, ge=0)
    """Number of further machines of a Slurm job. They wait until the processes of another one fail: then one
    of them takes its place, in the same allocation."""
    procs_per_node: Execution[int] = Field(1, ge=1)
    """Number of processes on each machine, one for each GPU if there are any."""
    device: Execution[Literal["cpu", "cuda"]] = "cpu"
    """Device that each process computes on."""
    time_limit: Execution[TimeLimit] = "24:00:00"
    """Time limit of one Slurm job, such as hours:minutes:seconds or UNLIMITED: any of Slurm's forms. The next
    job goes on from the checkpoint that is saved before the limit."""
    partition: Execution[str | None] = Field(None, pattern=r"^\w[\w.,@+-]*$", max_length=255)
    """Name of the Slurm partition, or several with commas between; null: the cluster's default."""
    device_watts: Execution[float | None] = Field(None, gt=0)
    """Mean power of the device of a process, in watts, by which the report reckons energy and carbon dioxide
    where the devices do not tell it: the paper takes 400 for an A100. null: not known."""
    max_restarts: Execution[int] = Field(2, ge=0)
    """Number of times in a row that a job is started again although it came no further than before. A job
    that failed further on than ever is always started again, from its last checkpoint."""

    @model_validator(mode="after")
    def _spare_nodes_are_of_a_cluster(self) -> "Launch":
        if self.spare_nodes and self.launcher == "local":
            raise ValueError(f"launch.spare_nodes {self.spare_nodes} is of no use: launch.launcher is local")
        return self

    @property
    def world_size(self) -> int:
        """The number of processes on all nodes."""
        return self.nodes * self.procs_per_node


class RunSection(Section):
    """How a run works: the processes of its data stages, its checkpoints and its log."""

    use: Execution[str | None] = Field(None, pattern=r"^(corpus|tokens)/[0-9a-f]{16}$")
    """Folder on the store, corpus/ID or tokens/ID, that is used instead of making one: what the recipe says
    of its making counts no more; null: all is made. A tokenizer is named by `tokenizer.imported`."""
    engine: Execution[Literal["processes", "dask", "ray"]] = "processes"
    """Where the shards of the data stages are worked on: in processes of this machine, or on a cluster."""
    address: Execution[Address | None] = None
    """Address of the Dask scheduler or the Ray cluster; null: one is started on this machine."""
    workers: Execution[int] = Field(2, ge=1, le=10_000)
    """Number of processes of the data stages on this machine."""
    save_every: Execution[int] = Field(1000, ge=1)
    """Number of training steps between two checkpoints. While one is on its way to the store for longer than
    that, the training goes on, and the next one is saved once it is there; only those of `keep_every` and
    `evaluate.at` are saved after exactly their step."""
    save_minutes: Execution[float | None] = Field(None, gt=0)
    """Minutes after the last checkpoint at which another one is saved, however few the steps; null: none."""
    unsaved_hours: Execution[float] = Field(12.0, ge=0)
    """Hours for which one save after the other may fail because the store is away or full, its bucket is
    gone, or it refuses the credentials; one that fails later ends the run. Meanwhile the training goes on and
    tries again, first after seconds and then every few minutes. Credentials of an AWS credentials file or a
    profile are read again when they are refused; those of the environment cannot change in a running
    process."""
    keep: Execution[int] = Field(2, ge=1)
    """Number of checkpoints that are kept besides the newest and the permanent ones."""
    keep_every: Execution[int] = Field(0, ge=0)
    """Number of training tokens between two permanent checkpoints, which are never deleted; 0: there are
    none."""
    hang_after: Execution[float] = Field(540.0, gt=0)
    """Seconds without the end of a training step, a save or a validation after which a process writes its
    stacks to the log and the store and ends, so that the job starts again. Processes wait for each other for
    ten minutes."""
    compare_every: Execution[int] = Field(100, ge=0)
    """Number of training steps between two comparisons of the parameters that several processes hold alike.
    They are also compared before each save; where they differ, the job starts again from its last checkpoint.
    0: they are not compared."""
    log_every: Execution[int] = Field(10, ge=1)
    """Number of training steps between two lines of the log."""
    validate_every: Execution[int] = Field(1_000_000_000, ge=0)
    """Number of training tokens between two validations on held-out text, and after the last step; 0: none.
    They change nothing of the training."""
    validate_bytes: Execution[int] = Field(200_000, gt=0, le=MOST_HELDOUT)
    """Largest number of bytes of held-out text of each source that a validation scores: the first of those
    that the evaluation scores."""
    profile: Execution[list[int] | None] = None
    """First and last training step that PyTorch's profiler records, such as [10, 12]; null: none. The files
    lie on the store, under `profiles`."""

    @model_validator(mode="after")
    def _profile_is_a_few_steps(self) -> "RunSection":
        span = [1, 1] if self.profile is None else self.profile
        if len(span) != 2 or not 1 <= span[0] <= span[1] < span[0] + MOST_PROFILED:
            raise ValueError(
                f"run.profile {self.profile} must be the first and the last of at most {MOST_PROFILED} "
                "steps, such as [10, 12]"
            )
        return self

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
