"""A job: what a program on another machine needs to work on a step. It travels as one JSON object."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from llama_core.artifact import Artifact, digest_of
from llama_core.errors import DamagedError
from llama_core.objects import Name
from llama_core.parse import MOST_BYTES, Text, damaged, json_as, shaped
from llama_core.recipe import Recipe
from llama_core.step import Step
from llama_core.store import Store

NAME = "job.json"
JOB = TypeAdapter(dict[str, dict[str, Any]])
RECIPE = TypeAdapter(Recipe)
TEXTS: TypeAdapter[Mapping[str, str]] = TypeAdapter(dict[Name, Text])


@dataclass(frozen=True)
class Job:
    """The step that a program makes, and the recipe that it follows."""

    step: Step
    recipe: Recipe
    texts: Mapping[str, str] = field(default_factory=dict)
    """What the caller wants to be published beside the output, by name."""

    def input(self, role: str) -> Artifact:
        """Return the one artifact that the step reads in a role, such as "tokens" or "tokenizer".

        Raises DamagedError where the job names none, or several.
        """
        folders = self.step.parents.get(role, [])
        if len(folders) != 1:
            raise DamagedError(
                f"the job of {self.step.folder.url} has {len(folders)} artifacts as its {role}"
            )
        return Artifact.load(self.step.root, folders[0])

    def as_dict(self) -> dict[str, Any]:
        """Return the job as a JSON value."""
        return {
            "step": self.step.as_dict(),
            "recipe": self.recipe.model_dump(mode="json", by_alias=True),
            "texts": dict(self.texts),
        }

    @property
    def sha256(self) -> str:
        """The digest (hex digits) of the job as `publish` writes it."""
        return digest_of(self.as_dict())

    def publish(self) -> str:
        """Write the job into its attempt's folder, and return the URL that `load` takes."""
        name = self.step.place_of(NAME)
        self.step.folder.publish_json(name, self.as_dict())
        if self.step.folder.is_local:  # nobody else needs it
            os.chmod(self.step.folder.path(name), 0o600)
        return self.step.folder.url_of(name)

    @classmethod
    def load(cls, url: str, sha256: str | None = None) -> "Job":
        """Return the job that was published at a URL. `sha256`: its digest, which the launcher hands on.

        Raises DamagedError where it is none, or another than was submitted, which may have waited for days,
        or where it belongs elsewhere: it would write into another store.
        """
        folder, _, name = url.rpartition("/")
        data = Store(folder).read(name, most=MOST_BYTES)
        if sha256 not in (None, hashlib.sha256(data).hexdigest()):
            raise damaged(url, "it is not the job that was submitted. Start the run again")
        value = json_as(JOB, data, url)
        step = Step.from_dict(value.get("step"), f"{url}, step,")
        recipe = shaped(RECIPE, value.get("recipe"), f"{url}, recipe,")
        job = cls(step, recipe, shaped(TEXTS, value.get("texts", {}), f"{url}, texts,"))
        if Store(folder).url != step.folder.at(step.attempt).url:
            raise damaged(url, f"it is the job of {step.folder.url}/{step.attempt}, which lies elsewhere")
        return job
