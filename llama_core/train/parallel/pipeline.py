"""Pipeline parallelism: each process has some of the blocks, and micro-batches pass through all of them.

The schedules are torch.distributed.pipelining's: 1F1B (Narayanan et al. 2019), interleaved 1F1B (Narayanan et
al. 2021), and zero-bubble, interleaved and in the shape of a V (Qi et al. 2024). What passes between stages
is the residual stream; tokens, and so documents and targets, are known to every stage.
"""

import functools
import math
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from llama_core.model.llama import Llama
from llama_core.recipe import Recipe
from llama_core.recipes.training import Model
from llama_core.train.loss import head
from llama_core.train.parallel.data import reshard
from llama_core.train.parallel.mesh import Mesh
from llama_core.train.parallel.micro_batch import MicroBatch

SCHEDULES = {
    "1f1b": "Schedule1F1B",
    "interleaved_1f1b": "ScheduleInterleaved1F1B",
    "interleaved_zero_bubble": "ScheduleInterleavedZeroBubble",
    "zbv_zero_bubble": "ScheduleZBVZeroBubble",
}


def cut(cfg: Model, vocab_size: int, n_stages: int) -> list[range]:
    """Return the blocks of each stage: those cuts whose largest stage has the fewest parameters.

    The first stage has the embeddings as well, and the last one the output projection.
    """
    block = 4 * cfg.dim**2 + 3 * cfg.dim * cfg.ffn_dim
    end = vocab_size * cfg.dim

    def cost(stage: int, blocks: range) -> int:
        return len(blocks) * block + end * ((stage == 0) + (stage == n_stages - 1))

    @functools.cache
    def best(stage: int, first: int) -> tuple[float, tuple[range, ...]]:
        """The cheapest cut of the blocks from `first` on into this stage and those after it."""
        if stage == n_stages - 1:
            rest = range(first, cfg.n_layers)
            return (cost(stage, rest) if rest else math.inf), (rest,)
        cuts: list[tuple[float, tuple[range, ...]]] = []
        for stop in range(first + 1, cfg.n_layers - (n_stages - 2 - stage)):
            blocks = range(first, stop)
            after, others = best(stage + 1, stop)
            cuts.append((max(cost(stage, blocks), after), (blocks, *others)))
        return min(cuts, key=lambda c: c[0], default=(math.inf, ()))

    found, stages = best(0, 0)
    assert found < math.inf, f"{cfg.n_layers} blocks do not make up {n_stages} stages"
    return list(stages)


def stages_of(rank: int, mesh: Mesh, schedule: str) -> list[int]:
    """Return the numbers of the stages that process `rank` of the pipeline has."""
    if schedule == "1f1b":
        return [rank]
    if schedule == "zbv_zero_bubble":
        return [rank, 2 * mesh.pp - 1 - rank]
    return [rank, mesh.pp + rank]


def keep(model: Llama, blocks: range) -> None:
    """Leave `model` only some of its blocks, under their names, with what lies before or behind them."""
    for n in range(model.cfg.n_layers):
        if n not in blocks:
            del model.layers._modules[str(n)]  # ModuleList itself would number the others anew
    if blocks.start > 0:
        model.tok_embeddings = None
    if blocks.stop < model.cfg.n_layers:
        model.norm = model.output = None  # type: ignore[assignment]


class _Stage:
    """The forward pass of one stage, from tokens or hidden states to hidden states or losses.

    Schedules take a stage through the micro-batches in their order.
    """

    def __init__(self, model: Llama, number: int, recipe: Recipe):
        self.model, self.number, self.layout = model, number, recipe.layout
        self.inner = model.forward
        self.micro_batches: list[MicroBatch] = []
        self.rows: list[Tensor] = []  # the row sums of each micro-batch that has passed the last stage
        self.turn = 0

    def begin(self, micro_batches: list[MicroBatch]) -> None:
        """Expect the first of some micro-batches."""
        self.micro_batches, self.rows, self.turn = micro_batches, [], 0

    def __call__(self, x: Tensor) -> Tensor:
        part = self.micro_batches[self.turn]
        self.turn += 1
        positions = part.positions
        if positions is None:
            positions = torch.arange(part.inputs.shape[1], device=x.device)
        if self.model.output is None:
            return self.inner(x, part.mask, positions=positions)
        loss = head(part.targets, self.layout.compile, self.layout.loss_parallel)
        sums = self.inner(x, part.mask, head=loss, positions=positions)  # (B,)
        self.rows.append(sums.detach())
        return sums


