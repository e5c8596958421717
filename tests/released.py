"""Folders of Meta's format as its own tools write and read them: fairscale's layout, by hand."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch

# How fairscale's layers divide their weights: ColumnParallelLinear by rows of the matrix, RowParallelLinear
# and ParallelEmbedding by its columns.
COLUMN_PARALLEL = ("wq.weight", "wk.weight", "wv.weight", "w1.weight", "w3.weight", "output.weight")
ROW_PARALLEL = ("wo.weight", "w2.weight", "tok_embeddings.weight")
SIX = {"dim", "multiple_of", "n_heads", "n_layers", "norm_eps", "vocab_size"}


def write(
    folder: Path,
    tensors: dict[str, torch.Tensor],
    params: dict[str, Any],
    shards: int,
    tokenizer: bytes | None = None,
    rope: str = "rope.freqs",
) -> Path:
    """Write a folder as it was released: without anything of this project."""
    folder.mkdir(parents=True)
    for rank in range(shards):
        state = {}
        for name, tensor in tensors.items():
            if name.endswith(COLUMN_PARALLEL):
                tensor = tensor[rank * len(tensor) // shards : (rank + 1) * len(tensor) // shards]
            elif name.endswith(ROW_PARALLEL):
                width = tensor.shape[1] // shards
                tensor = tensor[:, rank * width : (rank + 1) * width]
            state[name] = tensor.clone()
        state[rope] = torch.rand(8)
        torch.save(state, folder / f"consolidated.{rank:02d}.pth")
    (folder / "params.json").write_text(json.dumps(params))
    sums = [(hashlib.md5(p.read_bytes()).hexdigest(), p.name) for p in sorted(folder.iterdir())]
    (folder / "checklist.chk").write_text("".join(f"{md5}  {name}\n" for md5, name in sums))
    if tokenizer is not None:
        (folder / "tokenizer.model").write_bytes(tokenizer)
    return folder


def read(folder: Path, n_words: int) -> tuple[dict[str, Any], list[dict[str, torch.Tensor]]]:
    """The settings and the state of each rank, as the released program loads them."""
    checkpoints = sorted(folder.glob("*.pth"))
    params = json.loads((folder / "params.json").read_text())
    assert params.keys() == SIX, "ModelArgs(**params) takes no other keys"
    params["vocab_size"] = n_words  # it overwrites what is there
    return params, [torch.load(path, map_location="cpu", weights_only=True) for path in checkpoints]


def merged(states: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """The whole tensors of all ranks' states."""
    found = {}
    for name, first in states[0].items():
        if name.endswith(COLUMN_PARALLEL):
            found[name] = torch.cat([state[name] for state in states])
        elif name.endswith(ROW_PARALLEL):
            found[name] = torch.cat([state[name] for state in states], 1)
        else:
            assert all(torch.equal(state[name], first) for state in states)
            found[name] = first
    return found
