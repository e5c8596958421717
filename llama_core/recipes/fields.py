"""What the types of a recipe's fields say of the values that are given for them."""

import contextlib
import json
from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from llama_core.corpus.recipe import Source
from llama_core.recipes.plain import MAX_DEPTH, NULL, Plain, Refused, parse, resolved, too_deep
from llama_core.section import Section


def read_as(text: str, kind: Any) -> Any:
    """Return the value that a text stands for, in a field of this type. Raises Refused.

    Where the field holds text it is taken as it is, or as what the quotes around it hold.
    """
    kinds = members(kind)
    if kinds and all(_is_text(k) or k is type(None) for k in kinds):
        return _unquoted(text)
    value = parse(text)
    is_text = any(map(_is_text, kinds)) and not isinstance(value, dict | list)
    return Plain(text) if is_text else value


def _unquoted(text: str) -> str:
    if text[:1] in ("'", '"') and text[:1] == text[-1:]:
        with contextlib.suppress(Refused):
            value = parse(text)
            if isinstance(value, str) and not isinstance(value, Plain):
                return value
    return Plain(text)


def members(kind: Any) -> list[Any]:
    """Return the types that a union stands for, without their annotations."""
    if get_origin(kind) is Annotated:
        return members(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return [member for k in get_args(kind) for member in members(k)]
    return [] if kind is None or kind is Any else [kind]


def _is_text(kind: Any) -> bool:
    return kind is str or (get_origin(kind) is Literal and all(isinstance(a, str) for a in get_args(kind)))


def is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Section)


def inside(kind: Any, values: Any, key: str) -> Any:
    """Return the type of a key in a section or mapping of this type, or None. `values`: the section's."""
    kinds = members(kind)
    sections = [k for k in kinds if is_section(k)]
    if len(sections) > 1:
        wanted = values.get("kind") if isinstance(values, dict) else None
        sections = [k for name, k in source_kinds().items() if name == wanted]
    for section in sections:
        for name, field in section.model_fields.items():
            if key == (field.alias or name):
                return field.annotation
    for k in kinds:
        if get_origin(k) is dict:
            return get_args(k)[1]
    return None


def fit(value: Any, kind: Any, depth: int = 0) -> Any:
    """Return a value in which all that was written without quotes has the type that its place asks for.

    What does not fit is left for pydantic to refuse.
    """
    if depth > MAX_DEPTH:
        raise Refused(too_deep())
    if isinstance(value, Mapping):
        return {key: fit(inner, inside(kind, value, key), depth + 1) for key, inner in value.items()}
    kinds = members(kind)
    if isinstance(value, list | tuple):
        item = next((get_args(k)[0] for k in kinds if get_origin(k) is list), None)
        return [fit(inner, item, depth + 1) for inner in value]
    wants_text = any(map(_is_text, kinds))
    if isinstance(value, Plain):
        if value in NULL and (type(None) in kinds or not kinds):
            return None
        return str(value) if wants_text else _counted(resolved(str(value)), kinds)
    if wants_text and isinstance(value, bool | int | float) and type(value) not in kinds:
        return json.dumps(value)  # a parameter of Prefect's, such as the name 2024
    return _counted(value, kinds)


def _counted(value: Any, kinds: list[Any]) -> Any:
    """Return a value; `true` is the word where a number is wanted, since pydantic would take it for 1."""
    is_number = bool not in kinds and (int in kinds or float in kinds)
    return json.dumps(value) if is_number and isinstance(value, bool) else value


def source_kinds() -> dict[str, type[Section]]:
    """Return the section of each kind of source, read from the members of the union `Source`."""
    return {get_args(k.model_fields["kind"].annotation)[0]: k for k in members(Source)}
