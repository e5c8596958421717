"""Cuts, one after another and composed, and how they are kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_core.corpus import document
from llama_core.corpus.decisions import (
    ENDING,
    Cut,
    Decision,
    apply_cuts,
    compose,
    read_decisions,
    write_decisions,
)
from llama_core.step import Step
from llama_core.store import Store


def cuts_of(length: int) -> st.SearchStrategy[list[Cut]]:
    places = st.lists(st.integers(0, length), max_size=8).map(sorted)
    puts = st.lists(st.sampled_from(["", "\n", "xy", "uvw"]), min_size=4, max_size=4)
    return st.builds(lambda p, q: [Cut(a, b, s) for a, b, s in zip(p[::2], p[1::2], q)], places, puts)


@given(st.data())
def test_composed_cuts_do_what_both_do_one_after_another(data: st.DataObject) -> None:
    text = "0123456789"
    first = data.draw(cuts_of(len(text)))
    left = apply_cuts(text, first)
    then = data.draw(cuts_of(len(left)))
    assert apply_cuts(text, compose(first, then)) == apply_cuts(left, then)


def test_a_row_group_is_bounded_in_cuts_too(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "ROW_GROUP_BYTES", 1000 * document.ENTRY_BYTES)
    cuts = [Cut(4 * i, 4 * i + 2) for i in range(400)]
    step = Step(store, "lines", 0, {})
    with step.shard("a") as out, out.publish(f"a/{ENDING}") as writer:
        write_decisions(writer, (Decision(f"{i:032x}", cuts=cuts) for i in range(9)))
    artifact = step.commit(["a"])
    assert [b.num_rows for b in document.read_batches(artifact, "a", ENDING)] == [3, 3, 3]
    assert all(decision.cuts == cuts for decision in read_decisions(artifact, "a"))
