"""What a person sees of a stage: lines in the terminal, and progress, tables and links in Prefect.

None of it ever ends a run: where Prefect cannot be reached, the terminal says so once, and what Prefect has
missed is sent again later.
"""

import logging
import os
import re
import sys
import time
from collections.abc import Callable
from contextvars import copy_context
from typing import Any
from uuid import UUID

from prefect import get_run_logger
from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.client.orchestration import get_client
from prefect.context import SettingsContext, get_settings_context
from prefect.exceptions import MissingContextError
from prefect.runtime import flow_run
from prefect.settings import (
    PREFECT_API_REQUEST_TIMEOUT,
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    Settings,
)
from prefect.settings.models.api import APISettings

from infra import health
from llama_core.errors import LlamaError
from llama_core.url import keep_secret, redact

PROGRESS_EVERY = 3.0  # seconds between two updates of one progress bar
SAY_EVERY = 60.0  # seconds between two lines of a log about one progress bar
WAIT_FOR_PREFECT = 900.0  # seconds that a run waits for a server that is away, all its stages together
REQUEST = 30  # seconds for one update
REST = 30.0  # seconds after a failed update in which no other is tried: each may take until its time-out

_rewritten = False  # a line of the terminal stands open, to be rewritten in place
_missed: list[Callable[[], Any]] = []
_warned: set[str] = set()  # of what the terminal was told already
_waited = 0.0  # seconds, for a server that is away
_resting_until = 0.0  # on the monotonic clock
_logged: LlamaError | None = None  # the error that was logged last
_patient: Settings | None = None  # Prefect's settings, and what `_without_retries` made of them
_impatient: Settings | None = None


def _keep_secrets_of(api: APISettings) -> None:
    """Keep what Prefect's profile knows out of all logs."""
    secrets = (secret.get_secret_value() if secret else None for secret in (api.key, api.auth_string))
    keep_secret(api.url, *secrets)


_keep_secrets_of(get_settings_context().settings.api)


def say(text: str, level: int = logging.INFO) -> None:
    """Show a line in the terminal, and keep it in the run's log in Prefect."""
    global _rewritten
    if _rewritten:
        _rewritten = False
        sys.stderr.write("\n")
        sys.stderr.flush()
    extra = {"said": True}
    try:
        logger: Any = get_run_logger()
    except MissingContextError:  # a thread, or no flow at all
        logger = logging.getLogger("prefect.flow_runs")
        extra["send_to_api"] = False
    logger.log(level, text, extra=extra)


def warn(text: str) -> None:
    """Show a line as a warning."""
    say(text, logging.WARNING)


def _message_alone(record: logging.LogRecord) -> bool:
    """Log an error that a user can mend by its message alone, and once: tracebacks would hide the message."""
    global _logged
    error = record.exc_info[1] if record.exc_info else None
    if not isinstance(error, LlamaError):
        return True
    first, _logged = error is not _logged, error
    record.msg, record.args = f"{type(error).__name__}: {error}", None
    record.exc_info = record.exc_text = None
    return first


# A worker's process, whose log is what the UI and `prefect deployment run --watch` show.
if "PREFECT__FLOW_RUN_ID" in os.environ:
    for _name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(_name).addFilter(_message_alone)


def show_table(key: str, rows: list[dict[str, Any]], description: str) -> None:
    """Show a table in Prefect."""
    _send(lambda: create_table_artifact(table=rows, key=_key(key), description=description))


def show_link(key: str, url: str, text: str) -> None:
    """Show a link in Prefect."""
    _send(lambda: create_link_artifact(link=url, link_text=text, key=_key(key), description=url))


def show_markdown(key: str, markdown: str, description: str) -> None:
    """Show Markdown in Prefect."""
    _send(lambda: create_markdown_artifact(markdown=markdown, key=_key(key), description=description))


class Progress:
    """A progress bar in Prefect, whose rate is shown in the terminal too if the caller gives no detail.

    `before`: how much of the total was done before this run, which the rate does not count.
    """

    def __init__(self, key: str, total: int, unit: str, before: float = 0):
        self._key, self._total, self._unit, self._before = _key(key), max(1, total), unit, before
        self._id: Any = None
        self._started = self._said = time.monotonic()
        self._sent = 0.0

    def update(self, done: float, detail: str = "") -> None:
        """Show that `done` of the total is done. `detail` is shown beside the bar instead of the rate."""
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
        """Show the rate: rewritten in place on a terminal, else as a line of the log now and then.

        Nothing is shown of what is done quickly.
        """
        if sys.stderr.isatty():
            if now - self._started >= PROGRESS_EVERY:
                live(text, end=last)
        elif not last and now - self._said >= SAY_EVERY:
            self._said = now
            say(f"      {text}")


