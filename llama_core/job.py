"""A job: what a program on another machine needs to work on a step. It travels as one JSON object."""

import os
from dataclasses import dataclass
from typing import Any

from llama_core.artifact import Artifact
from llama_core.recipe import Recipe
from llama_core.step import Step
from llama_core.store import Store


@dataclass(frozen=True)
class Job:
    """The step that a program makes, and the recipe that it follows."""

    step: Step
    recipe: Recipe

    def input(self, role: str) -> Artifact:
        """Return the one artifact that the step reads in a role, such as "tokens" or "tokenizer"."""
        [folder] = self.step.parents[role]
        return Artifact.load(self.step.root, folder)

    def publish(self) -> str:
        """Write the job into its attempt's folder, and return the URL that `load` takes."""
        name = self.step.place_of("job.json")
        value: dict[str, Any] = {
            "step": self.step.as_dict(),
            "recipe": self.recipe.model_dump(mode="json", by_alias=True),
        }
        self.step.folder.publish_json(name, value)
        if self.step.folder.is_local:  # nobody else needs it
            os.chmod(self.step.folder.path(name), 0o600)
        return self.step.folder.url_of(name)

    @classmethod
    def load(cls, url: str) -> "Job":
        """Return the job that was published at a URL."""
        folder, name = url.rsplit("/", 1)
        value = Store(folder).read_json(name)
        step = Step.from_dict(value["step"])
        return cls(step, Recipe.model_validate(value["recipe"]))
