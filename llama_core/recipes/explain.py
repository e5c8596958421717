"""What is wrong with a recipe, as a person would say it."""

import difflib
import re
from typing import Any

from llama_core.recipe import Recipe
from llama_core.recipes.fields import is_section, members, source_kinds
from llama_core.section import Section
from llama_core.url import redact

MOST = 10  # errors that are told
LONGEST = 500  # characters of what one error says


def explain(errors: list[Any]) -> str:
    """Return the errors of pydantic in one line."""
    told = _relevant(errors)
    more = [f"and {len(told) - MOST} more"] if len(told) > MOST else []
    return "; ".join([*map(_explain, told[:MOST]), *more])


def _relevant(errors: list[Any]) -> list[Any]:
    """Return the errors without those of a union's other members: pydantic tries each and tells of all."""
    best: dict[tuple[Any, ...], Any] = {}
    for error in errors:
        loc = error["loc"]
        union = next((n for n, part in enumerate(loc) if _is_label(part)), len(loc))
        known = best.get(loc[:union])
        if known is None or len(loc) > len(known["loc"]):
            best[loc[:union]] = error
    return list(best.values())


def _is_label(part: Any) -> bool:
    """Tell whether a part of a place names a member of a union, which pydantic puts there."""
    return isinstance(part, str) and re.match(r"(str|list|dict|function-after)(\[|$)", part) is not None


def _explain(error: Any) -> str:
    """Return one pydantic error as a person would say it."""
    loc = _without_kind(error["loc"])
    key = _short(".".join(str(part) for part in loc if not _is_label(part)), 200) or "recipe"
    if error["type"] == "extra_forbidden":
        allowed = _allowed(error["loc"][:-1])
        near = difflib.get_close_matches(str(loc[-1]), allowed, 1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        return f"{key} is not a key{hint}; allowed: {', '.join(allowed)}"
    if error["type"] == "missing":
        return f"{key} is missing"
    if error["type"] == "union_tag_not_found":
        kinds = ", ".join(source_kinds())
        return f"{key} is no source yet: correct its name, or add its kind, which is one of {kinds}"
    if error["type"].startswith("union_tag"):
        return f"{key}.kind must be one of {', '.join(source_kinds())}"
    message = error["msg"].removeprefix("Value error, ")
    return f"{key}: {_short(message, LONGEST)}{_given(error)}"


def _given(error: Any) -> str:
    """Return the value that is wrong, unless it is long or may hold a secret."""
    value = error["input"]
    shown = repr(value)
    if isinstance(value, dict | Section) or "storage_options" in error["loc"]:
        return ""
    if "@" in shown or "credentials" in error["msg"] or redact(shown) != shown:
        return ""
    return f" (given: {_short(shown, 200)})"


def _short(text: str, most: int) -> str:
    """Return the beginning and the end of a long text."""
    return text if len(text) <= most else f"{text[: most // 2]} ... {text[-most // 2 :]}"


def _without_kind(loc: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a place in the recipe as people write it: pydantic puts a source's kind after its name."""
    if len(loc) > 3 and loc[:2] == ("corpus", "sources"):
        return loc[:3] + loc[4:]
    return loc


def _allowed(path: tuple[Any, ...]) -> list[str]:
    """Return the keys of the section at a path that pydantic gave."""
    section: Any = Recipe
    if len(path) > 3 and path[:2] == ("corpus", "sources"):
        section, path = source_kinds()[path[3]], path[4:]
    for key in path:
        field = next(f for n, f in section.model_fields.items() if key in (n, f.alias))
        section = next(k for k in members(field.annotation) if is_section(k))
    return [f.alias or n for n, f in section.model_fields.items()]
