"""A coverage-guided fuzzer (atheris) on one of the parsers of `tests/corpus/fuzz/parsers.py`.

    pip install 'llama-pretrain[fuzz]'
    python -m benchmarks.fuzz PARSER [--seconds 600] [--keep DIR]

A crash, an input of more than 30 s and more than 2 GB of memory end the run; the input is then kept in DIR.
The last line is JSON: `ours` is the number of inputs tried, `failures` is 1 if the run failed in such a way.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"
INPUT_SECONDS = 30
MEMORY_MB = 2048
MAX_BYTES = 1 << 15


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parser")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--keep", type=Path, default=Path("var/fuzz"), help="folder for inputs that fail")
    args = parser.parse_args()
    args.keep.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as corpus:
        options = [
            f"-max_total_time={args.seconds}", f"-timeout={INPUT_SECONDS}", f"-rss_limit_mb={MEMORY_MB}",
            f"-max_len={MAX_BYTES}", f"-artifact_prefix={args.keep}/{args.parser}-", "-print_final_stats=1",
        ]  # fmt: skip
        command = [
            sys.executable,
            "-c",
            "from benchmarks.fuzz import fuzz; fuzz()",
            args.parser,
            corpus,
            *options,
        ]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    tail = done.stderr.splitlines()[-60:]
    runs = re.search(r"stat::number_of_executed_units:\s*(\d+)", done.stderr)
    covered = re.findall(r"\bcov: (\d+)", done.stderr)
    if done.returncode or not runs:
        print("\n".join(tail))
    print(
        f"{args.parser}: {runs[1] if runs else '?'} inputs, {covered[-1] if covered else '?'} edges covered"
    )
    result = {
        "what": args.parser, "ours": int(runs[1]) if runs else 0, "peer": None, "theirs": None, "ratio": None,
        "unit": f"inputs in {args.seconds} s", "failures": int(done.returncode != 0),
    }  # fmt: skip
    print(json.dumps({"name": "fuzz", "results": [result]}))
    sys.exit(done.returncode != 0)


def fuzz() -> None:
    """Fuzz a parser in this process until libFuzzer ends it.

    `sys.argv` holds the parser's name, the folder of its corpus, and libFuzzer's options.
    """
    import atheris

    sys.path.insert(0, str(TESTS))
    with atheris.instrument_imports(include=["llama_core.corpus"]):
        from corpus.fuzz.parsers import PARSERS
    _, name, corpus, *options = sys.argv
    _, seeds, parse = PARSERS[name]
    for number, seed in enumerate(seeds):
        (Path(corpus) / str(number)).write_bytes(seed)
    atheris.Setup([name, *options, corpus], parse)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
