"""YAML as recipes have it: a value without quotes is text until the type of its field says what it means.

So `007`, `12:00:00` and `on` stay as they are where text is wanted. Elsewhere the rules of YAML 1.2 hold.
"""

import re
from typing import Any

import yaml

MAX_DEPTH = 40  # mappings and lists inside one another
MAX_VALUES = 100_000  # those that aliases repeat are counted each time

_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq")}
NULL = ("", "~", "null", "Null", "NULL")
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9][0-9_]*")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


class Plain(str):
    """A value that was written without quotes. What it means depends on the type of its field."""


class Refused(ValueError):
    """What a text or a value holds is nothing that a recipe may hold."""


def parse(text: str) -> Any:
    """Return the value that YAML stands for, in which scalars are text. Raises Refused."""
    try:
        node = yaml.compose(text, _LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}: " if mark else ""
        raise Refused(line + " ".join(filter(None, (error.context, error.problem)))) from None
    except yaml.YAMLError as error:
        raise Refused(str(error).partition("\n")[0]) from None
    except UnicodeEncodeError:
        raise Refused("it is no Unicode text") from None
    except RecursionError:
        raise Refused(too_deep()) from None
    return Plain() if node is None else _Composed().value(node)


def too_deep() -> str:
    return f"more than {MAX_DEPTH} lists and mappings lie inside one another"


class _Composed:
    """Makes values of YAML's nodes. What an alias repeats is made anew, so that no two places share it."""

    def __init__(self) -> None:
        self._made = 0

    def value(self, node: Any, above: tuple[int, ...] = ()) -> Any:
        """Return the value of a node. `above`: the nodes that it lies in."""
        line = f"line {node.start_mark.line + 1}: "
        self._made += 1
        if id(node) in above:
            raise Refused(f"{line}a value holds itself by its alias")
        if len(above) > MAX_DEPTH:
            raise Refused(line + too_deep())
        if self._made > MAX_VALUES:
            raise Refused(
                f"{line}there are more than {MAX_VALUES:,} values, those that aliases repeat included"
            )
        if node.tag not in _TAGS:
            raise Refused(f"{line}the tag {node.tag} is not allowed")
        if isinstance(node, yaml.ScalarNode):
            return node.value if node.style else Plain(node.value)
        above = (*above, id(node))
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, above) for item in node.value]
        return self._mapping(node, above)

    def _mapping(self, node: Any, above: tuple[int, ...]) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key, item in node.value:
            line = f"line {key.start_mark.line + 1}: "
            if not isinstance(key, yaml.ScalarNode):
                raise Refused(f"{line}a key must be a word")
            value = self.value(item, above)
            if key.value == "<<" and not key.style:
                for base in value if isinstance(value, list) else [value]:
                    if not isinstance(base, dict):
                        raise Refused(f"{line}<< must name mappings")
                    merged = base | merged
            elif key.value in own:
                raise Refused(f"{line}the key {key.value!r} is there twice")
            else:
                own[key.value] = value
        return merged | own


def resolved(text: str) -> Any:
    """Return what a value without quotes means by YAML 1.2 (core schema). `_` may be between digits."""
    if text in NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text) and len(text) < 1000:
        return int(text.replace("_", ""))
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text.replace("_", ""))
    if _SPECIAL.fullmatch(text):
        return float(text.replace(".", ""))
    return text
