"""Initial weights, each a pure function of the seed, its parameter's name and its place in the parameter.

So a process draws the part of a parameter that it holds, on its device, and nothing else, and a weight
depends neither on the order of the parameters nor on how they are spread. Two weights that lie next to each
other in a row come from one 64-bit number: splitmix64 (Steele et al. 2014) of their place, turned into two
normal values as by Box and Muller (1958).
"""

import hashlib
import math
from typing import Any

import torch
from torch import Tensor, nn

from llama_core.recipes.training import Model

CHUNK = {"cpu": 2**15, "cuda": 2**22}  # pairs that are drawn at once: as many as fit the cache of a core
GOLDEN = 0x9E3779B97F4A7C15
ROUNDS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1))  # shift and factor of splitmix64
RADIUS_BITS, ANGLE_BITS = 40, 24  # so values reach 7.5 standard deviations


@torch.no_grad()
def init_weights(model: nn.Module, cfg: Model, std: float, seed: int) -> None:
    """Set every parameter of `model`, or this process's parts of them. `model` may be a part of a model.

    Matrices are normally distributed with the standard deviation `std`; for the two that write into the
    residual stream (wo, w2) it is std / sqrt(2 n_layers), so that the stream's variance does not grow with
    depth. The paper does not say; this is GPT-2's choice. Vectors, the gains of the norms, are ones.
    """
    for name, parameter in model.named_parameters():
        local, first = _part(parameter)
        if parameter.ndim == 1:
            local.fill_(1.0)
            continue
        scale = std / math.sqrt(2 * cfg.n_layers) if name.endswith(("wo.weight", "w2.weight")) else std
        fill_normal(local, (first[0], first[1]), parameter.shape[1], scale, f"{seed} {name}")


def fill_normal(out: Tensor, first: tuple[int, int], columns: int, std: float, key: str) -> None:
    """Fill `out` with a part of a matrix of `columns` columns that is normally distributed.

    `out`: (R, C), the part whose first row and column are `first`. `key`: what the matrix is drawn from;
    different keys give independent matrices.
    """
    rows, width = out.shape
    row, column = first
    if not rows or not width:
        return
    pairs_a_row = (columns + 1) // 2
    pairs = torch.arange(column // 2, (column + width + 1) // 2, device=out.device)  # (P,)
    add, flip = _numbers(key)
    at_once = max(1, CHUNK[out.device.type] // len(pairs))
    for start in range(0, rows, at_once):
        part = out[start : start + at_once]
        of_rows = torch.arange(row + start, row + start + len(part), device=out.device) * pairs_a_row
        values = _normal(_splitmix(of_rows[:, None] + pairs, add, flip), std)  # (r, P, 2)
        part.copy_(values.flatten(1).narrow(1, column % 2, width))


def _numbers(key: str) -> tuple[int, int]:
    """Return two numbers that stand for a key."""
    digest = hashlib.sha256(key.encode()).digest()
    return _signed(int.from_bytes(digest[:8], "big")), _signed(int.from_bytes(digest[8:16], "big"))


def _signed(number: int) -> int:
    """Return the int64 that has the bits of a number below 2**64."""
    return number - 2**64 if number >= 2**63 else number


def _splitmix(places: Tensor, add: int, flip: int) -> Tensor:
    """Return random bits for each place, in `places` itself: int64.

    `add` sets where in splitmix64's sequence a key begins; `flip`, between its rounds, keeps two keys from
    sharing a stretch of it.
    """
    bits = places.mul_(_signed(GOLDEN)).add_(add)
    for n, (shift, factor) in enumerate(ROUNDS):
        bits.bitwise_xor_((bits >> shift).bitwise_and_(2 ** (64 - shift) - 1))
        if factor > 1:
            bits.mul_(_signed(factor))
        if n == 0:
            bits.bitwise_xor_(flip)
    return bits


def _normal(bits: Tensor, std: float) -> Tensor:
    """Return two normal values from each of the 64-bit numbers `bits`, which it changes: float32 (..., 2)."""
    angle = (bits & (2**ANGLE_BITS - 1)).float().add_(0.5).mul_(2 * math.pi / 2**ANGLE_BITS)
    radius = bits.bitwise_right_shift_(ANGLE_BITS).bitwise_and_(2**RADIUS_BITS - 1).float()
    radius = radius.add_(0.5).mul_(2.0**-RADIUS_BITS).log_().mul_(-2 * std**2).abs_().sqrt_()
    values = torch.empty((*bits.shape, 2), device=bits.device)
    torch.mul(radius, angle.cos(), out=values[..., 0])
    torch.mul(radius, angle.sin_(), out=values[..., 1])
    return values


def _part(parameter: Any) -> tuple[Tensor, tuple[int, ...]]:
    """Return what this process holds of a parameter, and where in the whole that begins."""
    if not hasattr(parameter, "placements"):  # importing DTensor would take seconds
        return parameter, (0,) * parameter.ndim
    from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

    mesh, placements = parameter.device_mesh, parameter.placements
    shape, first = compute_local_shape_and_global_offset(parameter.shape, mesh, placements)
    local = parameter.to_local()
    assert local.shape == torch.Size(shape), f"{local.shape} is not {shape}"
    return local, tuple(first)
