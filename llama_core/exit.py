"""How our processes end: with their exit code, and without the interpreter taking itself apart.

That last step of Python's has changed the exit code of runs that were done, and it takes time:
a thread of a C++ library that comes back to Python (pyarrow's do, now and then) aborts the process;
libraries of two ranks on gloo sometimes abort ("terminate called without an active exception", 2 of 60 runs),
which torchrun takes for a failure; torch needs half a second; and where a fork has failed, Python waits for
the processes that were forked before it.
"""

import atexit
import contextlib
import logging
import os
import sys
import threading
from typing import NoReturn


def leave(code: int, *, exit_functions: bool = False, flush: bool = True) -> NoReturn:
    """End this process with the exit code `code`. What was written to the log and the terminal is flushed.

    `exit_functions`: wait for other threads and run what is registered with `atexit` first, as Python does.
    `flush`: false where nobody reads any more, so that a write to a full pipe would wait for ever.
    """
    if exit_functions:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    if flush:
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):  # full, without a reader, closed
                stream.flush()
    os._exit(code)
