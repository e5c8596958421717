"""Which steps make an update, and which batches a training takes that went back."""

import math
from dataclasses import replace

import pytest
import torch

from llama_core.errors import DivergedError
from llama_core.recipes.load import load_recipe
from llama_core.train.checkpoint import TrainState
from llama_core.train.stability.guard import NO_NORMS, Guard, Norms, batch_of
from llama_core.train.stability.returns import Steps, check_returns, past

CPU = torch.device("cpu")


def decisions(guard: Guard, norms: list[float]) -> list[bool]:
    return [bool(guard.allows(torch.tensor(norm))) for norm in norms]


def guard(norms: Norms = NO_NORMS, **settings: object) -> Guard:
    of_train = {f"train.{name}": value for name, value in settings.items()}
    return Guard(load_recipe("micro", of_train).train, norms, CPU)


def test_a_norm_many_times_the_mean_of_those_before_makes_no_update() -> None:
    one = guard(spike_window=4, spike_norm=10.0)
    assert decisions(one, [1.0, 50.0, 1.0, 1.0]) == [True] * 4, "there is no mean yet"
    # The mean is 13.25 now; each update takes it a quarter of the way to its own norm, after eight to 2.2.
    decided = decisions(one, [1.0] * 8 + [24.0, 20.0, math.nan, 1e30])
    assert decided == [True] * 8 + [False, True, False, False]
    assert decisions(guard(spike_window=1, spike_norm=None), [1.0, 1e30, math.inf]) == [True, True, False]


def test_what_was_skipped_is_no_part_of_the_mean() -> None:
    one = guard(spike_window=2)
    decisions(one, [1.0, 3.0, 1e6, math.nan, math.inf])
    assert one.norms() == Norms(2.0, 2.0)


def test_a_guard_goes_on_where_it_was_saved_bit_for_bit() -> None:
    norms = torch.rand(40, generator=torch.Generator().manual_seed(1)).mul(3).exp().tolist()
    whole = guard(spike_window=5, spike_norm=2.0)
    first = guard(spike_window=5, spike_norm=2.0)
    expected = decisions(whole, norms)
    assert False in expected
    decisions(first, norms[:17])
    then = guard(first.norms(), spike_window=5, spike_norm=2.0)
    assert decisions(then, norms[17:]) == expected[17:] and then.norms() == whole.norms()


def test_batches_that_were_passed_over_are_taken_by_no_step() -> None:
    spans = [(5, 8), (10, 11)]
    assert [batch_of(n, spans) for n in range(1, 10)] == [0, 1, 2, 3, 4, 8, 9, 11, 12]
    assert [batch_of(n, ()) for n in (1, 2)] == [0, 1]
    assert [batch_of(n, [(5, 8), (2, 10)]) for n in (2, 3, 4)] == [1, 10, 11]
    assert [batch_of(n, [(2, 6), (4, 8)]) for n in (2, 3, 4)] == [1, 8, 9]


def test_a_training_that_goes_back_twice_takes_other_batches_each_time() -> None:
    progress = TrainState(8, 0, "data", returns=0)
    back = TrainState(4, 0, "data", loss=1.5)
    first = past((6, 9), progress, back)
    assert first == replace(back, passed_over=((4, 9),), returns=1)
    second = past((6, 9), first, back)
    assert second.passed_over == ((4, 9), (9, 14)) and second.returns == 2
    assert [batch_of(n, second.passed_over) for n in (4, 5, 6)] == [3, 14, 15]
    cfg = load_recipe("micro", {"train.most_returns": 2}).train
    check_returns((6, 9), first, cfg)
    with pytest.raises(DivergedError, match=r"step 6: 4 steps in a row .* the batches 4 to 8, 9 to 13\."):
        check_returns((6, 9), second, cfg)


def test_steps_can_be_set_back() -> None:
    steps, seen = Steps(2, 5), []
    for n in steps:
        seen.append(n)
        if seen == [3, 4]:
            steps.go_on_after(2)
    assert seen == [3, 4, 3, 4, 5]
