"""`python -m llama_core.generate MODEL`: talk to a model. It is a base model: it continues your text.

MODEL is a name of MLflow's registry, such as models:/llama-tiny@candidate, or the path or URL of an export
step, of a train step, or of any LLaMA folder in the format of Hugging Face. With `--prompt TEXT` the program
continues that text once; without it, it reads lines until the input ends, and a line that it cannot continue
ends nothing. A text ends where the model's context does. The exit code is 0, or 2 for an error that a user
can mend, and 130 if the program was interrupted.
"""

import contextlib
import sys
from io import TextIOWrapper

from llama_core.errors import Arguments, InputError, LlamaError
from llama_core.exit import leave
from llama_core.generate.sampling import LARGEST_SEED, check_sampling
from llama_core.resolve import resolve

FAILED, INTERRUPTED = 2, 130
LONGEST = 1 << 20  # bytes of a line


def main() -> int:
    """Run the program, and return its exit code."""
    parser = Arguments(prog="python -m llama_core.generate", description=__doc__.split("\n")[0])
    parser.add_argument(
        "model", help="models:/NAME@ALIAS, models:/NAME/VERSION, or a path or URL of an export or train step"
    )
    parser.add_argument("--prompt", help="continue this once, instead of reading lines")
    parser.add_argument("--max-new-tokens", type=int, default=128, metavar="N")
    parser.add_argument("--temperature", type=float, default=0.8, help="0: always the most likely token")
    parser.add_argument("--top-p", type=float, default=0.95, help="draw from the tokens that hold this share")
    parser.add_argument("--stop", action="append", default=[], metavar="TEXT", help="end before this text")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    check_sampling(args.max_new_tokens, args.temperature, args.top_p, args.seed)
    if args.prompt is not None:
        _check_text(args.prompt)

    import torch

    from llama_core.generate.engine import Engine, Sampling
    from llama_core.generate.load import load

    engine = Engine(*load(resolve(args.model), "cuda" if torch.cuda.is_available() else "cpu"))

    def answer(prompt: str, seed: int) -> None:
        print(prompt, end="", flush=True)
        sampling = Sampling(args.max_new_tokens, args.temperature, args.top_p, tuple(args.stop), seed)
        for piece in engine.stream([prompt], sampling, logprobs=False):
            print(piece.text, end="", flush=True)
        print(flush=True)

    if args.prompt is not None:
        answer(args.prompt, args.seed)
        return 0
    _tell("A base model: it continues your text. End with Ctrl-D.")
    number = 0
    while (line := _read_line()) is not None:
        try:
            _check_text(line)
            answer(line, (args.seed + number) % LARGEST_SEED)
        except LlamaError as error:
            _tell(f"error: {error}")
        number += 1
    return 0


def _read_line() -> str | None:
    """Return the next line of the standard input, or None at its end. Bytes that are no UTF-8 are escaped."""
    if sys.stdin is None:
        return None
    if sys.stdin.isatty():
        with contextlib.suppress(EOFError):
            return input("\n> ")
        return None
    line = sys.stdin.buffer.readline(LONGEST + 1)
    rest = line
    while len(rest) > LONGEST and not rest.endswith(b"\n"):
        rest = sys.stdin.buffer.readline(LONGEST + 1)
    return line.rstrip(b"\r\n").decode("utf-8", "surrogateescape") if line else None


def _check_text(text: str) -> None:
    """Raise InputError for a text that is too long or not UTF-8, whose wrong bytes Python has escaped."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise InputError(f"the text is not UTF-8, from its character {error.start + 1} on") from None
    if size > LONGEST:
        raise InputError(f"the text has more than {LONGEST:,} bytes")


def _tell(text: str) -> None:
    """Write a line to the standard error, if there is one."""
    if sys.stderr:
        with contextlib.suppress(OSError):
            print(text, file=sys.stderr, flush=True)


def _run() -> int:
    """Run the program, and return its exit code. Errors that a user can mend are one line."""
    # An output that takes no more than ASCII, or a line that is not UTF-8, ends no session.
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.encoding.lower() != "utf-8":
        sys.stdout.reconfigure(errors="backslashreplace")
    if isinstance(sys.stdin, TextIOWrapper) and sys.stdin.isatty():
        sys.stdin.reconfigure(errors="surrogateescape")
    try:
        return main()
    except LlamaError as error:
        _tell(f"error: {error}")
        return FAILED
    except KeyboardInterrupt:
        _tell("")
        return INTERRUPTED
    except BrokenPipeError:
        leave(0, flush=False)  # nobody reads any more, as after `| head -1`
    except OSError as error:
        _tell(f"error: {error}")
        leave(FAILED, flush=False)  # a full disk would refuse the rest as well


if __name__ == "__main__":
    sys.exit(_run())
