"""The order of training data: pure, exact in its mixture, and every window once an epoch."""

import hashlib
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llama_core.errors import RecipeError
from llama_core.tokens.order import GROUP, PAGE, Order, apportion, n_windows, permute

MIXTURE = {"code": 0.6, "docs": 0.3, "web": 0.1}
WINDOWS = {"code": 70 * PAGE + 5, "docs": 1500, "web": 3}

shares = st.lists(st.integers(1, 500), min_size=1, max_size=7).map(
    lambda parts: {f"s{i}": part / sum(parts) for i, part in enumerate(parts)}
)


def located(order: Order, first: int, count: int) -> list[tuple[int, int]]:
    source, window = order.locate(np.arange(first, first + count))
    return list(zip(source.tolist(), window.tolist(), strict=True))


def test_the_order_of_fixed_inputs_never_changes_silently() -> None:
    order = Order("digest", MIXTURE, 1, WINDOWS)
    source, window = order.locate(np.concatenate([np.arange(200_000), 10**12 + np.arange(1000)]))
    found = hashlib.sha256(source.astype("<i8").tobytes() + window.astype("<i8").tobytes()).hexdigest()
    assert found == "c832f47c7622aa4510c5c856da4cdd99a1ed56adcf74c42b7624268a21f23e70", (
        "a changed order must raise order.REVISION, then this digest"
    )


