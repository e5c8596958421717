"""Which steps make an update, and which batches a training takes that went back."""

import math
from dataclasses import replace

import pytest
import torch

from llama_core.errors import DivergedError
from llama_core.recipes.load import load_recipe
from llama_core.train.checkpoint import TrainState
from llama_core.train.stability.guard import NOTHING, Guard, Usual, batch_of
from llama_core.train.stability.returns import Steps, check_returns, past

CPU = torch.device("cpu")


def decisions(guard: Guard, norms: list[float], losses: list[float] | None = None) -> list[bool]:
    steps = zip(norms, losses or [2.0] * len(norms), strict=True)
    return [bool(guard.allows(torch.tensor(n), torch.tensor(loss, dtype=torch.float64))) for n, loss in steps]


def guard(usual: Usual = NOTHING, **settings: object) -> Guard:
    of_train = {f"train.{name}": value for name, value in settings.items()}
    return Guard(load_recipe("micro", of_train).train, usual, CPU)


def test_a_norm_many_times_the_mean_of_those_before_makes_no_update() -> None:
    one = guard(spike_window=4, spike_norm=10.0)
    assert decisions(one, [1.0, 50.0, 1.0, 1.0]) == [True] * 4, "there is no mean yet"
    # The mean is 13.25 now; each update takes it a quarter of the way to its own norm, after eight to 2.2.
    decided = decisions(one, [1.0] * 8 + [24.0, 20.0, math.nan, 1e30])
    assert decided == [True] * 8 + [False, True, False, False]
    assert decisions(guard(spike_window=1, spike_norm=None), [1.0, 1e30, math.inf]) == [True, True, False]


def test_a_loss_far_above_those_before_makes_no_update() -> None:
    """It changes by 0.2 from step to step, around 2: 4.2 is too much, and 3.8 is not."""
    losses = [1.9, 2.1] * 10
    assert decisions(guard(spike_window=10), [1.0] * 22, [*losses, 4.2, 3.8]) == [True] * 20 + [False, True]
    assert decisions(guard(spike_window=10, spike_loss=None), [1.0] * 21, [*losses, 1e9]) == [True] * 21
    # A loss that does not change at all may rise by a tenth.
    level = [2.0] * 10
    assert decisions(guard(spike_window=5), [1.0] * 12, [*level, 2.3, 2.15]) == [True] * 10 + [False, True]
    assert decisions(guard(), [1.0] * 2, [math.nan, math.inf]) == [False, False]
    assert decisions(guard(spike_window=9), [1.0] * 9, [7.0, 70.0, *[7.0] * 7]) == [True] * 9, "too early"


def test_a_loss_that_falls_fast_and_by_leaps_is_no_spike() -> None:
    """As in the first steps, where batches of another mixture differ, and the warm-up is not over."""
    generator = torch.Generator().manual_seed(3)
    noise = torch.randn(2, 400, generator=generator).tolist()
    losses = [2 + 6 * math.exp(-n / 40) + 0.3 * x for n, x in enumerate(noise[0])]
    norms = [(0.5 + 4 * math.exp(-n / 20)) * math.exp(0.4 * x) for n, x in enumerate(noise[1])]
    for window in (5, 20, 100):
        assert all(decisions(guard(spike_window=window), norms, losses)), window


def test_what_was_skipped_is_no_part_of_the_means() -> None:
    one = guard(spike_window=2)
    decisions(one, [1.0, 3.0, 1e6, 1.0, math.nan], [2.0, 3.0, 2.0, 99.0, 2.0])
    assert one.usual() == Usual(2.0, norm=2.0, loss=2.5, change=0.5, last=3.0)


def test_a_guard_goes_on_where_it_was_saved_bit_for_bit() -> None:
    norms = torch.rand(40, generator=torch.Generator().manual_seed(1)).mul(3).exp().tolist()
    losses = torch.rand(40, generator=torch.Generator().manual_seed(2)).mul(2).exp().tolist()
    settings = {"spike_window": 5, "spike_norm": 2.0, "spike_loss": 1.5}
    whole, first = guard(**settings), guard(**settings)
    expected = decisions(whole, norms, losses)
    assert False in expected
    decisions(first, norms[:17], losses[:17])
    then = guard(first.usual(), **settings)
    assert decisions(then, norms[17:], losses[17:]) == expected[17:] and then.usual() == whole.usual()


def test_batches_that_were_passed_over_are_taken_by_no_step() -> None:
    spans = [(5, 8), (10, 11)]
    assert [batch_of(n, spans) for n in range(1, 10)] == [0, 1, 2, 3, 4, 8, 9, 11, 12]
    assert [batch_of(n, ()) for n in (1, 2)] == [0, 1]
    assert [batch_of(n, [(5, 8), (2, 10)]) for n in (2, 3, 4)] == [1, 10, 11]
    assert [batch_of(n, [(2, 6), (4, 8)]) for n in (2, 3, 4)] == [1, 8, 9]


def test_a_training_that_goes_back_twice_takes_other_batches_each_time() -> None:
    progress = TrainState(8, 0, "data", returns=0)
    back = TrainState(4, 0, "data", loss=1.5)
    cfg = load_recipe("micro", {"train.most_returns": 2}).train
    first = past((6, 9), progress, back, cfg)
    assert first == replace(back, passed_over=((4, 9),), returns=1)
    second = past((6, 9), first, back, cfg)
    assert second.passed_over == ((4, 9), (9, 14)) and second.returns == 2
    assert [batch_of(n, second.passed_over) for n in (4, 5, 6)] == [3, 14, 15]
    check_returns((6, 9), first, cfg, "why")
    told = r"step 6: 4 steps in a row .* the batches 4 to 8, 9 to 13\. The last of them: why\."
    with pytest.raises(DivergedError, match=told):
        check_returns((6, 9), second, cfg, "why")


def test_from_a_checkpoint_long_before_only_the_batches_around_are_passed_over() -> None:
    cfg = load_recipe("micro", {"train.spike_margin": 10}).train
    progress, back = TrainState(600, 0, "data"), TrainState(100, 0, "data")
    then = past((601, 611), progress, back, cfg)
    assert then.passed_over == ((590, 611),), "batches 600 to 610 are those of the steps"
    assert [batch_of(n, then.passed_over) for n in (101, 590, 591)] == [100, 589, 611]


def test_steps_can_be_set_back() -> None:
    steps, seen = Steps(2, 5), []
    for n in steps:
        seen.append(n)
        if seen == [3, 4]:
            steps.go_on_after(2)
    assert seen == [3, 4, 3, 4, 5]
