"""The LLaMA model and nothing else: pre-normalisation, rotary positions, SwiGLU, an untied output.

It follows Touvron et al. 2023, section 2.2, with the released model's parameter names and numerics: RMSNorm
and rotation in float32, interleaved rotary pairs, no bias, no dropout.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llama_core.model.attention import DocMask, attention, backend_for
from llama_core.model.cache import Cache
from llama_core.model.trees import Trees
from llama_core.recipes.training import Model

Rotation = tuple[Tensor, Tensor]  # cos and sin, float32 (S, D / 2)


def rotation(positions: Tensor, head_dim: int, theta: float) -> Rotation:
    """Return cos and sin of the angles of `positions`, int64 (S,): both float32 (S, D / 2).

    They are computed in each forward pass and never stored: this costs nothing compared with a block, and
    there is no buffer to lose when a model is built on the meta device or cast to another precision.
    """
    pairs = torch.arange(0, head_dim, 2, device=positions.device, dtype=torch.float32) / head_dim
    angles = torch.outer(positions.float(), 1.0 / theta**pairs)  # (S, D / 2)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, by: Rotation) -> Tensor:
    """Rotate the pairs (0, 1), (2, 3), ... of each head by their angles. `x`: (B, S, H, D)."""
    cos, sin = by[0][:, None, :], by[1][:, None, :]  # (S, 1, D / 2)
    even, odd = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2).type_as(x)


class RMSNorm(nn.Module):
    """Division by the root of the mean square, in float32, and a gain (Zhang and Sennrich 2019)."""

    def __init__(self, dim: int, eps: float):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised `x`: (B, S, dim)."""
        wide = x.float()
        return (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)).type_as(x) * self.weight


class Attention(nn.Module):
    """Multi-head causal attention with rotary positions."""

    def __init__(self, cfg: Model, layer: int):
        super().__init__()
        self.layer, self.head_dim = layer, cfg.head_dim
        self.attend = attention
        self.wq = nn.Linear(cfg.dim, cfg.dim, bias=False)
        self.wk = nn.Linear(cfg.dim, cfg.dim, bias=False)
        self.wv = nn.Linear(cfg.dim, cfg.dim, bias=False)
        self.wo = nn.Linear(cfg.dim, cfg.dim, bias=False)

    def forward(
        self, x: Tensor, by: Rotation, mask: DocMask | None, backend: str, cache: Cache | Trees | None
    ) -> Tensor:
        """Return what each position takes from those before it. `x`: (B, S, dim)."""
        heads = (*x.shape[:2], -1, self.head_dim)
        q = rotate(self.wq(x).view(heads), by)  # (B, S, H, D)
        k = rotate(self.wk(x).view(heads), by)
        v = self.wv(x).view(heads)
        if cache is not None:
            return self.wo(cache.attend(self.layer, q, k, v).flatten(2))
        return self.wo(self.attend(q, k, v, mask, backend).flatten(2))


class FeedForward(nn.Module):
    """The SwiGLU feed-forward layer, w2(silu(w1 x) * w3 x) (Shazeer 2020)."""

    def __init__(self, cfg: Model):
        super().__init__()
        self.w1 = nn.Linear(cfg.dim, cfg.ffn_dim, bias=False)
        self.w2 = nn.Linear(cfg.ffn_dim, cfg.dim, bias=False)
        self.w3 = nn.Linear(cfg.dim, cfg.ffn_dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's output. `x`: (B, S, dim)."""
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


class Block(nn.Module):
    """A transformer block: attention and feed-forward, whose inputs are normalised and outputs added."""

    def __init__(self, cfg: Model, layer: int):
        super().__init__()
        self.attention = Attention(cfg, layer)
        self.feed_forward = FeedForward(cfg)
        self.attention_norm = RMSNorm(cfg.dim, cfg.norm_eps)
        self.ffn_norm = RMSNorm(cfg.dim, cfg.norm_eps)

    def forward(
        self, x: Tensor, by: Rotation, mask: DocMask | None, backend: str, cache: Cache | Trees | None
    ) -> Tensor:
        """Return the residual stream after the block. `x`: (B, S, dim)."""
        x = x + self.attention(self.attention_norm(x), by, mask, backend, cache)
        return x + self.feed_forward(self.ffn_norm(x))


class Llama(nn.Module):
    """The model: from tokens to logits.

    `attention` is one of the values of `layout.attention`.
    """

    def __init__(self, cfg: Model, vocab_size: int, attention: str = "auto"):
        super().__init__()
        self.cfg, self.vocab_size, self.backend = cfg, vocab_size, attention
        # Not nn.Embedding(...): its own initialisation on the meta device imports all of torch._dynamo.
        self.tok_embeddings = nn.Embedding.from_pretrained(torch.empty(vocab_size, cfg.dim), freeze=False)
        self.layers = nn.ModuleList(Block(cfg, layer) for layer in range(cfg.n_layers))
        self.norm = RMSNorm(cfg.dim, cfg.norm_eps)
        self.output = nn.Linear(cfg.dim, vocab_size, bias=False)

    def forward(
        self,
        tokens: Tensor,
        mask: DocMask | None = None,
        cache: Cache | Trees | None = None,
        head: Callable[[Tensor, nn.Linear], Tensor] | None = None,
        positions: Tensor | None = None,
    ) -> Tensor:
        """Return the logits (B, S, V) of `tokens`, int64 (B, S), in the model's precision.

        With a `cache`, `tokens` (1, S) continue the texts that it was prepared for, without a mask, and are
        added to it; `Trees` stand in its place for texts that begin alike. With a `head`, return what it
        makes of the normalised last hidden states (B, S, dim) and the output projection, in place of the
        logits: so a loss can do without all of them at once. `positions`: the place of each token in its
        sequence, int64 (S,); None: one after the other, or those of the cache.
        """
        if cache is not None:
            positions, backend = cache.positions, "cache"
        else:
            backend = backend_for(self.backend, tokens.device.type)
        if positions is None:
            positions = torch.arange(tokens.shape[1], device=tokens.device)
        if mask is not None:
            mask.prepare(backend)
        by = rotation(positions, self.cfg.head_dim, self.cfg.rope_theta)
        x = tokens if self.tok_embeddings is None else self.tok_embeddings(tokens)  # (B, S, dim)
        for layer in self.layers:
            x = layer(x, by, mask, backend, cache)
        if self.output is None:
            return x
        x = self.norm(x)
        return self.output(x) if head is None else head(x, self.output)
