"""The report of a step without an update names the ranks and sequences that it comes from."""

import math

import numpy as np
import torch

from llama_core.train.stability.origin import origin, seen

NUMBERS = np.array([16, 19, 22])
FINE = torch.tensor(False)


def test_the_sequences_whose_loss_is_not_finite_are_named() -> None:
    bad = seen(torch.tensor([1.0, math.inf, 2.0]), NUMBERS, torch.tensor(True))
    good = seen(torch.tensor([9.0, 1.0, 2.0]), NUMBERS, FINE)
    assert origin([good, bad, good], math.nan) == "the loss is not finite on rank 1 (sequences 19)"


def test_a_rank_whose_way_back_is_broken_is_named_with_all_of_its_sequences() -> None:
    bad = seen(torch.tensor([1.0, 3.0, 2.0]), NUMBERS, torch.tensor(True))
    good = seen(torch.tensor([9.0, 1.0, 2.0]), NUMBERS, FINE)
    assert origin([good, bad], math.nan) == "gradients are not finite on rank 1 (sequences 16, 19, 22)"
    told = origin([bad] * 10, math.nan)
    assert told.endswith("rank 7 (sequences 16, 19, 22) and 2 more") and told.count("rank ") == 8


def test_of_a_spike_the_rank_with_the_largest_loss_is_named() -> None:
    losses = [[1.0, 3.0, 2.0], [2.0, 2.0, 8.0], [0.0, 0.0, 0.0]]  # the last has none of its own
    told = [seen(torch.tensor(of), NUMBERS, FINE) for of in losses]
    assert origin(told, 50.0) == "the loss is largest on rank 1 (sequences 22)"
    assert origin(told, math.nan).startswith("no process alone has seen it")