def test_another_process_computes_the_same_order() -> None:
    program = (
        "import numpy as np; from llama_core.tokens.order import Order\n"
        f"o = Order('digest', dict(reversed({MIXTURE}.items())), 1, {WINDOWS})\n"
        "print([a.tolist() for a in o.locate(np.arange(5000, 5100))])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    order = Order("digest", MIXTURE, 1, WINDOWS)
    assert found.stdout.strip() == str([a.tolist() for a in order.locate(np.arange(5000, 5100))])


@given(first=st.one_of(st.integers(0, 10**5), st.integers(10**12, 10**15)), count=st.integers(1, 20))
@settings(max_examples=30, deadline=None)
def test_a_sequence_is_the_same_alone_and_in_any_range(first: int, count: int) -> None:
    order = Order("digest", MIXTURE, 1, WINDOWS)
    alone = [located(order, first + i, 1)[0] for i in range(count)]
    assert located(order, first, count) == alone
    assert located(order, first + count // 2, count)[: count - count // 2] == alone[count // 2 :]


@pytest.mark.parametrize("changed", [("other", MIXTURE, 1), ("digest", MIXTURE, 2)])
def test_another_corpus_or_seed_gives_another_order(changed: tuple[str, dict[str, float], int]) -> None:
    assert located(Order(*changed, WINDOWS), 0, 100) != located(Order("digest", MIXTURE, 1, WINDOWS), 0, 100)


@given(mixture=shares, seed=st.integers(0, 9), blocks=st.integers(0, 10**9))
def test_the_mixture_never_drifts_by_a_whole_window(
    mixture: dict[str, float], seed: int, blocks: int
) -> None:
    order = Order("digest", mixture, seed, dict.fromkeys(mixture, 10))
    exact = [blocks * order.block * share for share in order.shares]
    assert sum(order.drawn(blocks)) == blocks * order.block
    assert all(abs(drawn - share) < 1 for drawn, share in zip(order.drawn(blocks), exact, strict=True))
    assert all(b >= a for a, b in zip(order.drawn(blocks), order.drawn(blocks + 1), strict=True))


@given(mixture=shares, block=st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_each_block_holds_the_mixture(mixture: dict[str, float], block: int) -> None:
    order = Order("digest", mixture, 1, dict.fromkeys(mixture, 10))
    source, _ = order.locate(block * order.block + np.arange(order.block))
    found = np.bincount(source, minlength=len(mixture))
    before, after = order.drawn(block), order.drawn(block + 1)
    assert found.tolist() == [b - a for a, b in zip(before, after, strict=True)]
    assert all(abs(n - order.block * s) < 2 for n, s in zip(found, order.shares, strict=True))


def test_a_rare_source_is_never_taken_back() -> None:
    order = Order("digest", {"web": 0.99999, "rare": 0.00001}, 1, {"web": 10, "rare": 10})
    assert order.block == 1 << 17
    assert order.drawn(8) == [10, 8 * order.block - 10]


@given(
    windows=st.one_of(st.integers(1, 3 * PAGE), st.integers(GROUP * PAGE - 2, (2 * GROUP + 1) * PAGE)),
    epoch=st.integers(0, 5),
    seed=st.integers(0, 99),
)
@settings(max_examples=20, deadline=None)
def test_every_window_comes_once_an_epoch(windows: int, epoch: int, seed: int) -> None:
    order = Order("digest", {"web": 1.0}, seed, {"web": windows})
    _, found = order.locate(epoch * windows + np.arange(windows))
    assert (np.sort(found) == np.arange(windows)).all()


@given(mixture=shares, seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_every_window_of_every_source_comes_once_in_each_of_its_epochs(
    mixture: dict[str, float], seed: int
) -> None:
    windows = {name: 37 * i + 1 for i, name in enumerate(mixture)}
    order = Order("digest", mixture, seed, windows)
    source, window = order.locate(np.arange(2 * order.block))
    for s, name in enumerate(order.sources):
        drawn = window[source == s]
        epochs = drawn[: len(drawn) // windows[name] * windows[name]].reshape(-1, windows[name])
        assert (np.sort(epochs, axis=1) == np.arange(windows[name])).all()


def test_epochs_differ_and_windows_near_each_other_on_disk_are_near_in_time() -> None:
    order = Order("digest", {"web": 1.0}, 1, {"web": 200 * PAGE})
    group = GROUP * PAGE
    # Windows of one group of the order come from GROUP pages only, which a reader can keep at hand.
    nth = np.arange(2 * group)
    found = order._window(np.zeros_like(nth), nth)
    assert len(np.unique(found[:group] // PAGE)) == GROUP
    assert not set(found[:group] // PAGE) & set(found[group:] // PAGE)
    assert (order._window(np.zeros_like(nth), nth + 200 * PAGE) != found).mean() > 0.99


@given(n=st.one_of(st.integers(1, 3000), st.just(65_537)), key=st.integers(0, 2**64 - 1))
@settings(max_examples=50, deadline=None)
def test_permute_is_a_permutation(n: int, key: int) -> None:
    assert (np.sort(permute(np.arange(n), n, key)) == np.arange(n)).all()


def test_permute_looks_random() -> None:
    firsts = [int(permute(np.array([0]), 10, key)[0]) for key in range(5000)]
    counts = np.bincount(firsts, minlength=10)
    assert ((counts - 500) ** 2 / 500).sum() < 30  # chi-square, 9 degrees of freedom: p = 0.0004
    long = permute(np.arange(10**5), 10**5, 3)
    assert abs(np.corrcoef(np.arange(10**5), long)[0, 1]) < 0.02
    assert abs(np.corrcoef(long[1:], long[:-1])[0, 1]) < 0.02


@given(n=st.integers(0, 10**15), parts=st.lists(st.integers(1, 1000), min_size=1, max_size=8))
def test_apportion_rounds_to_a_neighbour_and_loses_nothing(n: int, parts: list[int]) -> None:
    shares = [Fraction(part, sum(parts)) for part in parts]
    found = apportion(n, shares)
    assert sum(found) == n
    assert all(abs(count - n * share) < 1 for count, share in zip(found, shares, strict=True))


@given(n_tokens=st.integers(0, 10**6), seq_len=st.integers(2, 4096))
def test_windows_and_tail_account_for_every_token(n_tokens: int, seq_len: int) -> None:
    windows = n_windows(n_tokens, seq_len)
    tail = n_tokens - windows * seq_len
    assert windows >= 0 and 0 <= tail <= seq_len
    assert not windows or tail >= 1  # the last window's last target


def test_a_weighted_source_without_text_is_an_error_that_names_it() -> None:
    with pytest.raises(RecipeError, match=r"mixture.web is 0.1, .*corpus.sources.web"):
        Order("digest", MIXTURE, 1, WINDOWS | {"web": 0})
    Order("digest", MIXTURE | {"web": 0.0}, 1, WINDOWS | {"web": 0})


def test_a_share_too_small_to_lay_out_is_an_error_that_names_it() -> None:
    with pytest.raises(RecipeError, match=r"mixture.web is less than one window in 1048576"):
        Order("digest", {"code": 1.0, "web": 1e-9}, 1, WINDOWS)
