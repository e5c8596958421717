"""A job: what a program on another machine needs to work on a step. It travels as one JSON object."""

from dataclasses import dataclass
from typing import Any

from llama_core.recipe import Recipe
from llama_core.step import Artifact, Step
from llama_core.store import Store


@dataclass(frozen=True)
class Job:
    """The step's parents, one a role ("tokens", "tokenizer", ...), are what the program works with."""

    step: Step
    recipe: Recipe

    def input(self, role: str) -> Artifact:
        [folder] = self.step.parents[role]
        return Artifact.load(self.step.root, folder)

    def publish(self) -> str:
        """Write the job into its attempt's folder; the URL that `load` takes."""
        name = self.step.place_of("job.json")
        value: dict[str, Any] = {
            "step": self.step.as_dict(),
            "recipe": self.recipe.model_dump(mode="json", by_alias=True),
        }
        self.step.folder.publish_json(name, value)
        return self.step.folder.url_of(name)

    @classmethod
    def load(cls, url: str) -> "Job":
        folder, name = url.rsplit("/", 1)
        value = Store(folder).read_json(name)
        step = Step.from_dict(value["step"])
        return cls(step, Recipe.model_validate(value["recipe"]))
