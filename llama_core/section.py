"""A section of a recipe: typed fields, each with a role.

A field is *identity* (it changes what comes out, and so the address of a step) or *execution* (it changes
only how the work is done: a run may go on with other values). Unknown keys are errors.
"""

import json
import re
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

T = TypeVar("T")
Identity = Annotated[T, "identity"]
Execution = Annotated[T, "execution"]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
"""A number that random draws are keyed by."""


class Section(BaseModel):
    """The base of every section. The docstring under a field is the field's description in pydantic."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,  # it may hold a password
    )

    @model_validator(mode="after")
    def _can_be_written_down(self) -> "Section":
        for name in type(self).model_fields:
            _check(getattr(self, name), name)
        return self

    def identity(self) -> dict[str, Any]:
        """Return the identity fields as a JSON value, those of the sections inside included."""
        return self._having("identity")

    def execution(self) -> dict[str, Any]:
        """Return the execution fields as a JSON value, those of the sections inside included."""
        return self._having("execution")

    def _having(self, role: str) -> dict[str, Any]:
        """Return the fields that have a role, by name."""
        chosen: dict[str, Any] = {}
        for name, info in type(self).model_fields.items():
            value = getattr(self, name)
            if isinstance(value, Section):
                chosen[name] = value._having(role)
            elif role in info.metadata:
                chosen[name] = plain(value)
        return chosen


def _check(value: Any, key: str) -> None:
    """Raise ValueError where JSON, a file's name or an integer of 64 bits could not hold a value."""
    if isinstance(value, dict):
        for name, inner in value.items():
            _check(name, key)
            _check(inner, f"{key}.{name}")
    elif isinstance(value, list):
        for inner in value:
            _check(inner, key)
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError(f"{key}: the number is too large")
    elif isinstance(value, str) and ("\0" in value or re.search("[\ud800-\udfff]", value)):
        raise ValueError(f"{key}: the text is no Unicode, or holds NUL")


def plain(value: Any) -> Any:
    """Return a field's value as a JSON value, in which a section is its identity fields."""
    if isinstance(value, Section):
        return value.identity()
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return json.loads(json.dumps(value))
