"""`python -m llama_core.recipes RECIPE [KEY...]` prints a recipe's fields, their values and what they do.

KEY is a field or a section, such as run.keep or train; `train.lr=1e-3` is an override, and shows the field.
The exit code is 0, or 2 for an error that a user can mend.
"""

import json
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from llama_core.errors import Arguments, LlamaError, RecipeError
from llama_core.output import until_unread
from llama_core.recipes.fields import is_section, members
from llama_core.recipes.load import PRESETS, load_recipe
from llama_core.section import Section, in_full
from llama_core.url import redact_logs

FAILED = 2
WIDEST, NARROWEST = 110, 40  # characters of a line


@dataclass(frozen=True)
class Known:
    """A field of a recipe."""

    key: str
    value: str
    """The value, as JSON, or what is said in its place."""
    notes: tuple[str, ...]
    does: str
    unset: str = ""
    """The key of the section that it is in, where the recipe does not have that."""

    def is_asked_for(self, key: str) -> bool:
        """Tell whether it is to be shown for a key, or for a section, or for all of a recipe ("")."""
        return _is_in(self.key, key) and (not self.unset or _is_in(key, self.unset))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the fields, and return the exit code."""
    redact_logs()
    try:
        _print(arguments)
    except LlamaError as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED
    return 0


def _print(arguments: Sequence[str] | None) -> None:
    parser = Arguments(prog="python -m llama_core.recipes", description=__doc__.split("\n")[0])
    parser.add_argument("recipe", help=f"{', '.join(PRESETS)}, or the path or URL of a YAML recipe")
    parser.add_argument("keys", nargs="*", metavar="KEY", help="a field or a section, such as run.keep")
    args = parser.parse_intermixed_args(arguments)
    overrides = dict(key.split("=", 1) for key in args.keys if "=" in key)
    found = list(fields(load_recipe(args.recipe, overrides)))
    for key in (key.partition("=")[0] for key in args.keys or [""]):
        some = [field for field in found if field.is_asked_for(key)]
        if not some:
            near = get_close_matches(key, [field.key for field in found], 1)
            hint = f": did you mean {near[0]}?" if near else ""
            raise RecipeError(f"recipe {args.recipe} has no field and no section {key!r}{hint}")
        print("\n".join(map(told, some)))


def fields(section: Section, above: str = "") -> Iterator[Known]:
    """Yield the fields of a section and of all inside it. `above`: what their keys begin with."""
    for name, info in type(section).model_fields.items():
        key, value = f"{above}{info.alias or name}", getattr(section, name)
        inner = {f"{key}.{n}": v for n, v in value.items()} if isinstance(value, dict) else {key: value}
        if inner and all(isinstance(part, Section) for part in inner.values()):
            for name_of, part in inner.items():
                yield from fields(part, f"{name_of}.")
            continue
        default = not info.is_required() and value == info.get_default(call_default_factory=True)
        yield _known(key, value, info, ("default",) if default else ())
        if value is None:
            for kind in filter(is_section, members(info.annotation)):
                for part_name, part_info in kind.model_fields.items():
                    wanted = part_info.get_default(call_default_factory=True)
                    yield _known(f"{key}.{part_name}", wanted, part_info, ("not set",), key)


def _known(key: str, value: Any, info: Any, notes: tuple[str, ...], unset: str = "") -> Known:
    role = "execution" if "execution" in info.metadata else "identity"
    plain = value.identity() if isinstance(value, Section) else value
    shown = (
        "" if unset and info.is_required() else json.dumps(in_full(plain), ensure_ascii=False, default=str)
    )
    return Known(key, shown, (role, *notes), " ".join((info.description or "").split()), unset)


def _is_in(key: str, section: str) -> bool:
    return not section or key == section or key.startswith(f"{section}.")


def told(field: Known) -> str:
    """Return a field as text: its value and role, and what it does below."""
    width = max(NARROWEST, min(WIDEST, shutil.get_terminal_size().columns))
    does = textwrap.fill(field.does, width, initial_indent="    ", subsequent_indent="    ")
    return f"{field.key}: {field.value}  ({', '.join(field.notes)})\n{does}"


if __name__ == "__main__":
    sys.exit(until_unread(main))
