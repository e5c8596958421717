"""Context parallelism: the processes of a group share the positions of each sequence.

The sequence is cut into 2 cp chunks, and process r takes chunks r and 2 cp - 1 - r, so that each has as many
pairs of query and key to compute as the next. Keys and values are gathered, as Llama 3 does it (Grattafiori
et al. 2024, section 3.3.2), which allows any mask; queries stay where they are.
"""

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from llama_core.model.attention import DocMask, attention
from llama_core.model.llama import Attention, Llama
from llama_core.train.parallel.mesh import Mesh


def positions_of(rank: int, size: int, length: int) -> Tensor:
    """Return the positions of process `rank` of `size` in sequences of `length`: int64 (length / size,)."""
    early, late = _chunks(rank, size)
    chunks = torch.arange(length).view(2 * size, -1)
    return torch.cat((chunks[early], chunks[late]))


def _chunks(rank: int, size: int) -> tuple[int, int]:
    return rank, 2 * size - 1 - rank


class ContextMask(DocMask):
    """Which of all positions of a sequence the positions of this process may see.

    `documents`: int64 (B, S) of the whole sequences, on the device: equal inside a document.
    """

    def __init__(self, documents: Tensor, mesh: Mesh):
        super().__init__(documents, [])
        chunk = documents.shape[1] // (2 * mesh.cp)
        self.allowed = []  # of each of this process's chunks: bool (B, 1, chunk, positions up to its end)
        for n in _chunks(mesh.cp_rank, mesh.cp):
            start, end = n * chunk, (n + 1) * chunk
            same = documents[:, None, start:end, None] == documents[:, None, None, :end]
            self.allowed.append(same.tril(start))

    def prepare(self, backend: str) -> None:
        """Do nothing: both chunks have their mask."""


def share_positions(model: Llama, mesh: Mesh) -> None:
    """Let the attention of `model` take keys and values from all processes that share its sequences."""
    attend = _Attend(mesh.cp_group, mesh.cp_rank, mesh.cp)
    for module in model.modules():
        if isinstance(module, Attention):
            module.attend = attend


class _Attend:
    """Attention of this process's two chunks of queries over all keys and values up to their ends."""

    def __init__(self, group: dist.ProcessGroup, rank: int, size: int):
        self.group, self.rank, self.size = group, rank, size
        order = [n for r in range(size) for n in _chunks(r, size)]  # the chunks as they are gathered
        self.sorted = [order.index(n) for n in range(2 * size)]

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, mask: DocMask | None, backend: str) -> Tensor:
        """Return causal attention (B, S / cp, H, D) of this process's positions. `q`, `k`, `v`: likewise."""
        chunk = q.shape[1] // 2
        k, v = self._gather(torch.stack((k, v))).unbind(0)  # (B, S, H, D)
        out = []
        for i, n in enumerate(_chunks(self.rank, self.size)):
            end = (n + 1) * chunk
            mine, keys, values = q[:, i * chunk : (i + 1) * chunk], k[:, :end], v[:, :end]
            if mask is None:
                out.append(attention(mine, keys, values, None, backend))
            else:
                assert isinstance(mask, ContextMask)
                heads = mine.transpose(1, 2), keys.transpose(1, 2), values.transpose(1, 2)
                seen = F.scaled_dot_product_attention(*heads, attn_mask=mask.allowed[i])
                out.append(seen.transpose(1, 2))
        return torch.cat(out, 1)

    def _gather(self, parts: Tensor) -> Tensor:
        """Return the whole of `parts`, (2, B, S / cp, H, D), in the order of positions: (2, B, S, H, D)."""
        from torch.distributed import _functional_collectives as collectives

        newer = hasattr(collectives, "all_gather_single_autograd")  # its name since PyTorch 2.13
        gather = collectives.all_gather_single_autograd if newer else collectives.all_gather_tensor_autograd
        whole = gather(parts.contiguous(), 2, self.group)
        chunks = whole.unflatten(2, (2 * self.size, -1))
        return torch.cat([chunks[:, :, n] for n in self.sorted], 2)
