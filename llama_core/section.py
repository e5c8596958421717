"""A section of a recipe: typed fields, each with a role.

A field is *identity* (it changes what comes out, and so the address of a step) or *execution* (it changes
only how: a run may go on with other values). Unknown keys are errors.
"""

import json
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict

T = TypeVar("T")
Identity = Annotated[T, "identity"]
Execution = Annotated[T, "execution"]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    def identity(self) -> dict[str, Any]:
        """The identity fields as a JSON value, sections below included."""
        return self._having("identity")

    def execution(self) -> dict[str, Any]:
        return self._having("execution")

    def _having(self, role: str) -> dict[str, Any]:
        chosen: dict[str, Any] = {}
        for name, info in type(self).model_fields.items():
            value = getattr(self, name)
            if isinstance(value, Section):
                chosen[name] = value._having(role)
            elif role in info.metadata:
                chosen[name] = plain(value)
        return chosen


def plain(value: Any) -> Any:
    """A field's value as JSON; of sections inside it, the identity."""
    if isinstance(value, Section):
        return value.identity()
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return json.loads(json.dumps(value))
