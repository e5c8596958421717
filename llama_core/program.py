"""A program that a launcher starts: how it begins and ends, and how it talks to the flow that follows it.

It prints `@metrics {...}` and `@progress {...}` (rank 0) and, for what a user can mend, `@error message`, or
`@final message` where another start would meet it again. Each is one whole line; everything else is log. Exit
codes: 0 done, FAILED, STOPPED.
"""

import importlib
import json
import logging
import multiprocessing
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from llama_core import lifeline
from llama_core.errors import DivergedError, InputError, LlamaError, RecipeError

FAILED = 2  # an error that a user can mend
FINAL = (DivergedError, InputError, RecipeError)
STOPPED = 75  # EX_TEMPFAIL: asked to end, with its progress saved; start it again


def tell(kind: str, values: dict[str, Any]) -> None:
    """One line for the flow, in one write: ranks share the output, and `print` writes in pieces."""
    sys.stdout.write(f"@{kind} {json.dumps(values)}\n")
    sys.stdout.flush()


def load(package: str) -> Callable[[str], int]:
    """What the program `python -m PACKAGE` does: `PACKAGE.run.main`. Importing it takes seconds."""
    return importlib.import_module(f"{package}.run").main


def run(package: str) -> NoReturn:
    """Do `main(job_url)` of a package as a program, and end with what it returns."""
    lifeline.watch()  # first: the launcher may die while we import
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stdout)
    try:
        code = load(package)(*sys.argv[1:])
    except LlamaError as error:
        traceback.print_exc(file=sys.stdout)
        kind = "final" if isinstance(error, FINAL) else "error"
        sys.stdout.write(f"@{kind} {' '.join(str(error).split())}\n")
        code = FAILED
    # What was asked for is committed. Left to clean up, libraries of two ranks on gloo sometimes abort
    # ("terminate called without an active exception", 2 of 60 runs), which torchrun takes for a failure.
    logging.shutdown()
    sys.stdout.flush()
    if code == 0 and multiprocessing.parent_process() is not None:
        sys.exit(0)  # a forked rank: its agent hears of success from Python, and then it ends as here
    os._exit(code)
