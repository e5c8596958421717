"""A training that its disk cannot hold is refused before any work, and one that fits is not."""

import shutil
from collections.abc import Callable

import pytest

from llama_core.errors import StoreError
from llama_core.recipes.load import load_recipe
from llama_core.store import Store
from tasks.room import check_room, room_needed


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    def has(free: int) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(0, 0, free))

    return has


def test_checkpoints_of_the_7b_model_need_its_state_for_four_and_for_ten_permanent_ones() -> None:
    parameters = 6_738_415_616
    assert room_needed(load_recipe("7b")) == ((4 + 10) * 12 + 2) * parameters, "and its export"


def test_a_disk_without_room_is_refused(store: Store, disk: Callable[[int], None]) -> None:
    recipe = load_recipe("micro")
    store.publish_bytes("x", b"")
    disk(room_needed(recipe) - 1)
    with pytest.raises(StoreError, match=r"GiB, and .* are free.*run\.keep is 2"):
        check_room(recipe, store)
    disk(room_needed(recipe))
    check_room(recipe, store)


def test_a_training_that_goes_on_needs_no_room_for_what_it_has_written(
    store: Store, disk: Callable[[int], None]
) -> None:
    recipe = load_recipe("micro")
    store.publish_bytes("train/0/checkpoint", bytes(1000))
    disk(room_needed(recipe) - 1000)
    check_room(recipe, store)
