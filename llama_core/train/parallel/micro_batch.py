"""What a process takes through the model at once."""

from dataclasses import dataclass

from torch import Tensor

from llama_core.model.attention import DocMask
from llama_core.train.parallel.context import ContextMask, positions_of
from llama_core.train.parallel.mesh import Mesh


@dataclass(frozen=True)
class MicroBatch:
    """This process's part of some sequences, on its device: B sequences of S positions."""

    inputs: Tensor
    """int64 (B, S)."""
    targets: Tensor
    """int64 (B, S): the token after each position."""
    mask: DocMask | None
    """Which positions see each other; None where all earlier ones are seen."""
    positions: Tensor | None
    """The places of the positions in their sequences, int64 (S,); None: one after the other."""

    @classmethod
    def of(
        cls, tokens: Tensor, bos_id: int | None, mesh: Mesh, targets: Tensor | None = None
    ) -> "MicroBatch":
        """Return the part of `tokens` that this process sees: int64 (B, S + 1), on the host.

        `bos_id`: the token that starts a document which sees only itself; None: documents see each other.
        `targets`: int64 (B, S), in place of the tokens after each position.
        """
        device = mesh.world.device
        inputs, targets = tokens[:, :-1], tokens[:, 1:] if targets is None else targets
        mask = None if bos_id is None else DocMask.from_tokens(inputs, bos_id, device)
        positions = None
        if mesh.cp > 1:
            if mask is not None:
                mask = ContextMask(mask.documents, mesh)
            positions = positions_of(mesh.cp_rank, mesh.cp, inputs.shape[1])
            inputs, targets = inputs[:, positions], targets[:, positions]
            positions = positions.to(device, non_blocking=True)
        inputs, targets = (t.to(device, non_blocking=True) for t in (inputs, targets))
        return cls(inputs, targets, mask, positions)
