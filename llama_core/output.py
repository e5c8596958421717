"""What a long-running process writes to its terminal or log, which never ends it.

The reader may be gone (`| head -1`), the disk that the output goes to may be full, and a process may be
started with a closed standard output. None of this is a reason to lose a training.
"""

import contextlib
import os
import sys
from collections.abc import Callable
from typing import Any, TextIO, cast


class Forgiving:
    """A text stream that drops what cannot be written. Everything else is the stream's own."""

    def __init__(self, stream: TextIO | None):
        self._stream = stream  # None where the process was started without it

    def write(self, text: str) -> int:
        """Write the text if that is possible. Return its length, as a stream does."""
        if self._stream is not None:
            with contextlib.suppress(OSError, ValueError):  # no reader, no space; a closed file
                try:
                    self._stream.write(text)
                except UnicodeEncodeError as error:  # a terminal of another character set
                    self._stream.write(text.encode(error.encoding, "backslashreplace").decode(error.encoding))
        return len(text)

    def flush(self) -> None:
        """Send on what is buffered if that is possible."""
        if self._stream is not None:
            with contextlib.suppress(OSError, ValueError):  # no reader, no space; a closed file
                self._stream.flush()

    def isatty(self) -> bool:
        """Tell whether a person watches."""
        return self._stream is not None and not self._stream.closed and self._stream.isatty()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def forgive() -> None:
    """Let no failing write to the standard output or error of this process raise from now on."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not isinstance(stream, Forgiving):
            setattr(sys, name, cast(TextIO, Forgiving(stream)))


def until_unread(main: Callable[[], int]) -> int:
    """Run a program that prints. Returns its exit code, or 0 where its reader (`| head`) has seen enough."""
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    return code
