"""The arithmetic of MediaWiki's `#expr`."""

import pytest

from llama_core.corpus.markup.wikitext.expand.expressions import ExpressionError, evaluate, written


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("1+2*3", "7"), ("(1+2)*3", "9"), ("2^3^2", "64"), ("-2^2", "4"), ("10 div 4", "2.5"),
        ("7 mod 3", "1"),
        ("-7 mod 3", "-1"), ("0.1+0.2", "0.3"), ("1/3 round 2", "0.33"), ("2.5 round 0", "3"),
        ("-2.5 round 0", "-3"), ("1234 round -2", "1200"), ("1 = 1 and 2 < 1", "0"), ("not 0", "1"),
        ("trunc 2.7 + floor -2.1 + ceil 2.1", "2"), ("1e3", "1000"), ("10^20", "1.0E+20"), ("abs -3", "3"),
        ("3 <> 4", "1"), ("4 >= 4 or 1", "1"), ("pi > 3", "1"), (".5*2", "1"), ("5 − 3", "2"),
        ("2e(1+2)", "2000"), ("-5 e -1", "-0.5"), ("2*e > 5", "1"),
    ],
)  # fmt: skip
def test_values(expression: str, expected: str) -> None:
    value = evaluate(expression)
    assert value is not None and written(value) == expected


@pytest.mark.parametrize(
    "expression", ["1/0", "1+", "a", "1 2", "(1", "9^9^9^9", "ln 0", "7 mod 0", "(" * 99, "1" * 600]
)
def test_errors(expression: str) -> None:
    with pytest.raises(ExpressionError):
        evaluate(expression)


def test_nothing_has_no_value() -> None:
    assert evaluate(" ") is None
