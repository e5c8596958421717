"""Weights are read by our names and only as far as they are asked for, wherever they lie."""

from collections.abc import Iterator

import pytest
import torch
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)
from trained import Trained

from llama_core.artifact import Artifact
from llama_core.export import REVISION, huggingface
from llama_core.step import Step
from llama_core.store import Store
from llama_core.weights import weights as base
from llama_core.weights.checkpoint import TrainedWeights
from llama_core.weights.open import open_weights
from llama_core.weights.weights import Weights


def exported(trained: Trained, store: Store) -> Artifact:
    step = Step(store, "export", REVISION, {})
    huggingface.export(step, trained.recipe, trained.inputs["train"], trained.inputs["tokenizer"])
    return step.commit([huggingface.SHARD])


@pytest.fixture
def sources(trained: Trained, store: Store) -> Iterator[list[Weights]]:
    """The same model as a train step, and as an export step on a disk and elsewhere."""
    elsewhere = exported(trained, Store("memory://weights"))
    yield [open_weights(a.url) for a in (trained.inputs["train"], exported(trained, store), elsewhere)]
    elsewhere.store.fs.rm("/weights", recursive=True)


def test_every_source_gives_the_tensors_of_the_model_in_its_order(
    trained: Trained, sources: list[Weights]
) -> None:
    expected = dict(trained.model().named_parameters())
    for weights in sources:
        assert weights.names == list(expected)
        assert (weights.model, weights.vocab_size, weights.seq_len) == (trained.recipe.model, 512, 64)
        assert weights.size == sum(p.nbytes for p in expected.values())
        for name, parameter in expected.items():
            assert torch.equal(weights.read(name), parameter), name
            assert weights.shape(name) == tuple(parameter.shape)


def test_a_part_is_what_it_would_be_of_the_whole_tensor(
    trained: Trained, sources: list[Weights], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llama_core.weights.region.PIECE", 1000)
    generator = torch.Generator().manual_seed(1)
    for weights in sources:
        for name, parameter in trained.model().named_parameters():
            for dim, size in enumerate(parameter.shape):
                for start, stop in (
                    (0, size),
                    *torch.randint(size + 1, (4, 2), generator=generator).tolist(),
                ):
                    start, stop = sorted((start, stop))
                    part = weights.read(name, (dim, start, stop))
                    assert torch.equal(part, parameter.narrow(dim, start, stop - start)), (name, dim, start)


def test_the_pieces_of_a_tensor_make_it_up(
    trained: Trained, sources: list[Weights], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "PIECE", 1000)
    for weights in sources:
        name = "layers.0.attention.wq.weight"
        pieces = list(weights.pieces(name, rows=6))
        assert len(pieces) > 2 and all(len(piece) % 6 == 0 for piece in pieces[:-1])
        assert torch.equal(torch.cat(pieces), dict(trained.model().named_parameters())[name])


def test_a_checkpoint_is_read_once_however_it_is_laid_out(
    trained: Trained, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Items are pieces of rows and of columns, as tensor parallelism and FSDP store them."""
    name = "layers.0.attention.wo.weight"
    tensor = torch.randn(32, 32)
    tiles = {(r, c): tensor[r : r + 8, c : c + 16].contiguous() for r in range(0, 32, 8) for c in (0, 16)}
    weights = open_weights(trained.inputs["train"].url)
    assert isinstance(weights, TrainedWeights)
    chunks = [ChunkStorageMetadata(torch.Size(at), tile.shape) for at, tile in tiles.items()]
    properties = TensorProperties(dtype=torch.float32)
    stored = TensorStorageMetadata(properties, tensor.shape, chunks)
    monkeypatch.setitem(weights._metadata.state_dict_metadata, f"model.{name}", stored)
    read: list[tuple[int, ...]] = []

    def read_item(index: MetadataIndex) -> torch.Tensor:
        assert index.offset is not None
        read.append(tuple(index.offset))
        return tiles[index.offset[0], index.offset[1]]

    monkeypatch.setattr(weights._reader, "read_item", read_item)
    monkeypatch.setattr(base, "PIECE", 32 * 4 * 3)
    assert torch.equal(torch.cat(list(weights.pieces(name))), tensor)
    assert sorted(read) == sorted(tiles), "each item is read once"
    assert torch.equal(weights.read(name, (1, 5, 29)), tensor[:, 5:29])
    assert torch.equal(weights.read(name, (0, 7, 17)), tensor[7:17])