def pace(per_second: float) -> str:
    """Return a rate as 12.5/s, 30.0/min or 2.0/h: in the first of these units in which it is 1 or more."""
    for unit, seconds in (("s", 1), ("min", 60)):
        if per_second * seconds >= 1:
            return f"{per_second * seconds:,.1f}/{unit}"
    return f"{per_second * 3600:,.1f}/h"


def clock(seconds: float) -> str:
    """Return a time as 2:03 or 1:02:03, and one of more than two days as 62.5 days."""
    if seconds > 2 * 86_400:
        return f"{seconds / 86_400:,.1f} days"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def live(line: str, end: bool = False) -> None:
    """Show the state of some work: rewritten in place on a terminal, else as a line of the log.

    `end`: go on in the next line of the terminal.
    """
    global _rewritten
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[2K      {redact(line)}" + ("\n" if end else ""))
        sys.stderr.flush()
        _rewritten = not end
    else:
        say(f"      {line}")


def wait_for_prefect() -> None:
    """Wait for a server that is away, and send it what it has missed. A stage calls this before it ends.

    The stage's work is committed already: only Prefect's record of it could be lost.
    """
    global _waited, _resting_until
    url = PREFECT_API_URL.value()
    began = time.monotonic()
    while url and not _prefect_answers():
        if _waited >= WAIT_FOR_PREFECT:
            warn_once("gone", f"Prefect at {url} did not come back; the run goes on without it")
            return
        warn_once("away", "Prefect cannot be reached: waiting for it (the work so far is committed)")
        time.sleep(2)
        _waited, began = _waited + time.monotonic() - began, time.monotonic()
    _resting_until = 0.0
    missed, _missed[:] = list(_missed), []
    for send in missed:
        _send(send)


def _prefect_answers() -> bool:
    with _without_retries():
        return health.prefect_fault() is None


def _send(send: Callable[[], Any]) -> None:
    """Send something to Prefect now or, if that fails, later."""
    if _try(send) is None:
        context = copy_context()
        _missed.append(lambda: context.copy().run(send))


def _try(send: Callable[[], Any]) -> Any:
    """Send something to Prefect, and return its answer (True if it has none), or None if that fails."""
    global _resting_until
    if time.monotonic() < _resting_until:
        return None
    try:
        with _without_retries():
            return send() or True
    except MissingContextError:
        return True  # outside a flow there is nobody to show it to
    except Exception as error:
        _resting_until = time.monotonic() + REST
        warn_once(
            "missed",
            f"Prefect missed an update ({type(error).__name__}): the run goes on, it is sent again later",
        )
        return None


def _without_retries() -> SettingsContext:
    """Return a block in which Prefect makes a request once, and soon gives it up.

    Retries, or a server that is stopped and never answers, would block us.

    It does what Prefect's `temporary_settings` does, which makes the settings anew for each call and takes
    nearly a tenth of a second.
    """
    global _patient, _impatient
    now = get_settings_context()
    if now.settings is not _patient:
        once: dict[Any, Any] = {PREFECT_CLIENT_MAX_RETRIES: 0, PREFECT_API_REQUEST_TIMEOUT: REQUEST}
        _patient, _impatient = now.settings, now.settings.copy_with_update(once)
    return SettingsContext(profile=now.profile, settings=_impatient)


def is_cancelled() -> bool:
    """Tell whether somebody has cancelled this flow in Prefect. Where Prefect cannot say so, nobody has."""
    try:
        with _without_retries(), get_client(sync_client=True) as client:
            found = client.read_flow_run(UUID(str(flow_run.id))).state
        return found is not None and (found.is_cancelling() or found.is_cancelled())
    except Exception:
        return False


def warn_once(what: str, text: str) -> None:
    """Show a warning, unless one about the same thing was shown before."""
    if what not in _warned:
        _warned.add(what)
        warn(text)


def _key(text: str) -> str:
    """Return the key of an artifact in Prefect, in the characters that it allows."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
