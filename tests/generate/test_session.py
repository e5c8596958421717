"""The program that talks to a model: wrong arguments, bad lines, and how it ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import programs
import pytest
from trained import Trained

PROGRAM = ["-m", "llama_core.generate"]
WRONG = [
    ["--top-p", "0"],
    ["--top-p", "1.01"],
    ["--top-p", "nan"],
    ["--temperature", "-0.1"],
    ["--temperature", "nan"],
    ["--temperature", "inf"],
    ["--temperature", "warm"],
    ["--seed", "-1"],
    ["--seed", str(2**64)],
    ["--seed", "1.5"],
    ["--max-new-tokens", "0"],
    ["--max-new-tokens", "-3"],
    ["--max-new-tokens", "many"],
    ["--prompt", "caf\udce9"],  # a byte that is no UTF-8, as Python gives it
    ["--prompt"],
    ["--no-such-option"],
]


@pytest.mark.parametrize("wrong", WRONG, ids=" ".join)
def test_a_wrong_argument_is_one_line_and_exit_code_2(wrong: list[str], tmp_path: Path) -> None:
    given = wrong if "--prompt" in wrong else ["--prompt", "x", *wrong]
    done = programs.run(*PROGRAM, str(tmp_path), *given)
    assert done.returncode == 2
    assert done.stdout.startswith("error: ") and done.stdout.count("\n") == 1, done.stdout


def test_a_missing_url_is_one_line_and_exit_code_2() -> None:
    done = programs.run(*PROGRAM)
    assert (done.returncode, done.stdout.count("\n")) == (2, 1)
    assert "required: model" in done.stdout


@pytest.fixture(scope="module")
def url(trained: Trained) -> str:
    return trained.inputs["train"].url


def test_lengths_and_prompts_beyond_the_context_and_extreme_values_are_continued(url: str) -> None:
    long = "def main(self): " * 2000
    for prompt, more in (("", []), (long, []), ("x", ["--max-new-tokens", "9" * 30])):
        done = programs.run(*PROGRAM, url, "--prompt", prompt, *more)
        assert done.returncode == 0 and done.stdout.startswith(prompt), done.stdout[-500:]
    for temperature in ("1e-320", "1e308"):
        extremes = ["--temperature", temperature, "--top-p", "1e-300", "--seed", str(2**63 - 1)]
        done = programs.run(*PROGRAM, url, "--prompt", "x", *extremes, "--max-new-tokens", "2")
        assert done.returncode == 0, done.stdout


@pytest.fixture
def session(url: str) -> Iterator[subprocess.Popen[bytes]]:
    """The program with pipes on its streams, which a fork does not have."""
    process = subprocess.Popen(
        [sys.executable, *PROGRAM, url, "--max-new-tokens", "3"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=programs.environment() | {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
    )
    yield process
    process.kill()
    process.communicate()


@pytest.mark.slow
def test_a_bad_line_is_one_line_and_the_session_goes_on(session: subprocess.Popen[bytes]) -> None:
    lines = [b"first", b"caf\xe9", b"", "漢字".encode(), b"y" * (1 << 20) + b"yy", b"last"]
    output, said = session.communicate(b"\n".join(lines), timeout=240)
    assert session.returncode == 0
    errors = said.decode().splitlines()[1:]
    assert [e.split(",")[0] for e in errors] == [
        "error: the text is not UTF-8",
        "error: the text has more than 1",
    ]
    answers = output.decode()
    assert answers.startswith("first") and "\nlast" in answers and "\\u6f22" in answers


@pytest.mark.slow
def test_it_ends_quietly_at_ctrl_c(session: subprocess.Popen[bytes]) -> None:
    assert session.stdin and session.stdout and session.stderr
    session.stdin.write(b"first\n")
    session.stdin.flush()
    assert session.stdout.readline().startswith(b"first")
    session.send_signal(signal.SIGINT)
    assert session.wait(120) == 130
    assert b"Traceback" not in session.stderr.read()


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_an_output_that_takes_nothing_ends_it_without_a_traceback(url: str) -> None:
    asked = f'"{sys.executable}" -m llama_core.generate "{url}" --max-new-tokens 3'
    ends = {"| head -1 && echo ${PIPESTATUS[1]}": 0, ">&-; echo $?": 0, "> /dev/full; echo $?": 2}
    started = {}
    for end, code in ends.items():
        command = ["bash", "-c", f"yes def | head -200 | {asked} {end}"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started[end] = subprocess.Popen(command, env=programs.environment(), **pipes), code
    for end, (process, code) in started.items():
        output, said = process.communicate(timeout=300)
        assert "Traceback" not in said and "Exception" not in said, end
        assert said.count("error") == (1 if code else 0), end
        assert output.split()[-1] == str(code), (end, output, said)


@pytest.mark.slow
def test_a_terminal_is_prompted_until_ctrl_d(url: str) -> None:
    import pty

    ours, theirs = pty.openpty()
    command = [sys.executable, *PROGRAM, url, "--max-new-tokens", "3"]
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=programs.environment()
    )
    os.close(theirs)
    seen, typed = b"", [b"\xff\xfe\n", b"def\n", b"\x04"]
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        try:
            seen += os.read(ours, 4096)
        except OSError:  # the terminal is closed
            break
        if typed and seen.count(b"\n> ") == 4 - len(typed):
            os.write(ours, typed.pop(0))
    os.close(ours)
    assert process.wait(120) == 0
    assert b"Traceback" not in seen and b"not UTF-8" in seen and not typed
