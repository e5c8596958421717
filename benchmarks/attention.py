"""Attention inside documents on a CPU: one document after the other, or all under a mask of all pairs.

    python -m benchmarks.attention [--threads 1]

Each line is one batch of 2,048 tokens with 5 heads of 64, forward and backward: milliseconds of CPU time of
each way, the least of several, and which of them `llama_core.model.kernels` takes. Documents have random
lengths of the given mean.
"""

import argparse
import time

import torch

from llama_core.model import kernels
from llama_core.model.attention import DocMask, attention

TOKENS, HEADS, HEAD_DIM, BOS = 2048, 5, 64, 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(
        f"torch {torch.__version__}, {options.threads} threads, {TOKENS} tokens, {HEADS} heads of {HEAD_DIM}"
    )
    print(f"{'precision':<12}{'S':>6}{'mean':>6}{'documents':>11}{'alone ms':>10}{'masked ms':>11}  taken")
    for dtype in (torch.float32, torch.bfloat16):
        for length in (256, 512, 1024, 2048):
            for mean in (8, 32, 128, 512):
                _compare(dtype, length, mean, options.repeat)


def _compare(dtype: torch.dtype, length: int, mean: int, repeat: int) -> None:
    generator = torch.Generator().manual_seed(1)
    batch = TOKENS // length
    tokens = torch.where(torch.rand(batch, length, generator=generator) < 1 / mean, BOS, 5)
    mask = DocMask.from_tokens(tokens, BOS)
    mask.prepare("sdpa")
    shape = batch, length, HEADS, HEAD_DIM
    q, k, v, gradient = (torch.randn(shape, generator=generator).to(dtype) for _ in range(4))
    for x in (q, k, v):
        x.requires_grad_()
    taken = kernels.is_dense(length, dtype)
    costs = []
    rule = kernels.is_dense
    for dense in (False, True):
        kernels.is_dense = lambda *_, dense=dense: dense
        times = []
        for _ in range(repeat + 1):
            start = time.process_time()
            torch.autograd.grad(attention(q, k, v, mask, "sdpa"), (q, k, v), gradient)
            times.append(time.process_time() - start)
        costs.append(min(times[1:]) * 1e3)
    kernels.is_dense = rule
    print(
        f"{str(dtype)[6:]:<12}{length:>6}{mean:>6}{len(mask.lengths):>11}{costs[0]:>10.1f}{costs[1]:>11.1f}"
        f"  {'masked' if taken else 'alone'}",
        flush=True,
    )


if __name__ == "__main__":
    main()
