"""How a process holds a model: as a whole, or as parts of a pipeline."""

from collections.abc import Iterator
from typing import Protocol

from torch import Tensor, nn

from llama_core.model.llama import Llama
from llama_core.train.parallel.mesh import Mesh
from llama_core.train.parallel.micro_batch import MicroBatch


class Pipeline(Protocol):
    """What takes a batch's micro-batches through the parts of a pipeline."""

    def backward(self, micro_batches: list[MicroBatch], n_targets: int) -> Tensor:
        """Compute the gradients of the batch's mean loss, and return the row sums as `passes.backward` does.

        `n_targets`: the number of targets of the batch, over all processes.
        """
        ...

    def score(self, micro_batches: list[MicroBatch]) -> Tensor:
        """Return the row sums as `passes.score` does, without gradients."""
        ...


class Parts(nn.Module):
    """The parts of the model that this process holds, with the names that parameters have in the whole.

    There is one, the whole model, where there is no pipeline.
    """

    def __init__(self, models: list[Llama], mesh: Mesh, pipeline: Pipeline | None = None):
        super().__init__()
        self.models = nn.ModuleList(models)
        self.mesh, self.pipeline = mesh, pipeline

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, nn.Parameter]]:
        """Yield all parameters of this process, by their names in the whole model."""
        for model in self.models:
            yield from model.named_parameters(prefix, recurse, remove_duplicate)

    @property
    def whole(self) -> Llama:
        """The model, where this process holds it as one part."""
        (model,) = self.models
        assert isinstance(model, Llama)
        return model
