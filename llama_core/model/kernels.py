"""Kernels of causal attention inside documents, as operators of PyTorch that torch.compile does not break on.

A kernel wants the lengths of the documents, which are other ones in each batch. So they are not values of
compiled code, which would be compiled anew for them, but data: a tensor of one length for all batches that
only the kernels read, on the host, so that no device is waited for.
"""

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from llama_core.errors import RecipeError

DENSE_UP_TO = {torch.float32: 0, torch.bfloat16: 256}
"""On a CPU, up to this length of sequences the documents are computed together, under a mask of all pairs of
positions; in longer ones one after the other (measured by `python -m benchmarks.attention`)."""


def attend(
    q: Tensor, k: Tensor, v: Tensor, host: Tensor | None, device: Tensor | None, kernel: str
) -> Tensor:
    """Return causal attention inside documents, (B, S, H, D).

    `q`, `k`, `v`: (B, S, H, D). `host`: int32 (B S + 1,) on the host, where the documents begin in the
    sequences laid one after the other, and then B S to its end (see `boundaries`); `device`: the same where
    `q` is. Both None: each sequence is one document. `kernel`: `xformers` or `varlen` on CUDA, `cpu`.
    """
    out, _ = torch.ops.llama_core.attention(q, k, v, host, device, kernel)
    return out


def boundaries(lengths: list[int]) -> Tensor:
    """Return where documents of `lengths`, in all T tokens, begin, and then T: int32 (T + 1,)."""
    ends = torch.tensor(lengths).cumsum(0)
    found = torch.full((int(ends[-1]) + 1,), int(ends[-1]), dtype=torch.int32)
    found[0] = 0
    found[1 : len(lengths) + 1] = ends
    return found


def _shorten(host: Tensor) -> list[int]:
    """Return `boundaries` as a list, with T in it once."""
    total = len(host) - 1
    return host[: int(torch.searchsorted(host, total)) + 1].tolist()


torch.library.define(
    "llama_core::attention",
    "(Tensor q, Tensor k, Tensor v, Tensor? host, Tensor? device, str kernel) -> (Tensor, Tensor)",
)
torch.library.define(
    "llama_core::attention_backward",
    "(Tensor gradient, Tensor q, Tensor k, Tensor v, Tensor out, Tensor log_sums, Tensor? host, "
    "Tensor? device, str kernel) -> (Tensor, Tensor, Tensor)",
)


@torch.library.impl("llama_core::attention", "CompositeExplicitAutograd")
def _forward(
    q: Tensor, k: Tensor, v: Tensor, host: Tensor | None, device: Tensor | None, kernel: str
) -> tuple[Tensor, Tensor]:
    """Return attention and, for the backward pass, the logarithms of the sums of its softmax.

    These are float32 (H, B S), or (B, H, S) where there are no documents.
    """
    forwards: dict[str, Callable[..., Any]]
    forwards = {"xformers": _xformers_forward, "varlen": _flash_forward, "cpu": _cpu_forward}
    out, log_sums = forwards[kernel](q, k, v, host, device)
    return out.reshape(q.shape).contiguous(), log_sums.contiguous()


@torch.library.impl("llama_core::attention_backward", "CompositeExplicitAutograd")
def _backward(
    gradient: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    log_sums: Tensor,
    host: Tensor | None,
    device: Tensor | None,
    kernel: str,
) -> tuple[Tensor, Tensor, Tensor]:
    backwards: dict[str, Callable[..., Any]]
    backwards = {"xformers": _xformers_backward, "varlen": _flash_backward, "cpu": _cpu_backward}
    dq, dk, dv = backwards[kernel](gradient, q, k, v, out, log_sums, host, device)
    return tuple(d.reshape(x.shape).contiguous() for d, x in ((dq, q), (dk, k), (dv, v)))  # type: ignore[return-value]


@torch.library.register_fake("llama_core::attention")
def _forward_shapes(q, k, v, host, device, kernel):  # type: ignore[no-untyped-def]
    batch, length, heads, _ = q.shape
    shape = (batch, heads, length) if host is None else (heads, batch * length)
    return q.new_empty(q.shape), q.new_empty(shape, dtype=torch.float32)


@torch.library.register_fake("llama_core::attention_backward")
def _backward_shapes(gradient, q, k, v, out, log_sums, host, device, kernel):  # type: ignore[no-untyped-def]
    return tuple(x.new_empty(x.shape) for x in (q, k, v))


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    q, k, v, host, device, ctx.kernel = inputs
    ctx.save_for_backward(q, k, v, *output, host, device)


