"""Imports without the collection of garbage."""

import gc

import pytest

from infra.imports import lasting


def test_garbage_is_collected_again_afterwards_whatever_came_of_the_import() -> None:
    with lasting():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ImportError), lasting():
        import no_such_module  # type: ignore[import-not-found]  # noqa: F401
    assert gc.isenabled()
    gc.disable()
    try:
        with lasting():
            pass
        assert not gc.isenabled(), "who has switched it off has it off"
    finally:
        gc.enable()


def test_what_was_made_meanwhile_is_looked_at_no_more() -> None:
    before = gc.get_freeze_count()
    with lasting():
        kept = [[] for _ in range(1000)]
    assert gc.get_freeze_count() >= before + len(kept)
