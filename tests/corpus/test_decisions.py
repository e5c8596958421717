"""Cuts, one after another and composed."""

from hypothesis import given
from hypothesis import strategies as st

from llama_core.corpus.decisions import Cut, apply_cuts, compose


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
