"""What a person sees of a stage: lines in the terminal, and progress, tables and links in Prefect.

Observers never kill a run: where Prefect cannot be reached, the terminal says so once, and what was
missed is sent again later.
"""

import logging
import re
import sys
import time
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from prefect import get_run_logger
from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.context import SettingsContext, get_settings_context
from prefect.exceptions import MissingContextError
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, Settings

from infra import health

PROGRESS_EVERY = 3.0  # seconds between two updates of one progress bar
SAY_EVERY = 60.0  # seconds between two lines of a log about one progress bar
WAIT_FOR_PREFECT = 900.0  # seconds that a finished stage waits for a server that is away

_missed: list[Callable[[], Any]] = []
_warned = False
_patient: Settings | None = None  # Prefect's settings, and what `_without_retries` made of them
_impatient: Settings | None = None


def say(text: str, level: int = logging.INFO) -> None:
    """A line for the person: the terminal shows it, and the run's log in Prefect keeps it."""
    extra = {"said": True}
    try:
        logger: Any = get_run_logger()
    except MissingContextError:  # a thread, or no flow at all
        logger = logging.getLogger("prefect.flow_runs")
        extra["send_to_api"] = False
    logger.log(level, text, extra=extra)


def warn(text: str) -> None:
    say(text, logging.WARNING)


def show_table(key: str, rows: list[dict[str, Any]], description: str) -> None:
    _send(lambda: create_table_artifact(table=rows, key=_key(key), description=description))


def show_link(key: str, url: str, text: str) -> None:
    _send(lambda: create_link_artifact(link=url, link_text=text, key=_key(key), description=url))


def show_markdown(key: str, markdown: str, description: str) -> None:
    _send(lambda: create_markdown_artifact(markdown=markdown, key=_key(key), description=description))


class Progress:
    """A progress bar in Prefect. Without a detail of the caller's, its rate is shown in the terminal too.

    `before`: how much of the total was done before this run; the rate does not count it.
    """

    def __init__(self, key: str, total: int, unit: str, before: float = 0):
        self._key, self._total, self._unit, self._before = _key(key), max(1, total), unit, before
        self._id: Any = None
        self._started = self._said = time.monotonic()
        self._sent = 0.0

    def update(self, done: float, detail: str = "") -> None:
        now = time.monotonic()
        last = done >= self._total
        if not last and now - self._sent < PROGRESS_EVERY:
            return
        self._sent = now
        if not detail:
            detail = self._rate(done, now - self._started)
            self._show(detail, now, last)
        text, percent = detail, 100.0 * min(1.0, done / self._total)
        if self._id is None:
            self._id = _try(lambda: create_progress_artifact(percent, self._key, text))
        else:
            _try(lambda: update_progress_artifact(self._id, percent, text))

    def _rate(self, done: float, seconds: float) -> str:
        per_second = (done - self._before) / max(1e-9, seconds)
        left = f", {pace(per_second)}, {clock((self._total - done) / per_second)} left" if per_second else ""
        return f"{done:,} of {self._total:,} {self._unit}{left}"

    def _show(self, text: str, now: float, last: bool) -> None:
        """Rewritten in place on a terminal, in a log a line now and then; nothing for what is quick."""
        if sys.stderr.isatty():
            if now - self._started >= PROGRESS_EVERY:
                live(text, end=last)
        elif not last and now - self._said >= SAY_EVERY:
            self._said = now
            say(f"      {text}")


def pace(per_second: float) -> str:
    """Such as 12.5/s, 30.0/min or 2.0/h: in the first of these units in which it is 1 or more."""
    for unit, seconds in (("s", 1), ("min", 60)):
        if per_second * seconds >= 1:
            return f"{per_second * seconds:,.1f}/{unit}"
    return f"{per_second * 3600:,.1f}/h"


def clock(seconds: float) -> str:
    """Such as 1:02:03; more than two days as 62.5 days."""
    if seconds > 2 * 86_400:
        return f"{seconds / 86_400:,.1f} days"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def live(line: str, end: bool = False) -> None:
    """Show the state of the training: rewritten in place on a terminal, else a line of the log."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[2K      {line}" + ("\n" if end else ""))
        sys.stderr.flush()
    else:
        say(f"      {line}")


def wait_for_prefect() -> None:
    """Before a stage reports its end: wait for a server that is away, and send what it missed.

    The stage's work is committed already; only Prefect's record of it is at stake.
    """
    url = PREFECT_API_URL.value()
    deadline = time.monotonic() + WAIT_FOR_PREFECT
    while url and not _prefect_answers():
        if time.monotonic() > deadline:
            warn(f"Prefect at {url} did not come back; the run goes on without it")
            return
        _warn_once("Prefect cannot be reached: waiting for it (the work so far is committed)")
        time.sleep(2)
    missed, _missed[:] = list(_missed), []
    for send in missed:
        _send(send)


def _prefect_answers() -> bool:
    with _without_retries():
        return health.prefect_fault() is None


def _send(send: Callable[[], Any]) -> None:
    """Send now, or later if that fails."""
    if _try(send) is None:
        context = copy_context()
        _missed.append(lambda: context.copy().run(send))


def _try(send: Callable[[], Any]) -> Any:
    try:
        with _without_retries():
            return send() or True
    except MissingContextError:
        return True  # outside a flow there is nobody to show it to
    except Exception as error:
        _warn_once(
            f"Prefect missed an update ({type(error).__name__}): the run goes on, it is sent again later"
        )
        return None


def _without_retries() -> SettingsContext:
    """The settings as they are, but a call is made once: else a server that is away blocks us.

    As Prefect's `temporary_settings`, which makes them anew for each call, in nearly a tenth of a second.
    """
    global _patient, _impatient
    now = get_settings_context()
    if now.settings is not _patient:
        _patient, _impatient = now.settings, now.settings.copy_with_update({PREFECT_CLIENT_MAX_RETRIES: 0})
    return SettingsContext(profile=now.profile, settings=_impatient)


def _warn_once(text: str) -> None:
    global _warned
    if not _warned:
        _warned = True
        warn(text)


def _key(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
