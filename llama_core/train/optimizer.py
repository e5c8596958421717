"""AdamW, the learning rate as a function of the step, and clipping by the global norm of the gradients."""

import math
from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from llama_core.recipes.training import Train


def lr_at(step: int, cfg: Train) -> float:
    """Return the learning rate of update `step` (1 is the first).

    It rises linearly in the warm-up, by steps. Then it falls, by tokens: as a cosine to the end (Touvron et
    al. 2023, section 2.3), or in the last tokens alone (see `Train.schedule`).
    """
    if step <= cfg.warmup_steps:
        return cfg.lr * step / cfg.warmup_steps
    seen, whole = cfg.tokens_before(step + 1), cfg.tokens_before(cfg.steps + 1)
    start = cfg.tokens_before(cfg.warmup_steps + 1)
    if cfg.schedule == "wsd":
        start = whole - cfg.tokens_of_decay
    done = min(1.0, max(0, seen - start) / max(1, whole - start))
    if cfg.schedule == "cosine":
        height = (1 + math.cos(math.pi * done)) / 2
    else:
        height = 1 - (math.sqrt(done) if cfg.decay_shape == "1-sqrt" else done)
    return cfg.lr * (cfg.min_lr_ratio + (1 - cfg.min_lr_ratio) * height)


def make_optimizer(model: nn.Module, cfg: Train) -> torch.optim.AdamW:
    """Return AdamW with weight decay on matrices alone. Its moments are zeros that exist from the start.

    So a checkpoint can be loaded into them before the first update.
    """
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": cfg.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    betas = (cfg.beta1, cfg.beta2)
    optimizer = torch.optim.AdamW(groups, lr=cfg.lr, betas=betas, eps=cfg.adam_eps, fused=True)
    for parameter in parameters:
        optimizer.state[parameter] = {
            "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
            "exp_avg": torch.zeros_like(parameter),
            "exp_avg_sq": torch.zeros_like(parameter),
        }
    return optimizer


def update(optimizer: torch.optim.AdamW, step: int, cfg: Train, allowed: Tensor) -> None:
    """Make update `step` (1 is the first), and delete the gradients.

    `allowed`: bool (). Where it is false, the weights and the moments stay as they are; the device decides,
    and nothing waits for it.
    """
    # What torch's own scaler of gradients tells the fused optimizer; its class does not declare it.
    optimizer.found_inf = (~allowed).float()  # type: ignore[attr-defined]
    for group in optimizer.param_groups:
        group["lr"] = lr_at(step, cfg)
    optimizer.step()
    optimizer.zero_grad()


@torch.no_grad()
def clip(parameters: Iterable[Tensor], max_norm: float, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Scale the gradients to a global norm of at most `max_norm`.

    All processes call it. `rows`: float32 (B,), the losses that this process accounts for, as
    `passes.backward` returns them. Returns the norm that the gradients had, float32 (), and the sum of the
    losses of all processes, float64 (): both come by one message. They are on the device, and nothing waits
    for them.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    parts: dict[int, list[Tensor]] = {}  # by the number of processes that hold the same part
    for gradient in gradients:
        parts.setdefault(_copies(gradient), []).append(_local(gradient))
    squares = [torch.stack(torch._foreach_norm(of)).double().square().sum() / n for n, of in parts.items()]
    sums = torch.stack([torch.stack(squares).sum(), rows.double().sum()])
    if dist.is_initialized():
        dist.all_reduce(sums)
    total, loss = sums.unbind()
    norm = total.sqrt().float()
    scale = (max_norm / norm).clamp(max=1.0)
    for of in parts.values():
        torch._foreach_mul_(of, scale)
    return norm, loss


def _copies(gradient: Any) -> int:
    """Return how many processes of its mesh hold the same part of a gradient."""
    placements = getattr(gradient, "placements", ())  # importing DTensor would take seconds
    if not placements:
        return 1
    return math.prod(
        n for n, p in zip(gradient.device_mesh.shape, placements, strict=True) if p.is_replicate()
    )


def _local(gradient: Tensor) -> Tensor:
    """Return this process's part of a gradient as a plain tensor: clipping needs no DTensor."""
    return gradient.to_local() if hasattr(gradient, "to_local") else gradient
