"""Equality of two answers as formulas: SymPy simplifies their difference, as in Minerva's evaluation.

Models write what no algebra can take (`9^{9^{9^9}}`), so a process of its own does the work, with limits on
its memory and on the processor's time that a pair may take. It stays for the pairs that follow, and ends with
the process that asks. A pair that breaks a limit is not equal, and the next one gets a new process.
"""

import atexit
import contextlib
import functools
import importlib.metadata
import json
import os
import resource
import subprocess
import sys
import threading
from itertools import zip_longest
from typing import Any

from llama_core.errors import InputError

CPU_SECONDS = 5  # of the processor for one pair
WALL_SECONDS = 300.0  # for one pair, where other processes leave it no processor
MEMORY = 2 << 30  # bytes of addresses
LONGEST = 2_000  # characters of a formula: none that is right is longer
ANTLR = ("antlr4-python3-runtime", "4.11")  # what SymPy's parser of LaTeX was made with, and insists on


def missing() -> str | None:
    """Return why formulas cannot be compared here, as a sentence that says what to do, or None."""
    package, version = ANTLR
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        if importlib.metadata.version(package).startswith(version):
            return None
    return f"SymPy needs {package} {version} to read LaTeX: pip install 'llama-pretrain[eval]'"


def is_equal(first: str, second: str) -> bool:
    """Tell whether two normalised answers are the same text, or formulas whose difference is 0.

    Raises InputError where they are not the same text, and formulas cannot be compared here (see `missing`).
    """
    if first == second:
        return True
    if max(len(first), len(second)) > LONGEST:
        return False
    # SymPy reads a list up to its first comma, so its parts are compared one by one.
    pairs = list(zip_longest(_parts(first), _parts(second), fillvalue=""))
    if not all(one and other for one, other in pairs):
        return False
    comparer = _comparer(os.getpid())
    return all(one == other or comparer.is_equal(one, other) for one, other in pairs)


def _parts(text: str) -> list[str]:
    """Return what stands between the commas of a text that are outside of all brackets."""
    depth, parts = 0, [""]
    for sign in text:
        depth += (sign in "([{") - (sign in ")]}")
        if sign == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += sign
    return parts


@functools.cache
def _comparer(pid: int) -> "_Comparer":
    """Return what compares for this process, of which a fork has none yet."""
    if reason := missing():
        raise InputError(reason)
    return _Comparer()


class _Comparer:
    """The process that compares, which is started when it is needed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        atexit.register(self._end)

    def is_equal(self, first: str, second: str) -> bool:
        with self._lock:
            return self._ask(first, second)

    def _ask(self, first: str, second: str) -> bool:
        process = self._process or self._start()
        assert process.stdin and process.stdout
        timer = threading.Timer(WALL_SECONDS, process.kill)
        timer.start()
        try:
            process.stdin.write(json.dumps([first, second]).encode() + b"\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = b""
        finally:
            timer.cancel()
        if not answer:
            self._end()
        return answer == b"1\n"

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", __name__]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONHASHSEED": "0"},  # SymPy's ways depend on the order of sets
            start_new_session=True,  # a Ctrl-C in the terminal is for the process that asks
        )
        self._process = process
        return process

    def _end(self) -> None:
        """End the process, which may be in the midst of a pair."""
        if (process := self._process) is not None:
            self._process = None
            process.kill()
            process.communicate()


def _difference_is_zero(first: str, second: str) -> bool:
    import sympy
    from sympy.parsing.latex import parse_latex

    try:
        difference: Any = parse_latex(first) - parse_latex(second)
        return bool(sympy.simplify(difference) == 0)
    except Exception:  # the texts are a model's: whatever SymPy makes of them, they are not equal
        return False


def main() -> None:
    """Answer each pair that comes as a line of JSON with 1 or 0; end when nothing more comes."""
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what a library prints is no answer
    _difference_is_zero("1", "2")  # what is imported counts for no pair
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, hard))
    for line in sys.stdin.buffer:
        used = resource.getrusage(resource.RUSAGE_SELF)
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        seconds = int(used.ru_utime + used.ru_stime) + CPU_SECONDS + 1
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, hard))
        answers.write(b"1\n" if _difference_is_zero(*json.loads(line)) else b"0\n")


if __name__ == "__main__":
    main()
