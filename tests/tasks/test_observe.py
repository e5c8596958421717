"""What a person is told of a stage's pace and end can be read at any size."""

import io
import logging
import sys

import pytest

from tasks import observe
from tasks.observe import Progress, clock, pace


@pytest.mark.parametrize(
    ("done", "hours", "says"),
    [
        (60, 1, "60 of 90,000 shards, 1.0/min, 62.5 days left"),
        (3, 1, "3 of 90,000 shards, 3.0/h, 1,250.0 days left"),
        (45_000, 1, "45,000 of 90,000 shards, 12.5/s, 1:00:00 left"),
        (2_500, 1, "2,500 of 90,000 shards, 41.7/min, 35:00:00 left"),
        (0, 1, "0 of 90,000 shards"),
    ],
)
def test_a_stage_tells_its_rate_and_the_time_that_is_left(done: int, hours: float, says: str) -> None:
    assert Progress("ingest", 90_000, "shards")._rate(done, hours * 3600) == says


def test_the_rate_counts_what_this_run_has_done() -> None:
    assert Progress("ingest", 100, "shards", before=40)._rate(50, 5) == "50 of 100 shards, 2.0/s, 0:25 left"


def test_units_of_time_are_chosen_by_size() -> None:
    assert [pace(rate) for rate in (2000, 1, 0.5, 1 / 60, 1 / 61)] == [
        "2,000.0/s", "1.0/s", "30.0/min", "1.0/min", "59.0/h",
    ]  # fmt: skip
    assert [clock(seconds) for seconds in (5, 3723, 172_800, 180_000)] == [
        "0:05", "1:02:03", "48:00:00", "2.1 days",
    ]  # fmt: skip


def test_what_is_said_begins_a_line_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(observe, "get_run_logger", lambda: logging.getLogger("of a run"))
    observe.live("step 8")
    observe.say("      WARNING step 9 made no update")
    observe.live("step 16", end=True)
    observe.say("done")
    assert terminal.getvalue() == "\r\x1b[2K      step 8\n\r\x1b[2K      step 16\n"
