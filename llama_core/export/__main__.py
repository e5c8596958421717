"""`python -m llama_core.export FROM TO --format huggingface|meta|step`: a model in another format.

FROM is a name of MLflow's registry, such as models:/llama-tiny@candidate, or the path or URL of an export or
train step, or of a folder of a LLaMA in Meta's format or in that of Hugging Face. TO is a folder that is
empty or not there yet; for `step` it is a store, on which the model becomes a train step like any other. The
exit code is 0, or 2 for an error that a user can mend, and 130 if the program was interrupted, or 143 if it
was asked to end: then nothing is left of what it has written to a folder.
"""

import logging
import signal
import sys
import time
from typing import Any, NoReturn

from llama_core.errors import Arguments, InputError, LlamaError
from llama_core.output import forgive
from llama_core.resolve import resolve
from llama_core.url import redact_logs

FAILED, INTERRUPTED, TERMINATED = 2, 130, 143
FORMATS = ("huggingface", "meta", "step")
DTYPES = ("fp32", "bf16", "fp16")
EVERY = 2.0  # seconds between two lines of progress


class _Progress:
    """The progress on the standard error: a line when a file begins, and one every few seconds."""

    def __init__(self) -> None:
        self._file, self._told = "", 0.0

    def __call__(self, file: str, done: int, total: int) -> None:
        """Tell that `done` of `total` bytes are written, the last of them in `file`."""
        now = time.monotonic()
        if file != self._file or now - self._told > EVERY:
            self._file, self._told = file, now
            print(f"{file}: {done / 1e6:,.1f} of {total / 1e6:,.1f} MB", file=sys.stderr, flush=True)


def main() -> int:
    """Run the program, and return its exit code."""
    parser = Arguments(prog="python -m llama_core.export", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("source", metavar="FROM", help="models:/NAME@ALIAS, or a path or URL of a model")
    parser.add_argument("target", metavar="TO", help="a path or URL of a folder; for `step`, of a store")
    parser.add_argument("--format", choices=FORMATS, required=True)
    parser.add_argument(
        "--shards", type=int, metavar="MP", help="files of Meta's format; as it released them"
    )
    parser.add_argument(
        "--dtype", choices=DTYPES, help="fp16 for Meta's format, else what the model is published in"
    )
    parser.add_argument(
        "--tokenizer", metavar="FILE", help="tokenizer.model of a folder of Meta's, if it lies elsewhere"
    )
    args = parser.parse_args()
    if args.target.lower().startswith("memory:"):
        raise InputError(f"{args.target} ends with this command: name a folder on a disk or a store")
    from llama_core.export.convert import convert  # torch is slow to import

    made = convert(
        resolve(args.source), args.target, args.format, _Progress(), args.shards, args.dtype, args.tokenizer
    )
    print(made, flush=True)
    return 0


def _end(*_: Any) -> NoReturn:
    sys.exit(TERMINATED)


def _run() -> int:
    """Run the program, and return its exit code. Errors that a user can mend are one line."""
    forgive()
    redact_logs()
    signal.signal(signal.SIGTERM, _end)
    logging.basicConfig(level=logging.WARNING, format="warning: %(message)s", stream=sys.stderr)
    try:
        return main()
    except LlamaError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(_run())
