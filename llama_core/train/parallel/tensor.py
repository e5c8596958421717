"""Tensor parallelism with sequence parallelism, by DTensor (Shoeybi et al. 2019, Korthikanti et al. 2022).

Inside a block's matrices a process has all positions of a part of the heads or of the hidden layer; between
them, in the norms and the residual stream, it has all of the width of a part of the positions. So a block
gathers twice and reduce-scatters twice, and no activation is held whole by every process.
"""

from typing import Any

from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh

from llama_core.model.llama import Llama
from llama_core.train.parallel.mesh import Mesh


def share_matrices(model: Llama, mesh: Mesh) -> None:
    """Share the matrices of `model`, or of a part of it, among the tp processes, in place.

    The hidden states between blocks are those of a part of the positions, and the normalised ones before the
    output projection those of all: `loss.cross_entropy` takes them, and shares the vocabulary or gathers it.
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
        _share_embeddings(model.tok_embeddings, tp)
    if model.output is not None:
        output = ColwiseParallel(output_layouts=Replicate())
        parallelize_module(model, tp, {"norm": SequenceParallel(), "output": output})
        model.norm.register_forward_hook(_gather_output)


def _share_embeddings(embeddings: nn.Module, tp: DeviceMesh) -> None:
    """Share embeddings by vocabulary: they take all positions, and return those of this process.

    RowwiseParallel would return a tensor that is still on its way, and a compiled block which takes such a
    one gives it no gradient (PyTorch 2.13).
    """
    from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_module, distribute_tensor

    def share(name: str, module: nn.Module, mesh: DeviceMesh) -> None:
        weight = distribute_tensor(module.get_parameter("weight"), mesh, [Shard(0)])
        module.register_parameter("weight", nn.Parameter(weight))

    def enter(module: nn.Module, inputs: Any, mesh: DeviceMesh) -> Any:
        return (DTensor.from_local(inputs[0], mesh, [Replicate()], run_check=False),)

    def leave(module: nn.Module, output: Any, mesh: DeviceMesh) -> Any:
        return output.redistribute(placements=[Shard(1)]).to_local()

    distribute_module(embeddings, tp, share, enter, leave)


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
