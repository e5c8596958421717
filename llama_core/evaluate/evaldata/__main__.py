"""`python -m llama_core.evaluate.evaldata FOLDER [BENCHMARK...]` fetches the benchmarks' files into a folder.

It may be stopped and run again: it goes on where it was, and checks what is there. Without names it fetches
those of all benchmarks. The exit code is 0, 1 where a person has to fetch some by hand, or 2 for an error
that a user can mend, after which it has gone on with the others.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from llama_core.errors import Arguments, InputError, LlamaError
from llama_core.evaluate.evaldata.bring import Bringer, ByHand, alone_in
from llama_core.evaluate.evaldata.published import PUBLISHED, Published
from llama_core.output import until_unread
from llama_core.url import redact_logs

BY_HAND, FAILED, INTERRUPTED = 1, 2, 130


def main(arguments: Sequence[str] | None = None, published: Sequence[Published] = PUBLISHED) -> int:
    """Fetch what is asked for, and return the exit code."""
    redact_logs()
    try:
        return _bring(arguments, published)
    except (LlamaError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("stopped: run it again to go on", file=sys.stderr)
        return INTERRUPTED


def _bring(arguments: Sequence[str] | None, published: Sequence[Published]) -> int:
    known = sorted({name for one in published for name in one.benchmarks})
    parser = Arguments(prog="python -m llama_core.evaluate.evaldata", description=__doc__.split("\n")[0])
    parser.add_argument("folder", help="a folder of this machine, for evaluate.data of a recipe")
    parser.add_argument("benchmarks", nargs="*", metavar="BENCHMARK", help=f"of {', '.join(known)}")
    parser.add_argument("--list", action="store_true", help="print what there is, and fetch nothing")
    args = parser.parse_args(arguments)
    if unknown := [name for name in args.benchmarks if name not in known]:
        raise InputError(f"{unknown[0]!r} is none of the benchmarks: {', '.join(known)}")
    if "://" in args.folder:
        raise InputError(f"{args.folder} is a URL: fetch into a folder of this machine, and copy that")
    wanted = [one for one in published if not args.benchmarks or set(one.benchmarks) & set(args.benchmarks)]
    if args.list:
        for one in wanted:
            size = f"{one.size:,} bytes" if one.size else "size not stated"
            print(f"{', '.join(one.benchmarks)}: {one.url}, {size}, licence: {one.licence}")
        return 0
    folder = Path(args.folder)
    folder.mkdir(parents=True, exist_ok=True)
    with alone_in(folder):
        return _bring_all(folder, wanted)


def _bring_all(folder: Path, wanted: Sequence[Published]) -> int:
    """Bring all of it, and say at the end what is missing and why."""
    bringer = Bringer(folder, lambda line: print(line, flush=True))
    by_hand: list[str] = []
    failed: list[str] = []
    for one in wanted:
        names = ", ".join(one.benchmarks)
        try:
            bringer.bring(one)
        except ByHand as reason:
            by_hand.append(f"{names}: {reason}.")
        except (LlamaError, OSError) as error:
            failed.append(f"error: {names}: {' '.join(str(error).split())}")
            print(failed[-1], file=sys.stderr, flush=True)
    for heading, lines in (("To be fetched by hand:", by_hand), ("Not fetched:", failed)):
        if lines:
            print("\n".join(["", heading, *(f"  {line}" for line in lines)]))
    return FAILED if failed else BY_HAND if by_hand else 0


if __name__ == "__main__":
    sys.exit(until_unread(main))
