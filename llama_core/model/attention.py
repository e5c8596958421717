"""Attention behind one small interface: `attention(q, k, v, mask, backend)`.

The backends are `xformers` (memory_efficient_attention), `varlen` (PyTorch's flash attention by documents)
and `cudnn` (PyTorch's SDPA by cuDNN), all for CUDA alone, and `sdpa` (PyTorch, everywhere). All are causal,
and torch.compile breaks on none. A `DocMask` keeps attention inside documents. Attention to earlier positions
is that of a `Cache` (see `cache`).
"""

import functools
import logging
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from llama_core.errors import RecipeError
from llama_core.model import kernels

log = logging.getLogger(__name__)

PRODUCTS_UP_TO = 512
"""On a CPU in bf16, attention is matrix products and a softmax up to this length of sequences: some three
fifths of the time of PyTorch's flash attention."""
QUERIES = 128  # positions whose scores are computed together, so that most keys after them are left out


class DocMask:
    """Which positions of packed sequences belong to the same document.

    It is made on the host, once for each micro-batch: kernels want lengths as Python integers, and reading
    them back from a GPU would stall it.
    """

    host: Tensor | None = None  # see `kernels.attend`
    device: Tensor | None = None

    def __init__(self, documents: Tensor, lengths: list[int]):
        self.documents = documents  # int64 (B, S), on the model's device: equal inside a document
        self.lengths = lengths  # how long the documents are, in the order of the flattened (1, B * S)

    @classmethod
    def from_tokens(cls, tokens: Tensor, bos_id: int, device: torch.device | str = "cpu") -> "DocMask":
        """Return the mask of `tokens`, int64 (B, S) on the host, for a model on `device`.

        A document starts at each `bos_id`, and at the start of each sequence.
        """
        starts = tokens == bos_id  # (B, S)
        documents = starts.cumsum(1)
        starts[:, 0] = True
        at = starts.flatten().nonzero().flatten()
        lengths = torch.diff(at, append=torch.tensor([tokens.numel()])).tolist()
        return cls(documents.to(device, non_blocking=True), lengths)

    @functools.cached_property
    def dense(self) -> Tensor:
        """The dense form of the mask: bool (B, 1, S, S), true where a query (dim 2) may see a key (dim 3)."""
        same = self.documents[:, None, :, None] == self.documents[:, None, None, :]
        return same.tril()

    def prepare(self, backend: str) -> None:
        """Build the form that `backend` uses, once for all layers and outside of compiled code."""
        if backend == "cudnn" or (backend == "sdpa" and self.documents.device.type != "cpu"):
            _ = self.dense
        elif self.host is None:
            self.host = kernels.boundaries(self.lengths)
            self.device = self.host.to(self.documents.device, non_blocking=True)


@functools.cache
def backend_for(choice: str, device: str) -> str:
    """Return the backend that `choice`, the value of `layout.attention`, means on a kind of device.

    On CUDA nothing stands in for xformers: raises RecipeError where it is chosen and cannot be imported.
    """
    if device != "cuda":
        if choice not in ("auto", "sdpa"):
            log.warning("layout.attention: %s has no kernel for %s, SDPA computes attention", choice, device)
        return "sdpa"
    if choice not in ("auto", "xformers"):
        return choice
    try:
        kernels.load_xformers()
    except ImportError as error:
        raise RecipeError(
            f"layout.attention {choice!r} needs xformers, which cannot be imported here ({error}): "
            "install it, or set layout.attention to varlen or sdpa"
        ) from error
    return "xformers"


def attention(q: Tensor, k: Tensor, v: Tensor, mask: DocMask | None, backend: str) -> Tensor:
    """Return causal attention, softmax(q kᵀ / sqrt(D)) v, as (B, S, H, D).

    `q`: (B, S, H, D); `k`, `v`: (B, T, H, D), where the queries are the last S of T positions. `mask` is
    None, or has the same B and S, with T = S, and is prepared for `backend`. Raises RecipeError where the
    backend has no kernel for these.
    """
    if q.shape[1] == k.shape[1]:
        if backend in ("xformers", "varlen") and q.dtype == torch.float32:
            # Flash attention computes in half precision. What xformers has for float32 is for tests.
            return _in_float32()(q, k, v, mask) if backend == "xformers" else _sdpa(q, k, v, mask)
        if backend in ("xformers", "varlen"):
            host, device = (None, None) if mask is None else (mask.host, mask.device)
            return kernels.attend(q, k, v, host, device, backend)
        if mask is not None and mask.host is not None:
            return kernels.attend(q, k, v, mask.host, mask.device, "cpu")
        if mask is None and _is_short(q):
            return _by_products(q, k, v)
    if backend == "cudnn":
        with sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
            return _sdpa(q, k, v, mask)
    return _sdpa(q, k, v, mask)


def _is_short(q: Tensor) -> bool:
    return q.device.type == "cpu" and q.dtype == torch.bfloat16 and q.shape[1] <= PRODUCTS_UP_TO


def _by_products(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return causal attention of (B, S, H, D). Its scores and softmax are float32, as in flash attention."""
    batch, length, _, dim = q.shape
    q, k, v = (x.transpose(1, 2).flatten(0, 1) for x in (q.float(), k.float(), v))  # (B H, S, D)
    outs = []
    for start in range(0, length, QUERIES):
        end = min(start + QUERIES, length)
        hidden = torch.full((end - start, end), float("-inf"), device=q.device).triu(1 + start)
        scores = torch.baddbmm(hidden, q[:, start:end], k[:, :end].mT, alpha=dim**-0.5)
        outs.append(scores.softmax(-1).to(v.dtype) @ v[:, :end])
    return torch.cat(outs, 1).unflatten(0, (batch, -1)).transpose(1, 2)


def _sdpa(q: Tensor, k: Tensor, v: Tensor, mask: DocMask | None) -> Tensor:
    q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)  # (B, H, S or T, D)
    seen, keys = q.shape[2], k.shape[2]
    if mask is not None:
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask.dense)
    elif seen == keys:
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    else:
        allowed = torch.ones(seen, keys, dtype=torch.bool, device=q.device).tril(keys - seen)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
    return out.transpose(1, 2)


@functools.cache
def _in_float32() -> Callable[[Tensor, Tensor, Tensor, DocMask | None], Tensor]:
    """Return attention by what xformers has for float32, out of torch.compile's sight."""

    def attend(q: Tensor, k: Tensor, v: Tensor, mask: DocMask | None) -> Tensor:
        where = (None, None) if mask is None else (mask.host, mask.device)
        return kernels.xformers_attention(q, k, v, *where)

    return torch.compiler.disable(attend)  # this imports all of torch._dynamo
