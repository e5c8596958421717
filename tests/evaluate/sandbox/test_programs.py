"""What came of a program is told the same each time, and where programs cannot be run, why."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llama_core.evaluate.sandbox import confine, programs
from llama_core.evaluate.sandbox.programs import WEAKER, Limits, Outcome, SandboxError, missing, run, run_all

ROOT = Path(__file__).parents[3]
# Where the kernel forbids it, no test of it can run: the reason is in the summary.
linux = pytest.mark.skipif(missing() is not None, reason=f"no program of a model is run here: {missing()}")


@linux
@pytest.mark.parametrize(
    "program, outcome",
    [
        ("x = 1", Outcome(True, "")),
        ("def f(:", Outcome(False, "SyntaxError: invalid syntax (<program>, line 1)")),
        ("assert 1 == 2, 'no'", Outcome(False, "AssertionError: no")),
        ("import sys; sys.exit(0)", Outcome(False, "SystemExit: 0")),
        ("import os; os._exit(0)", Outcome(False, "it ended itself before its end")),
        ("os = 1; import sys; sys.stdout = None", Outcome(True, "")),
        ("input()", Outcome(False, "EOFError: EOF when reading a line")),
        ("x = '\\0'", Outcome(True, "")),
        ("x = '\0'", Outcome(False, "SyntaxError: source code string cannot contain null bytes")),
        ("x = '\ud800'", Outcome(True, "")),
        ("raise ValueError('ä' * 10000)", Outcome(False, "ValueError: " + "ä" * 488)),
        ("raise ValueError(object())", Outcome(False, "ValueError: <object object at 0x...>")),
        ("import signal; signal.pause()", Outcome(False, "it timed out")),
        ("while True: pass", Outcome(False, "it timed out")),
        ("import ctypes; ctypes.string_at(0)", Outcome(False, "it was ended by signal 11")),
        ("print('x' * 20000)", Outcome(False, "it wrote more than 1,000 bytes")),
        ("x = bytearray(10 ** 9)", Outcome(False, "MemoryError: ")),
    ],
)
def test_what_came_of_a_program_is_told(program: str, outcome: Outcome) -> None:
    assert run(program, Limits(cpu_seconds=1, seconds=5, output=1000, memory=1 << 28)) == outcome


@linux
def test_a_program_can_be_long_and_does_the_same_each_time() -> None:
    long = "x = 1\n" * 100_000 + "raise ValueError(list({'a', 'b', 'c', 'd', 'e', 'f'}))"
    first, second = run_all([long, long + " "])
    assert first == second and first.reason.startswith("ValueError: [")


@linux
def test_programs_run_at_once_and_the_same_one_once() -> None:
    start = time.monotonic()
    outcomes = run_all(["import time; time.sleep(1)"] * 20 + ["assert 0"])
    assert outcomes == [Outcome(True, "")] * 20 + [Outcome(False, "AssertionError: ")]
    assert time.monotonic() - start < 15
    assert run_all([]) == []


@linux
@pytest.mark.skipif(not shutil.which("unshare"), reason="there is no unshare")
def test_where_the_kernel_gives_no_namespaces_it_is_said_what_to_do() -> None:
    program = (
        "from llama_core.evaluate.sandbox.programs import missing, run, SandboxError\n"
        "print(missing())\n"
        "try: run('')\n"
        "except SandboxError: print('refused')"
    )
    shell = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$0" -c "$1"'
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "sh", "-c", shell, sys.executable, program],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != WEAKER},
        capture_output=True,
        text=True,
    )
    said, refused = done.stdout.splitlines()
    assert "max_user_namespaces" in said and f"{WEAKER}=weaker" in said
    assert refused == "refused"


@linux
def test_another_word_in_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WEAKER, "weak")
    with pytest.raises(SandboxError, match="'weak' in the environment, and not weaker"):
        run("x = 1")


@linux
@pytest.mark.skipif(not shutil.which("unshare"), reason="there is no unshare")
def test_a_container_with_one_user_runs_programs() -> None:
    program = "from llama_core.evaluate.sandbox.programs import run; print(run('x = 1').passed)"
    command = ["unshare", "--user", "--map-root-user", sys.executable, "-c", program]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout == "True\n"


def test_other_systems_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs.sys, "platform", "darwin")
    with pytest.raises(SandboxError, match="on Linux alone"):
        run("x = 1")


@linux
def test_other_processors_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confine.platform, "machine", lambda: "riscv64")
    with pytest.raises(SandboxError, match="x86_64 and aarch64"):
        run("x = 1")
