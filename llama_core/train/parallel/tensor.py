"""Tensor parallelism with sequence parallelism, by DTensor (Shoeybi et al. 2019, Korthikanti et al. 2022).

Inside a block's matrices a process has all positions of a part of the heads or of the hidden layer; between
them, in the norms and the residual stream, it has all of the width of a part of the positions. So a block
gathers twice and reduce-scatters twice, and no activation is held whole by every process.
"""

from typing import Any

from torch import Tensor, nn

from llama_core.model.llama import Llama
from llama_core.train.parallel.mesh import Mesh


def share_matrices(model: Llama, mesh: Mesh, loss_parallel: bool) -> None:
    """Share the matrices of `model`, or of a part of it, among the tp processes, in place.

    The logits are whole on every process, or with `loss_parallel` of this process's part of the vocabulary;
    the normalised hidden states before them are whole. Those between blocks are a part of the positions.
    """
    from torch.distributed.tensor import Replicate, Shard
    from torch.distributed.tensor.parallel import (
        ColwiseParallel,
        RowwiseParallel,
        SequenceParallel,
        parallelize_module,
    )

    tp = mesh.devices["tp"]
    by_row = RowwiseParallel(output_layouts=Shard(1))
    for layer in model.layers:
        plan = {
            "attention_norm": SequenceParallel(),
            "ffn_norm": SequenceParallel(),
            **{f"attention.{name}": ColwiseParallel() for name in ("wq", "wk", "wv")},
            "attention.wo": by_row,
            **{f"feed_forward.{name}": ColwiseParallel() for name in ("w1", "w3")},
            "feed_forward.w2": by_row,
        }
        parallelize_module(layer, tp, plan)
        for name in ("attention", "feed_forward"):
            layer.get_submodule(name).register_forward_pre_hook(_gather_positions)
    if model.tok_embeddings is not None:
        embedding = RowwiseParallel(input_layouts=Replicate(), output_layouts=Shard(1))
        parallelize_module(model, tp, {"tok_embeddings": embedding})
    if model.output is not None:
        output = ColwiseParallel(output_layouts=Shard(-1) if loss_parallel else Replicate())
        parallelize_module(model, tp, {"norm": SequenceParallel(), "output": output})
        model.norm.register_forward_hook(_gather_output)


def _gather_positions(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Give a module its first input, a DTensor sharded by position, with all positions."""
    from torch.distributed.tensor import Replicate

    return inputs[0].redistribute(placements=[Replicate()]), *inputs[1:]


def _gather_output(module: nn.Module, inputs: Any, output: Any) -> Tensor:
    """Return a module's output, a DTensor sharded by position, as a plain tensor with all positions."""
    from torch.distributed.tensor import Replicate

    return output.redistribute(placements=[Replicate()]).to_local()


def overlap(mesh: Mesh) -> None:
    """Let the compiler split the products of shared matrices and overlap them with their communication.

    This is for code that is compiled later, on GPUs that reach each other's memory (Wang et al. 2023).
    """
    import torch._inductor.config
    from torch.distributed._symmetric_memory import enable_symm_mem_for_group

    torch._inductor.config._micro_pipeline_tp = True
    enable_symm_mem_for_group(mesh.devices["tp"].get_group().group_name)
