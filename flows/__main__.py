"""`python -m flows RECIPE [key=value ...]`: a whole run from the command line, its services included.

It starts a Prefect server for the length of the run if neither the environment nor the profile names one. The
terminal shows what matters to a person; everything else is in the log file.
"""

import argparse
import contextlib
import logging
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from infra import services
from infra.home import logs_here, private
from infra.imports import lasting
from llama_core.errors import LlamaError, RecipeError
from llama_core.exit import leave
from llama_core.output import forgive
from llama_core.recipes.load import PRESETS
from llama_core.url import redact, redact_logs
from tasks.run import open_run

DATA_FLOWS = ("corpus", "tokenizer", "tokens")  # flows that end before training
FLOWS = ("pretrain", *DATA_FLOWS, "train", "evaluate", "register")


def main(argv: list[str] | None = None) -> int:
    """Run a flow, and return the exit code.

    It is 0, or 2 for an error that a user can mend, 130 if the run was interrupted, and 1 for other errors.
    """
    redact_logs()
    options = _parse(argv)
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("DO_NOT_TRACK", "1")  # nothing of a run is told to the makers of its libraries
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    forgive()
    log = logs_here() / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    try:
        overrides = _overrides(options.overrides)
        at = {} if options.at is None else {"at": options.at}
        trains = options.flow not in DATA_FLOWS and not at
        open_run(options.recipe, overrides, options.store, trains=trains, evaluates=bool(at))
        with services.run_services(meanwhile=lambda: _flow(options.flow)):
            _log_to(log)
            try:
                _flow(options.flow)(options.recipe, overrides, options.store, options.refresh, **at)
            finally:
                with contextlib.suppress(Exception):  # the flow's own error is the one to show
                    _flush()
    except LlamaError as error:
        return _fail(str(error), log, 2)
    except KeyboardInterrupt:
        return _fail("interrupted; run the same command to go on", log, 130)
    except Exception as error:
        return _fail(f"{type(error).__name__}: {error}", log, 1)
    return 0


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m flows", description="Public text to a registered LLaMA.", allow_abbrev=False
    )
    parser.add_argument("recipe", help=f"{', '.join(PRESETS)}, or the path or URL of a YAML recipe")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="such as train.lr=1e-3")
    parser.add_argument(
        "--flow", choices=FLOWS, default="pretrain", help="how far to go (default: all the way)"
    )
    parser.add_argument("--store", help="fsspec URL of all artifacts, such as s3://bucket/prefix")
    parser.add_argument(
        "--refresh",
        action="store_true",
        help="look anew at lists, checksums and packages that the first start of this run has seen",
    )
    parser.add_argument(
        "--at",
        type=float,
        metavar="TOKENS",
        help="with --flow evaluate: the checkpoint after so many tokens, such as 10e9, of a training that "
        "may go on (default: the trained model)",
    )
    options = parser.parse_intermixed_args(argv)
    if options.at is not None and (options.flow != "evaluate" or not 0 < options.at < 2**63):
        parser.error("--at goes with --flow evaluate, and is a number of tokens")
    return options


def _overrides(pairs: list[str]) -> dict[str, Any]:
    for pair in pairs:
        if "=" not in pair:
            raise RecipeError(f"override {pair!r} is not of the form key=value")
    return dict(pair.split("=", 1) for pair in pairs)


def _flow(name: str) -> Any:
    """Return a flow. It is imported only here, because Prefect reads its settings when it is imported."""
    with lasting():
        module = __import__(f"flows.{name}", fromlist=[name])
    return getattr(module, name)


def _log_to(log: Path) -> None:
    """Send what the run says to the terminal, and everything, tracebacks included, to the log file."""
    screen = logging.StreamHandler(sys.stdout)
    screen.addFilter(lambda record: getattr(record, "said", False))
    screen.setFormatter(logging.Formatter("%(message)s"))
    with contextlib.suppress(OSError):
        open(log, "a", opener=private).close()
    file = _LogFile(log)
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    logging.getLogger().handlers = [file]
    logging.captureWarnings(True)
    mlflow = logging.getLogger("mlflow")  # it would write to the terminal by itself
    mlflow.handlers, mlflow.propagate = [], True
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addHandler(screen)


class _LogFile(logging.FileHandler):
    """A log file whose disk may be full: the terminal says so once, and the run goes on."""

    _told = False

    def handleError(self, record: logging.LogRecord) -> None:
        if not self._told:
            self._told = True
            error = sys.exc_info()[1]
            print(f"warning: the log {self.baseFilename} cannot be written: {error}", file=sys.stderr)


def _flush() -> None:
    """Send Prefect what its own threads still hold: the server may end with this run."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    EventsWorker.drain_all(timeout=10)
    APILogWorker.drain_all(timeout=10)


def _fail(message: str, log: Path, code: int) -> int:
    """Show an error, and write the traceback of the exception being handled to the log. Returns `code`."""
    where = f"the full log: {log}"
    try:
        with log.open("a", encoding="utf-8", errors="replace") as file:
            file.write(redact(traceback.format_exc()))
    except OSError as error:
        where = f"the log cannot be written: {error}"
    print(f"\nerror: {redact(message)}\n       {where}", file=sys.stderr)
    return code


if __name__ == "__main__":
    if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:  # it is ignored under nohup
        signal.signal(signal.SIGHUP, signal.default_int_handler)  # a terminal that closes is a Ctrl-C
    leave(main(), exit_functions=True)
