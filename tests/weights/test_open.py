"""Weights are read by our names and only as far as they are asked for, wherever they lie."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from trained import Trained

from llama_core.artifact import Artifact
from llama_core.export import REVISION, huggingface
from llama_core.step import Step
from llama_core.store import Store, to_json
from llama_core.train.checkpoints import files
from llama_core.train.checkpoints.layout import Layout, Parameter, Parts, Split
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
    """Its pieces are parts of rows, as tensor parallelism and FSDP store them."""
    name = "layers.0.attention.wo.weight"
    theirs = open_weights(trained.inputs["train"].url)
    tensor = theirs.read(name)
    splits = (Split(axis="tp", dim=1), Split(axis="fsdp", dim=0))
    parameters = {
        n: Parameter(dtype="float32", shape=theirs.shape(n), splits=splits if n == name else ())
        for n in theirs.names
    }
    layout = Layout((1, 1, 4, 2), ("model",), parameters, piece=3 * 16 * 4)
    tiles = [layout.parts(rank)[name].box for rank in range(8)]
    assert len(set(tiles)) == 8
    step = Step(store, "train", 1, {})
    with step.shard("step-00000001") as shard:
        for rank in range(8):
            parts = layout.parts(rank)

            def part_of(kind: str, n: str, parts: Parts = parts) -> list[Tensor]:
                rows, *columns = parts[n].box
                return [theirs.read(n, (0, *rows))[:, slice(*columns[0])] if columns else theirs.read(n)]

            files.write(shard, layout, rank, part_of)
        shard.publish_bytes(f"{shard.name}/layout.json", to_json(layout.as_dict()))
    committed = step.committed("step-00000001")
    assert committed
    weights = open_weights(trained.inputs["train"].url)
    assert isinstance(weights, TrainedWeights)
    monkeypatch.setattr(weights, "_reader", files.Reader(step.folder, committed))
    read: list[tuple[str, int, int]] = []
    read_range = Store.read_range

    def counted(store: Store, of: str, start: int, end: int) -> bytes:
        read.append((of, start, end))
        return read_range(store, of, start, end)

    monkeypatch.setattr(Store, "read_range", counted)
    monkeypatch.setattr(files, "REQUEST", 1)  # each piece by itself
    monkeypatch.setattr(base, "PIECE", 32 * 4 * 5)
    assert torch.equal(torch.cat(list(weights.pieces(name))), tensor)
    assert len(read) == len(set(read)) == 8 * 3, "each piece is read once"
    assert torch.equal(weights.read(name, (1, 5, 29)), tensor[:, 5:29])
    weights.read("norm.weight")
    read.clear()
    assert torch.equal(weights.read(name, (0, 9, 17)), tensor[9:17])
    assert sorted(r[0][-10:] for r in read) == sorted(
        f"{rank:05d}.data" for rank in (2, 2, 2, 3, 3, 3, 4, 5)
    ), "and only those that hold something of what is asked for"
