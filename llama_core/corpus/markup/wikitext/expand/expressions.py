"""The arithmetic of `#expr`: numbers, operators and functions, by recursive descent with bounds."""

import math
import re
from collections.abc import Callable

MAX_CHARS = 500
_MAX_DEPTH = 40
_TOKEN = re.compile(
    r"\s*+(?:(\d++(?:\.\d*+)?(?:[eE][+-]?\d{1,3})?|\.\d++(?:[eE][+-]?\d{1,3})?)|(<=|>=|<>|!=|[-+*/^=<>()−])|([A-Za-z]++))"
)
_FUNCTIONS: dict[str, Callable[[float], float]] = {
    "abs": abs, "ceil": math.ceil, "trunc": math.trunc, "floor": math.floor, "exp": math.exp, "ln": math.log,
    "sin": math.sin, "cos": math.cos, "tan": math.tan, "asin": math.asin, "acos": math.acos,
    "atan": math.atan, "sqrt": math.sqrt,
}  # fmt: skip
# The operators by how tightly they bind, the loosest first. Power and unary signs stand below.
_LEVELS: tuple[tuple[str, ...], ...] = (
    ("or",), ("and",), ("=", "<>", "!=", "<", ">", "<=", ">="), ("round",), ("+", "-"),
    ("*", "/", "div", "mod", "fmod"), ("^",), ("e",),
)  # fmt: skip


class ExpressionError(ValueError):
    """MediaWiki would show an error in the place of the value."""


def evaluate(expression: str) -> float | None:
    """Return the value of an expression, None if it is empty. Raises ExpressionError."""
    expression = expression.strip()
    if not expression:
        return None
    if len(expression) > MAX_CHARS:
        raise ExpressionError
    reader = _Reader(_tokens(expression))
    try:
        value = reader.level(0)
    except (ArithmeticError, ValueError) as error:
        raise ExpressionError from error
    if reader.peek() is not None or not math.isfinite(value):
        raise ExpressionError
    return value


def written(value: float) -> str:
    """Return a number as MediaWiki prints it, with at most 14 digits."""
    if value == 0:
        return "0"
    text = f"{value:.14G}"
    mantissa, power, exponent = text.partition("E")
    if not power:
        return mantissa
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}E{int(exponent):+d}"


def _tokens(expression: str) -> list[str]:
    tokens: list[str] = []
    at = 0
    while at < len(expression):
        found = _TOKEN.match(expression, at)
        if not found or (found[3] and found[3].lower() not in _WORDS):
            raise ExpressionError
        tokens.append((found[1] or found[2] or found[3]).lower().replace("−", "-"))
        at = found.end()
    return tokens


_WORDS = frozenset({*_FUNCTIONS, *(word for level in _LEVELS for word in level), "not", "e", "pi"})


class _Reader:
    """Reads tokens from the left."""

    def __init__(self, tokens: list[str]):
        self._tokens, self._at, self._depth = tokens, 0, 0

    def peek(self) -> str | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _next(self) -> str:
        token = self.peek()
        if token is None:
            raise ExpressionError
        self._at += 1
        return token

    def level(self, level: int) -> float:
        """Read what operators of a level, or of one that binds more tightly, join."""
        if level == len(_LEVELS):
            return self._operand()
        value = self.level(level + 1)
        while (operator := self.peek()) in _LEVELS[level]:
            self._at += 1
            value = _applied(str(operator), value, self.level(level + 1))
        return value

    def _operand(self) -> float:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise ExpressionError
        token = self._next()
        if token == "(":
            value = self.level(0)
            if self._next() != ")":
                raise ExpressionError
        elif token in ("+", "-"):
            value = self._operand() if token == "+" else -self._operand()
        elif token == "not":
            value = float(not self._operand())
        elif token in _FUNCTIONS:
            value = float(_FUNCTIONS[token](self._operand()))
        elif token in ("pi", "e"):
            value = math.pi if token == "pi" else math.e
        elif token[0].isdigit() or token[0] == ".":
            value = float(token)
        else:
            raise ExpressionError
        self._depth -= 1
        return value


def _applied(operator: str, left: float, right: float) -> float:
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/" | "div":
            return left / right
        case "mod":
            return math.fmod(int(left), int(right))
        case "fmod":
            return math.fmod(left, right)
        case "e":
            return float(left * math.pow(10, right))
        case "^":
            return float(math.pow(left, right))
        case "round":
            return _rounded(left, int(right))
        case "and":
            return float(bool(left) and bool(right))
        case "or":
            return float(bool(left) or bool(right))
    compared = {"=": left == right, "<>": left != right, "!=": left != right, "<": left < right}
    compared |= {">": left > right, "<=": left <= right, ">=": left >= right}
    return float(compared[operator])


def _rounded(value: float, digits: int) -> float:
    """Round half away from zero, as PHP does."""
    if abs(digits) > 30:
        raise ExpressionError
    scale = 10.0**digits
    shifted = float(f"{abs(value) * scale:.14G}")
    return math.copysign(math.floor(shifted + 0.5) / scale, value)
