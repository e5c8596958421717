"""A job: what a program on another machine needs to work on a step. It travels as one JSON object."""

from dataclasses import dataclass
from typing import Any

from llama_core.recipe import Recipe
from llama_core.step import Artifact, Step
from llama_core.store import Store


@dataclass(frozen=True)
class Job:
    """`inputs` maps a role ("tokens", "tokenizer", ...) to the folder of a finished step."""

    step: Step
    recipe: Recipe
    inputs: dict[str, str]

    def input(self, role: str) -> Artifact:
        return Artifact.load(self.step.root, self.inputs[role])

    def publish(self) -> str:
        """Write the job into its attempt's folder; the URL that `load` takes."""
        name = f"{self.step.attempt}/job.json"
        value: dict[str, Any] = {
            "step": self.step.as_dict(),
            "recipe": self.recipe.model_dump(mode="json", by_alias=True),
            "inputs": self.inputs,
        }
        self.step.folder.publish_json(name, value)
        return self.step.folder.url_of(name)

    @classmethod
    def load(cls, url: str) -> "Job":
        folder, name = url.rsplit("/", 1)
        value = Store(folder).read_json(name)
        step = Step.from_dict(value["step"])
        return cls(step, Recipe.model_validate(value["recipe"]), value["inputs"])
