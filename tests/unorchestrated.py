"""Flows and tasks as the functions that they are made of: runs that Prefect neither starts nor watches."""

import contextlib
import logging
from typing import Any, NoReturn

import pytest


def leave_prefect_out(patch: pytest.MonkeyPatch) -> list[str]:
    """Make flows and tasks plain functions of this process; what they would show in Prefect goes nowhere.

    The list that is returned grows by what the terminal of a run would show.
    """
    import prefect
    from prefect.exceptions import MissingContextError

    import flows.corpus
    import tasks.observe

    def nobody_looks(*args: Any, **kwargs: Any) -> NoReturn:
        raise MissingContextError("there is no flow run")

    for kind in (prefect.Flow, prefect.Task):
        patch.setattr(kind, "__call__", lambda self, *args, **kwargs: self.fn(*args, **kwargs))
    for name in [name for name in dir(tasks.observe) if name.endswith("_artifact")]:
        patch.setattr(tasks.observe, name, nobody_looks)
    patch.setattr(tasks.observe, "_without_retries", contextlib.nullcontext)  # settings of calls not made
    patch.setattr(flows.corpus, "emit_event", lambda *args, **kwargs: None)
    said: list[str] = []
    terminal = logging.Handler()
    patch.setattr(terminal, "emit", lambda record: said.append(record.getMessage()))
    logger = logging.getLogger("prefect.flow_runs")
    patch.setattr(logger, "handlers", [terminal])  # and not Prefect's own, which ask for the flow run's name
    patch.setattr(logger, "isEnabledFor", lambda level: True)
    return said
