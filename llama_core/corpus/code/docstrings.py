"""Python source split in two: its code, and the prose of its docstrings. Every line goes to one side."""

import ast
import inspect
import warnings
from collections.abc import Iterator

_Owner = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")


def split_docstrings(text: str, module: str) -> tuple[str, list[tuple[str, str]]]:
    """Return the source without its docstrings, and (qualified name, docstring) in the order of the file.

    `text` has `\\n` line ends. `module` is its name, with which the qualified names begin. Docstrings are cut
    by whole lines: one that shares a line with code stays, and so does one that is all that a class or
    function holds. Source that does not parse stays whole.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return text, []
    lines = text.split("\n")
    found: list[tuple[int, int, str, str]] = []  # (first line, line after the last, name, docstring)
    for name, owner in _owners(tree, module):
        node = owner.body[0] if owner.body else None
        if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Constant):
            continue
        value = node.value.value
        if not isinstance(value, str) or (len(owner.body) == 1 and not isinstance(owner, ast.Module)):
            continue
        if _has_own_lines(node, lines):
            found.append((node.lineno - 1, node.end_lineno or node.lineno, name, inspect.cleandoc(value)))
    found.sort()
    kept: list[str] = []
    start = 0
    for first, end, _, _ in found:
        kept += lines[start:first]
        start = end
    kept += lines[start:]
    return "\n".join(kept), [(name, doc) for _, _, name, doc in found if doc]


def _owners(tree: ast.Module, module: str) -> Iterator[tuple[str, _Owner]]:
    """Yield everything that may have a docstring, with its qualified name."""
    stack: list[tuple[str, ast.AST]] = [(module, tree)]
    while stack:
        name, node = stack.pop()
        if isinstance(node, _Owner):
            yield name, node
        for block in _BLOCKS:
            for child in getattr(node, block, ()):
                if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                    stack.append((f"{name}.{child.name}", child))
                elif isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
                    stack.append((name, child))


def _has_own_lines(node: ast.Expr, lines: list[str]) -> bool:
    """Tell whether nothing but a comment shares a line with an expression."""
    assert node.end_lineno is not None and node.end_col_offset is not None
    before = lines[node.lineno - 1].encode()[: node.col_offset].strip()
    after = lines[node.end_lineno - 1].encode()[node.end_col_offset :].strip()
    return not before and (not after or after.startswith(b"#"))
