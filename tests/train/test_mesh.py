"""Each process has its place in the mesh, and the processes together see each batch once."""

import pytest
import torch

from llama_core.recipes.running import Layout
from llama_core.train.distributed import World
from llama_core.train.parallel.context import ContextMask, positions_of
from llama_core.train.parallel.mesh import Mesh


def meshes(size: int, **layout: int) -> list[Mesh]:
    return [Mesh.of(Layout(**layout), World(rank, size, torch.device("cpu"))) for rank in range(size)]


def test_tp_is_innermost_and_those_that_share_a_sequence_have_one_data_rank() -> None:
    all_of = meshes(32, pp=2, dp_replicate=2, cp=2, tp=2)
    assert [m.tp_rank for m in all_of[:4]] == [0, 1, 0, 1]
    assert [m.cp_rank for m in all_of[:4]] == [0, 0, 1, 1]
    assert [m.data_rank for m in all_of[:16]] == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4
    assert [m.pp_rank for m in all_of] == [0] * 16 + [1] * 16
    assert [m.data_rank for m in all_of[16:]] == [m.data_rank for m in all_of[:16]]
    assert {m.data_size for m in all_of} == {4}


@pytest.mark.parametrize("size", [1, 2, 4])
def test_the_positions_of_a_sequence_are_shared_with_equal_work(size: int) -> None:
    parts = [positions_of(rank, size, 64) for rank in range(size)]
    assert torch.cat(parts).sort().values.tolist() == list(range(64))
    assert len({int(part.sum()) for part in parts}) == 1, "each has as many keys to look at"


def test_the_mask_of_a_part_is_that_part_of_the_whole_mask() -> None:
    documents = torch.randint(0, 2, (3, 16)).cumsum(1)
    whole = (documents[:, :, None] == documents[:, None, :]).tril()  # (B, S, S)
    for mesh in meshes(2, cp=2):
        mask = ContextMask(documents, mesh)
        rows = whole[:, positions_of(mesh.cp_rank, 2, 16)]
        for allowed, expected in zip(mask.allowed, rows.split(4, 1), strict=True):
            keys = allowed.shape[-1]
            assert torch.equal(allowed[:, 0], expected[..., :keys])
            assert not expected[..., keys:].any()