class Pipelined:
    """This process's stages, and their schedules."""

    def __init__(self, models: list[Llama], numbers: list[int], mesh: Mesh, recipe: Recipe):
        from torch.distributed.pipelining import PipelineStage

        self.mesh, self.recipe = mesh, recipe
        self.group = mesh.devices["pp"].get_group()
        self.n_stages = len(numbers) * mesh.pp
        self.stages, self.parts = [], []
        layout, device = recipe.layout, mesh.world.device
        length = recipe.train.seq_len // mesh.cp
        tokens = torch.empty(layout.micro_batch, length, dtype=torch.int64, device="meta")
        sums = torch.empty(layout.micro_batch, device="meta", requires_grad=True)
        self.shape = (layout.micro_batch, length // mesh.tp, recipe.model.dim)
        self.dtype = torch.bfloat16 if recipe.train.precision == "bf16" else torch.float32
        hidden = torch.empty(self.shape, dtype=self.dtype, device="meta", requires_grad=True)
        for model, number in zip(models, numbers, strict=True):
            stage = _Stage(model, number, recipe)
            model.forward = stage  # type: ignore[method-assign, assignment]
            self.stages.append(stage)
            inputs = tokens if number == 0 else hidden
            outputs = sums if number == self.n_stages - 1 else hidden
            place = number, self.n_stages, device
            self.parts.append(PipelineStage(model, *place, (inputs,), (outputs,), group=self.group))
        if layout.compile:  # zero-bubble goes through a backward pass twice
            torch._functorch.config.donated_buffer = False

    @functools.cache  # noqa: B019  (it is kept as long as the process)
    def schedule(self, n_micro_batches: int) -> Any:
        """Return the schedule of a number of micro-batches."""
        from torch.distributed import pipelining

        kind = getattr(pipelining, SCHEDULES[self.recipe.layout.pp_schedule])
        stages = self.parts if len(self.parts) > 1 else self.parts[0]
        return kind(stages, n_micro_batches, loss_fn=self._loss, scale_grads=False)

    def backward(self, micro_batches: list[MicroBatch], n_targets: int) -> Tensor:
        """Compute the gradients of the batch's mean loss, and return the row sums as `passes.backward` does.

        `n_targets`: the number of targets of the batch, over all processes.
        """
        self.n_targets = n_targets
        for stage in self.stages:
            stage.begin(micro_batches)
        inputs = torch.cat([part.inputs for part in micro_batches])
        arguments = (inputs,) if self._has(0) else ()
        # The loss takes its targets from the micro-batch.
        target = inputs if self._has(self.n_stages - 1) else None
        self.schedule(len(micro_batches)).step(*arguments, target=target)
        return self._rows(micro_batches)

    @torch.no_grad()
    def score(self, micro_batches: list[MicroBatch]) -> Tensor:
        """Return the row sums as `passes.score` does, without gradients."""
        for stage in self.stages:
            stage.begin(micro_batches)
        for n in range(len(micro_batches)):
            x = torch.empty(0)
            for stage in sorted(self.stages, key=lambda s: s.number):
                x = self._receive(stage.number, micro_batches[n], x)
                x = stage.model(x)
                self._send(stage.number, x)
        for stage in self.stages:
            reshard(stage.model)
        return self._rows(micro_batches)

    def _loss(self, sums: Tensor, target: Tensor) -> Tensor:
        return sums.sum() / self.n_targets

    def _has(self, number: int) -> bool:
        return any(stage.number == number for stage in self.stages)

    def _rows(self, micro_batches: list[MicroBatch]) -> Tensor:
        """Return what this process accounts for: nothing but on the last stage, and there on one tp rank."""
        for stage in self.stages:
            if stage.rows:
                return torch.cat(stage.rows) * (self.mesh.tp_rank == 0)
        return torch.zeros(sum(len(part.inputs) for part in micro_batches), device=self.mesh.world.device)

    def _rank_of(self, number: int) -> int:
        """Return the process of the group that has a stage."""
        schedule = self.recipe.layout.pp_schedule
        return next(r for r in range(self.mesh.pp) if number in stages_of(r, self.mesh, schedule))

    def _receive(self, number: int, part: MicroBatch, before: Tensor) -> Tensor:
        """Return the input of a stage. `before`: what this process has made last."""
        if number == 0:
            return part.inputs
        source = self._rank_of(number - 1)
        if source == self.mesh.pp_rank:
            return before
        x = torch.empty(self.shape, dtype=self.dtype, device=self.mesh.world.device)
        dist.recv(x, group=self.group, group_src=source)
        return x

    def _send(self, number: int, x: Tensor) -> None:
        if number < self.n_stages - 1 and (to := self._rank_of(number + 1)) != self.mesh.pp_rank:
            dist.send(x.contiguous(), group=self.group, group_dst=to)
