"""Formulas are compared by algebra in a process that no text of a model brings down or holds up."""

import importlib.metadata
import signal
import subprocess
import sys
import time

import psutil
import pytest

from llama_core.errors import InputError
from llama_core.evaluate.judge import equivalence
from llama_core.evaluate.judge.latex import final_answer

needs_antlr = pytest.mark.skipif(equivalence.missing() is not None, reason=str(equivalence.missing()))


@needs_antlr
@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("\\frac{1}{2}", "0.5", True),
        ("x^{2}+2x+1", "(x+1)^2", True),
        ("\\frac{\\sqrt{8}}{2}", "\\sqrt{2}", True),
        ("(1,2)", "(1,2)", True),
        ("(1,2)", "(1,3)", False),
        ("\\frac{1}{3}", "0.333", False),
        ("x", "y", False),
        ("", "0", False),
        ("\\frac{1}{0}", "\\infty", False),
        ("3", "3,4", False),
        ("-2,1", "-2,5", False),
        ("0.5,3", "\\frac{1}{2},3", True),
        ("3,4", "4,3", False),
        ("[0,1),0.5", "[0,1),\\frac12", True),
        ("f(1,2)", "f(1,3)", False),
    ],
)
def test_answers_are_equal_if_they_are_the_same_text_or_their_difference_is_zero(
    one: str, other: str, equal: bool
) -> None:
    assert equivalence.is_equal(one, other) is equal
    assert equivalence.is_equal(other, one) is equal


@needs_antlr
@pytest.mark.slow
@pytest.mark.parametrize(
    "hostile",
    [
        "9^{9^{9^{9}}}",
        "100000000!",
        "2^{2^{36}}-2^{2^{36}+1}",  # 8 GB
        "(" * 1900,
        "\\frac{" * 300,
        "\\sqrt{" * 250 + "2" + "}" * 250,
        "x" * 100_000,
        "\x00\n\\begin{pmatrix}",
        '"], ["1", "1',
    ],
)
def test_what_no_algebra_can_take_is_not_equal_and_the_next_pair_is_compared(hostile: str) -> None:
    begun = time.process_time()
    assert not equivalence.is_equal(hostile, "1")
    assert equivalence.is_equal("\\frac{2}{4}", "\\frac{1}{2}")
    assert time.process_time() - begun < 2  # the work is done elsewhere


@needs_antlr
@pytest.mark.slow
def test_the_process_ends_with_the_one_that_asks() -> None:
    program = (
        "from llama_core.evaluate.judge.equivalence import is_equal\n"
        "print(is_equal('\\\\frac12', '0.5'), flush=True)\n"
        "is_equal('9^{9^{9^{9}}}', '1')"
    )
    asking = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert asking.stdout is not None
    assert asking.stdout.readline() == b"True\n"
    (comparing,) = psutil.Process(asking.pid).children()
    asking.send_signal(signal.SIGKILL)
    asking.communicate()
    comparing.wait(timeout=120)  # it is at work, and has so many seconds of the processor for it


@pytest.mark.parametrize("version", ["4.13.2", None])
def test_without_the_parser_that_sympy_insists_on_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch, version: str | None
) -> None:
    def installed(name: str) -> str:
        if version is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(importlib.metadata, "version", installed)
    equivalence._comparer.cache_clear()
    with pytest.raises(InputError, match=r"pip install 'llama-pretrain\[eval\]'"):
        equivalence.is_equal("1", "2")
    assert equivalence.is_equal("1", "1")


@pytest.mark.parametrize(
    "text",
    [
        "\\boxed{" + "$" * 20_000,
        "\\text{" * 3_000,
        "Final Answer: The final answer is" * 1_000,
        "\\boxed{" * 4_000,
        "1," * 10_000,
        "\\frac" * 5_000,
        "\\boxed{" + "a " * 10_000 + "}",
    ],
)
def test_a_long_text_is_normalised_in_little_time(text: str) -> None:
    begun = time.process_time()
    final_answer(text)
    assert time.process_time() - begun < 5
