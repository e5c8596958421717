"""How tokens are chosen from logits: all rows of a batch at once, on their device.

Each row draws with random numbers that are computed from its seed and the number of its token, so it draws
the same whatever else is in the batch.
"""

import torch
from torch import Tensor

LOOKED_AT = 256, 4096
"""In so many of the most likely tokens a nucleus is looked for first: to sort all takes ten times as long."""
# The multipliers of SplitMix64 (Steele et al. 2014), as signed numbers.
MULTIPLIERS = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
GOLDEN, FIRST, SECOND = (x - (1 << 64) for x in MULTIPLIERS)


def choose(logits: Tensor, temperatures: Tensor, top_ps: Tensor, seeds: Tensor, steps: Tensor) -> Tensor:
    """Return the token of each row, int64 (R,), or -1 where its logits give no probabilities.

    `logits`: float32 (R, V). `temperatures`, `top_ps`: float32 (R,); at the temperature 0 the most likely
    token is taken. `seeds` and `steps` (which token of its text this is): int64 (R,).
    """
    best, ids = logits.max(-1)
    cold = temperatures.clamp_min(torch.finfo(torch.float32).tiny)[:, None]
    p = ((logits - best[:, None]) / cold).softmax(-1)
    p = torch.where(p >= least(p, top_ps)[:, None], p, 0.0)
    sums = p.cumsum(-1)
    drawn = torch.searchsorted(sums, uniform(seeds, steps)[:, None] * sums[:, -1:], right=True)[:, 0]
    ids = torch.where(temperatures > 0, drawn.clamp_max(p.shape[-1] - 1), ids)
    return torch.where(best.isfinite(), ids, -1)


def least(p: Tensor, top_ps: Tensor) -> Tensor:
    """Return the smallest probability in each row's nucleus, (R,): the likely tokens that hold `top_ps`.

    `p`: (R, V), its sums 1. As in the released code, a token is in the nucleus if those before it hold at
    most `top_ps`. Whatever is as likely as the last one is in it too, so that no order of equals counts.
    """
    found = torch.zeros_like(top_ps)
    rows = (top_ps < 1).nonzero()[:, 0]  # those whose nucleus is not found yet
    for count in (*LOOKED_AT, p.shape[-1]):
        if not len(rows):
            break
        likely = p[rows].topk(min(count, p.shape[-1])).values
        inside = likely.cumsum(-1) - likely <= top_ps[rows, None]
        inside[:, 0] = True
        size = inside.sum(-1)
        found[rows] = likely.gather(-1, size[:, None] - 1)[:, 0]
        rows = rows[size == count]
    return found


def uniform(seeds: Tensor, steps: Tensor) -> Tensor:
    """Return a random number from 0 to below 1 for each pair of a seed and a step, float32."""
    bits = _mix(_mix(seeds) + steps * GOLDEN)
    return (_shift(bits, 41).float() + 0.5) * 2.0**-23


def _mix(x: Tensor) -> Tensor:
    """Mix the bits of int64 numbers, as SplitMix64 does."""
    x = x + GOLDEN
    x = (x ^ _shift(x, 30)) * FIRST
    x = (x ^ _shift(x, 27)) * SECOND
    return x ^ _shift(x, 31)


def _shift(x: Tensor, by: int) -> Tensor:
    """Shift int64 numbers to the right as if they had no sign."""
    return (x >> by) & ((1 << (64 - by)) - 1)