def _differentiate(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    gradients = torch.ops.llama_core.attention_backward(gradient, *ctx.saved_tensors, ctx.kernel)
    return (*gradients, None, None, None)


torch.library.register_autograd("llama_core::attention", _differentiate, setup_context=_keep)


OPERATOR = torch.ops.llama_core.attention.default


def _flat(x: Tensor) -> Tensor:
    """Lay sequences one after the other: from (B, S, H, D) to (B S, H, D)."""
    return x.reshape(-1, *x.shape[2:])


# CPU: PyTorch's flash attention, over one document at a time or under a mask.


def _cpu_forward(q: Tensor, k: Tensor, v: Tensor, host: Tensor, device: Tensor) -> tuple[Tensor, Tensor]:
    forward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    starts = _shorten(host)
    if is_dense(q.shape[1], q.dtype):
        heads = [x.transpose(1, 2) for x in (q, k, v)]  # (B, H, S, D)
        out, log_sums = forward(*heads, 0.0, False, attn_mask=_dense_mask(starts, q))
        return out.transpose(1, 2), log_sums.transpose(0, 1).reshape(q.shape[2], -1)
    out, log_sums = torch.empty_like(_flat(q)), q.new_empty(q.shape[2], len(host) - 1, dtype=torch.float32)
    inputs = [_flat(x).transpose(0, 1)[None] for x in (q, k, v)]  # (1, H, B S, D)
    for start, end in itertools.pairwise(starts):
        one, sums = forward(*(x[:, :, start:end] for x in inputs), 0.0, True)
        out[start:end] = one[0].transpose(0, 1)
        log_sums[:, start:end] = sums[0]
    return out, log_sums


def _cpu_backward(
    gradient: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    log_sums: Tensor,
    host: Tensor,
    device: Tensor,
) -> tuple[Tensor, ...]:
    backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
    starts = _shorten(host)
    tensors = gradient, q, k, v, out
    if is_dense(q.shape[1], q.dtype):
        heads = [x.transpose(1, 2) for x in tensors]
        sums = log_sums.unflatten(1, q.shape[:2]).transpose(0, 1).contiguous()  # (B, H, S)
        found = backward(*heads, sums, 0.0, False, attn_mask=_dense_mask(starts, q))
        return tuple(d.transpose(1, 2) for d in found)
    gradients = tuple(torch.empty_like(_flat(x)) for x in (q, k, v))
    inputs = [_flat(x).transpose(0, 1)[None] for x in tensors]  # (1, H, B S, D)
    for start, end in itertools.pairwise(starts):
        part = [x[:, :, start:end] for x in inputs]
        for all_, one in zip(
            gradients, backward(*part, log_sums[None, :, start:end], 0.0, True), strict=True
        ):
            all_[start:end] = one[0].transpose(0, 1)
    return gradients


def is_dense(length: int, dtype: torch.dtype) -> bool:
    """Tell whether the documents in sequences of `length` are computed together, under a mask."""
    return length <= DENSE_UP_TO.get(dtype, 0)


def _dense_mask(starts: list[int], q: Tensor) -> Tensor:
    """Return the mask of all pairs of positions, 0 or minus infinity: (B, 1, S, S)."""
    lengths = torch.tensor(starts).diff()
    document = torch.arange(len(lengths)).repeat_interleave(lengths).view(q.shape[:2])  # (B, S)
    same = (document[:, None, :, None] == document[:, None, None, :]).tril()
    return torch.zeros(same.shape, dtype=q.dtype).masked_fill_(~same, float("-inf"))


# CUDA: PyTorch's flash attention, which torch.nn.attention.varlen calls. FlashAttention 3 takes its place
# where torch.nn.attention.activate_flash_attention_impl was told so.


def _flash_forward(
    q: Tensor, k: Tensor, v: Tensor, host: Tensor | None, device: Tensor | None
) -> tuple[Tensor, Tensor]:
    inputs, lengths = _flash_arguments((q, k, v), host, device)
    out, log_sums, *_ = torch.ops.aten._flash_attention_forward(*inputs, *lengths, 0.0, True, False)
    return out, log_sums


def _flash_backward(
    gradient: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    log_sums: Tensor,
    host: Tensor | None,
    device: Tensor | None,
) -> tuple[Tensor, ...]:
    inputs, lengths = _flash_arguments((gradient, q, k, v, out), host, device)
    no_dropout = torch.zeros(2, dtype=torch.uint64, device=q.device), torch.empty(0, device=q.device)
    return torch.ops.aten._flash_attention_backward(*inputs, log_sums, *lengths, 0.0, True, *no_dropout)


def _flash_arguments(
    tensors: tuple[Tensor, ...], host: Tensor | None, device: Tensor | None
) -> tuple[list[Tensor], tuple[Tensor | None, Tensor | None, int, int]]:
    """Return tensors, where their documents begin, and the longest one's length, as the kernel wants them."""
    if host is None or device is None:
        length = tensors[0].shape[1]
        return [x.contiguous() for x in tensors], (None, None, length, length)
    starts = _shorten(host)
    cumulative = device[: len(starts)]
    longest = max(end - start for start, end in itertools.pairwise(starts))
    return [_flat(x).contiguous() for x in tensors], (cumulative, cumulative, longest, longest)


# CUDA: xformers, which calls FlashAttention 3 or 2 where they are installed, else PyTorch's flash attention.


def _xformers_forward(
    q: Tensor, k: Tensor, v: Tensor, host: Tensor | None, device: Tensor | None
) -> tuple[Tensor, Tensor]:
    forward = load_xformers().memory_efficient_attention_forward_requires_grad
    inputs, bias = _xformers_arguments((q, k, v), host, device)
    with _explained():
        out, log_sums = forward(*inputs, attn_bias=bias)
    expected = (1, q.shape[2], len(host) - 1) if host is not None else (q.shape[0], q.shape[2], q.shape[1])
    if log_sums.shape != expected:
        raise RecipeError(
            "set layout.attention to sdpa: xformers has no flash attention for heads like these"
        )
    return out, log_sums if host is None else log_sums[0]


def _xformers_backward(
    gradient: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    log_sums: Tensor,
    host: Tensor | None,
    device: Tensor | None,
) -> tuple[Tensor, ...]:
    (gradient, q, k, v, out), bias = _xformers_arguments((gradient, q, k, v, out), host, device)
    sums = log_sums if host is None else log_sums[None]
    return load_xformers().memory_efficient_attention_backward(gradient, out, sums, q, k, v, attn_bias=bias)


def xformers_attention(q: Tensor, k: Tensor, v: Tensor, host: Tensor | None, device: Tensor | None) -> Tensor:
    """Return what `attend` returns, for float32, which xformers' kernels for other precisions do not take."""
    inputs, bias = _xformers_arguments((q, k, v), host, device)
    with _explained():
        out: Tensor = load_xformers().memory_efficient_attention(*inputs, attn_bias=bias)
    return out.view(q.shape)


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Say what to do where xformers cannot compute something. Raises RecipeError."""
    try:
        yield
    except NotImplementedError as error:
        raise RecipeError(f"set layout.attention to sdpa: xformers has no kernel here. {error}") from error


def _xformers_arguments(
    tensors: tuple[Tensor, ...], host: Tensor | None, device: Tensor | None
) -> tuple[tuple[Tensor, ...], Any]:
    """Return tensors, (B, S, H, D) or with documents (1, B S, H, D), and the mask, as xformers wants them."""
    if host is None or device is None:
        return tuple(x.contiguous() for x in tensors), load_xformers().LowerTriangularMask()
    return tuple(_flat(x).contiguous()[None] for x in tensors), block_diagonal(host, device)


def block_diagonal(host: Tensor, device: Tensor) -> Any:
    """Return the mask of documents for xformers, an attention bias, without a transfer between devices."""
    from xformers.ops.fmha.attn_bias import BlockDiagonalCausalMask, _SeqLenInfo

    starts = _shorten(host)
    lengths = [end - start for start, end in itertools.pairwise(starts)]
    info = _SeqLenInfo(device[: len(starts)], max(lengths), min(lengths), starts)
    return BlockDiagonalCausalMask(q_seqinfo=info, k_seqinfo=info)


@functools.cache
def load_xformers() -> Any:
    """Return the module xformers.ops. Raises ImportError."""
    import xformers.ops as ops
    from xformers.ops.fmha import common

    # Its attention kernels are PyTorch's own, whose signatures it has checked when it was imported. Yet it
    # hides them if its own library does not load. That library holds only sparse products and wants CUDA 12,
    # so with PyTorch for CUDA 13 there would be no attention at all.
    if not hasattr(common, "_built_with_cuda"):
        raise ImportError("this version of xformers looks for its kernels in another way")
    common._built_with_cuda = True
    return ops
