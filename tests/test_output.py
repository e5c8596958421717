"""A process goes on where what it says cannot be written."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from llama_core.exit import leave
from llama_core.output import forgive
forgive()
for _ in range(10_000):
    print("to the reader \\u2028 of this")
    print("and here", file=sys.stderr, flush=True)
open(sys.argv[1], "w").write("went on")
leave(0)
"""


@pytest.mark.parametrize(
    "output", [">/dev/full 2>&1", "| head -1", ">&- 2>&-", "2>/dev/full | true", "| cat"]
)
def test_output_without_a_reader_or_a_place_is_no_error(output: str, tmp_path: object) -> None:
    done = f"{tmp_path}/done"
    command = f"set -o pipefail; PYTHONIOENCODING=ascii {sys.executable} -c '{PROGRAM}' {done} {output}"
    ended = subprocess.run(["bash", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert ended.returncode == 0, ended.stdout[-1000:]
    with open(done) as file:
        assert file.read() == "went on"
