"""A program that a launcher starts: how it begins and ends, and how it talks to the flow that follows it.

It prints `@metrics {...}` and `@progress {...}` (rank 0) and, for what a user can mend, `@error message`, or
`@final message` where another start would meet it again. Each is one whole line; everything else is log. Exit
codes: 0 done, FAILED, STOPPED.
"""

import json
import logging
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


def run(main: Callable[[str], int]) -> NoReturn:
    """Run `main(job_url)` as a program, and end with what it returns."""
    lifeline.watch()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stdout)
    try:
        code = main(*sys.argv[1:])
    except LlamaError as error:
        traceback.print_exc(file=sys.stdout)
        kind = "final" if isinstance(error, FINAL) else "error"
        sys.stdout.write(f"@{kind} {' '.join(str(error).split())}\n")
        code = FAILED
    # What was asked for is committed. Left to clean up, libraries of two ranks on gloo sometimes abort
    # ("terminate called without an active exception", 2 of 60 runs), which torchrun takes for a failure.
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)
