"""A section of a recipe: typed fields, each with a role.

A field is *identity* (it changes what comes out, and so the address of a step) or *execution* (it changes
only how the work is done: a run may go on with other values). Unknown keys are errors.

An identity field that has its default is left out of the address, so that a new field leaves the addresses
there are as they were. Therefore another default is another output for the same address: whoever changes one
raises the REVISION of every stage that takes the field.
"""

import json
import re
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

T = TypeVar("T")
Identity = Annotated[T, "identity"]
Execution = Annotated[T, "execution"]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
"""A number that random draws are keyed by."""


@dataclass(frozen=True)
class Default:
    """A value that an identity shows, and that an address leaves out: its field has it by default."""

    value: Any
    """The value, as JSON."""


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
        """Return the identity fields by name, those of the sections inside included, as a `Step` takes them.

        A field that has its default is a `Default`. `in_full` makes a JSON value of it all. Of a section that
        is an execution field, nothing is identity.
        """
        chosen: dict[str, Any] = {}
        for name, info in type(self).model_fields.items():
            value = getattr(self, name)
            if "execution" in info.metadata:
                continue
            if isinstance(value, Section) or "identity" in info.metadata:
                mine = _marked(value)
                plain = in_full(mine)
                is_default = not info.is_required() and plain == in_full(
                    _marked(info.get_default(call_default_factory=True, validated_data=dict(self)))
                )
                chosen[name] = Default(plain) if is_default else mine
        return chosen

    def execution(self) -> dict[str, Any]:
        """Return the execution fields as a JSON value, those of the sections inside included."""
        chosen: dict[str, Any] = {}
        for name, info in type(self).model_fields.items():
            value = getattr(self, name)
            if isinstance(value, Section):
                chosen[name] = value.execution()
            elif "execution" in info.metadata:
                chosen[name] = in_full(_marked(value))
        return chosen


def in_full(identity: Any) -> Any:
    """Return an identity as a JSON value, in which every field is."""
    if isinstance(identity, Default):
        return identity.value
    if isinstance(identity, dict):
        return {k: in_full(v) for k, v in identity.items()}
    return [in_full(v) for v in identity] if isinstance(identity, list) else identity


def in_address(identity: Any) -> Any:
    """Return what of an identity makes an address, as a JSON value: all but the fields that are defaults."""
    if isinstance(identity, dict):
        return {k: in_address(v) for k, v in identity.items() if not isinstance(v, Default)}
    return [in_address(v) for v in identity] if isinstance(identity, list) else identity


def _marked(value: Any) -> Any:
    """Return a field's value as a JSON value, in which a section is its identity."""
    if isinstance(value, Section):
        return value.identity()
    if isinstance(value, dict):
        return {k: _marked(v) for k, v in value.items()}
    return [_marked(v) for v in value] if isinstance(value, list) else json.loads(json.dumps(value))


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
