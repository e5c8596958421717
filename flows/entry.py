"""What the flows share: how each of them begins."""

import functools
import logging
from collections.abc import Callable
from typing import Any

from prefect import Flow, flow
from prefect.runtime import deployment

from llama_core.errors import LlamaError


def entry(name: str) -> Callable[[Callable[..., Any]], Flow[..., Any]]:
    """Make a function the Prefect flow of that name.

    Results are not persisted: the store has them. In a deployment's run, an error that a user can mend is
    logged without the tracebacks that would hide its message in the UI and in `prefect ... run --watch`.
    """

    def wrap(function: Callable[..., Any]) -> Flow[..., Any]:
        @functools.wraps(function)
        def body(*args: Any, **kwargs: Any) -> Any:
            if deployment.id is not None:
                logging.getLogger("prefect.flow_runs").addFilter(_without_traceback)
            return function(*args, **kwargs)

        return flow(name=name, persist_result=False)(body)

    return wrap


def _without_traceback(record: logging.LogRecord) -> bool:
    """Take the traceback off a record about an error that a user can mend; its message stays."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, LlamaError):
        record.msg, record.args = f"{type(error).__name__}: {error}", None
        record.exc_info = record.exc_text = None
    return True
