"""A program that a launcher starts: how it begins and ends, and how it talks to the flow that follows it.

Rank 0 prints `@metrics {...}` and `@progress {...}`. An error that a user can mend is printed as `@error
message`, or as `@final message` where another start would meet it again. Each of these is one whole line, and
all other lines are log. The exit code is 0 if the work is done, else one of those below.
"""

import importlib
import json
import logging
import multiprocessing
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from llama_core import lifeline
from llama_core.errors import DivergedError, InputError, LlamaError, RecipeError, StoreError
from llama_core.exit import leave
from llama_core.output import forgive
from llama_core.url import redact, redact_logs

FAILED = 2  # the exit code for an error that a user can mend
FINAL = (DivergedError, InputError, RecipeError)
HUNG = 77  # the exit code of a process that came no further, and was ended by its watchdog
LEFT_ALONE = 76  # the exit code of a process that has lost another process of its job
STOPPED = 75  # EX_TEMPFAIL: it was asked to end, and has saved its progress; start it again
AWAY = 74  # EX_IOERR: its store does not answer; a training that is started again waits for it
INTERRUPTED = "LLAMA_INTERRUPTED"  # the variable that says why the program is started again


def tell(kind: str, values: dict[str, Any]) -> None:
    """Print one line `@kind {...}` for the flow.

    It is one write, because ranks share the output, and `print` writes in pieces.
    """
    sys.stdout.write(f"@{kind} {json.dumps(values)}\n")
    sys.stdout.flush()


def load(package: str) -> Callable[..., int]:
    """Return what the program `python -m PACKAGE` runs: `PACKAGE.run.main`. Importing it takes seconds."""
    return importlib.import_module(f"{package}.run").main


def run(package: str) -> NoReturn:
    """Run `main(job_url, sha256)` of a package as a program, and end with the code that it returns."""
    lifeline.watch()  # first: the launcher may die while we import
    forgive()
    redact_logs()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stdout)
    try:
        code = load(package)(*sys.argv[1:])
    except LlamaError as error:
        sys.stdout.write(redact(traceback.format_exc()))
        kind = "final" if isinstance(error, FINAL) else "error"
        sys.stdout.write(f"@{kind} {' '.join(str(error).split())}\n")
        code = AWAY if isinstance(error, StoreError) and error.away else FAILED
    except Exception:
        sys.stdout.write(redact(traceback.format_exc()))
        code = 1
    if code == 0 and multiprocessing.parent_process() is not None:
        sys.exit(0)  # a forked rank: multiprocessing tells its agent of the success, then ends it likewise
    leave(code)  # what was asked for is committed
