"""A section of a recipe: typed fields, each with a role.

A field is *identity* (it changes what comes out, and so the address of a step) or *execution* (it changes
only how the work is done: a run may go on with other values). Unknown keys are errors.
"""

import json
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict

T = TypeVar("T")
Identity = Annotated[T, "identity"]
Execution = Annotated[T, "execution"]


class Section(BaseModel):
    """The base of every section. The docstring under a field is the field's description in pydantic."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

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


def plain(value: Any) -> Any:
    """Return a field's value as a JSON value, in which a section is its identity fields."""
    if isinstance(value, Section):
        return value.identity()
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return json.loads(json.dumps(value))
