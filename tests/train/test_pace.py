"""A process that computes more slowly than the others is named, once it stays so."""

import logging

import pytest
import ranks
import torch

from llama_core.train.metrics.pace import Paces, Probe


def test_a_rank_that_stays_slow_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    paces = Paces()
    usual, slow = [1.0, 1.1, 0.9, 1.0], [1.0, 1.0, 2.0, 0.9]
    for n, seconds in enumerate([slow, slow, usual, slow, slow, [0.0] * 4, slow, slow], 1):
        paces.note(10 * n, seconds)
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        "rank 2 computes 2.0 times as slowly as the others, up to step 70: all wait for it"
    )


def test_the_probe_measures_a_short_time() -> None:
    assert 0 < Probe(torch.device("cpu")).seconds() < 1


def figures(world, steps):
    """Send figures of steps, every second of which has paces, and return those paces."""
    import numpy as np

    from llama_core.recipes.load import load_recipe
    from llama_core.train.metrics.clock import Laps
    from llama_core.train.metrics.figures import Figures
    from llama_core.train.parallel.mesh import Mesh

    sent = Figures(["code", "docs"], Mesh.of(load_recipe("micro").layout, world))
    for n in range(1, steps + 1):
        rows, sources, one = torch.full((2,), 64.0 * n), np.array([0, 1]), torch.tensor(1.0)
        pace = None if n % 2 else float(n + world.rank)
        sent.send(
            n, rows, sources, 64, one, one.isfinite(), Laps(0.0, ()), lambda: (0.0, False, []), pace=pace
        )
    found = [sent.read() for _ in range(steps)]
    assert [figure.loss for figure in found] == [float(n) for n in range(1, steps + 1)]
    assert all(figure.tokens == {"code": 64 * world.size, "docs": 64 * world.size} for figure in found)
    return [figure.paces for figure in found]


def test_what_each_rank_has_measured_is_gathered_with_the_figures() -> None:
    assert ranks.call(3, figures, 4) == [[[], [2.0, 3.0, 4.0], [], [4.0, 5.0, 6.0]]] * 3
