"""Our own models, as the tables and the figures need them: read from finished evaluate steps."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from pydantic import BaseModel, TypeAdapter

from llama_core.artifact import Artifact
from llama_core.errors import InputError
from llama_core.parse import Count, Positive, Text, shaped
from llama_core.store import Store
from llama_core.train.metrics.energy import Use, use
from llama_core.train.metrics.record import SHARD, records

POINTS = 1000  # of a curve


class Finding(BaseModel, extra="ignore"):
    """What an evaluate step tells of one benchmark."""

    status: Text
    reason: Text = ""
    metric: Text = ""
    score: float | None = None
    n: int = 0
    figures: dict[Text, float] = {}
    cut: int = 0
    """The number of prompts that the model could not take whole."""
    not_scored: Text | None = None
    """Why there is no score."""

    @property
    def done(self) -> bool:
        """True if the benchmark was run."""
        return self.status == "done"


Findings = Mapping[str, Finding]


class _Evaluated(BaseModel, extra="ignore"):
    """What is needed of the facts of an evaluate step."""

    tasks: dict[Text, Finding]
    tokens: Count = 0


class _Trained(BaseModel, extra="ignore"):
    """What is needed of the facts of a train step."""

    parameters: Count = 0
    tokens: Count = 0


class _Launched(BaseModel, extra="ignore"):
    """What is needed of where a step was made."""

    device: Text = "cpu"
    device_watts: Positive | None = None


class _Made(BaseModel, extra="ignore"):
    """What is needed of how a step was made."""

    name: Text = ""
    launch: _Launched = _Launched()


_EVALUATED, _TRAINED, _MADE = TypeAdapter(_Evaluated), TypeAdapter(_Trained), TypeAdapter(_Made)


@dataclass(frozen=True)
class Ours:
    """A model of ours."""

    name: str
    size: str = ""
    """The number of its parameters, as the paper writes it."""
    results: tuple[tuple[int, Findings], ...] = ()
    """What was found after so many tokens of training, from the first to the last."""
    losses: tuple[tuple[int, float], ...] = ()
    """The training loss after so many tokens."""
    use: Use = field(default_factory=Use)
    """What the training took from its devices."""
    device: str = ""
    """`cpu` or `cuda`."""
    watts: float | None = None
    """The power of a device, as a recipe states it."""

    @property
    def final(self) -> Findings:
        """What was found after the last token."""
        return self.results[-1][1] if self.results else {}


def ours(name: str, evaluation: Artifact, trained: Artifact | None, watts: float | None = None) -> Ours:
    """Return a model by its evaluation and its training, or None where that is not finished, or not there.

    `watts`: the power of a device; None: what the recipe of the training, or of the evaluation, states.
    """
    found = shaped(_EVALUATED, evaluation.facts, f"{evaluation.url}, facts,")
    told = shaped(_TRAINED, trained.facts, f"{trained.url}, facts,") if trained else _Trained()
    stated = [_made(artifact).launch for artifact in (trained, evaluation) if artifact]
    tokens = found.tokens or told.tokens
    model = Ours(
        name,
        _size(told.parameters),
        ((tokens, found.tasks),),
        device=stated[0].device,
        watts=next((x for x in (watts, *(launch.device_watts for launch in stated)) if x is not None), None),
    )
    if trained is None or not trained.has(SHARD):
        return model
    losses: list[tuple[int, float]] = []

    def seen() -> Iterator[dict[str, Any]]:
        for record in records(trained):
            if record["loss"] is not None:  # the other steps made no update
                losses.append((record["tokens"], record["loss"]))
            yield record

    spent = use(seen())
    return replace(model, losses=_thinned(losses), use=spent)


def _made(artifact: Artifact) -> _Made:
    return shaped(_MADE, artifact.manifest.get("execution", {}), f"{artifact.url}, execution,")


def read(arguments: Iterable[str]) -> list[Ours]:
    """Return the models of evaluate steps, each given by its folder, or as NAME=FOLDER.

    Several evaluations of one training, or under one name, are the same model after different numbers of
    tokens. Raises InputError and StoreError.
    """
    found: dict[tuple[str, str], list[Ours]] = {}
    for argument in arguments:
        name, folder = _parts(argument)
        evaluation = _open(folder)
        root = Store(evaluation.url.removesuffix(f"/{evaluation.name}"))
        training = next(iter(evaluation.parents.get("train", [])), "")
        try:
            trained = Artifact.load(root, training) if training else None
        except FileNotFoundError:  # it goes on, or the evaluation was copied without it
            trained = None
        name_of_recipe = _made(evaluation).name or evaluation.id[:16]
        model = ours(name or name_of_recipe, evaluation, trained)
        key = (model.name, "" if name else root.url_of(training or evaluation.name))
        found.setdefault(key, []).append(model)
    return _told_apart([merged(models) for models in found.values()])


def _parts(argument: str) -> tuple[str, str]:
    """Return the name in NAME=FOLDER, or an empty one, and the folder. A URL's query may have an `=`."""
    name, equals, folder = argument.partition("=")
    is_name = equals and "/" not in name and ":" not in name
    return (name.strip(), folder) if is_name else ("", argument)


def _open(folder: str) -> Artifact:
    store = Store(folder.rstrip("/"))
    try:
        found = Artifact.open(store)
    except FileNotFoundError:
        raise InputError(
            f"{store.url} holds no finished step: name the folder of an evaluation, evaluate/ID"
        ) from None
    if found.stage != "evaluate":
        raise InputError(f"{store.url} is a step of {found.stage}: name the folder of an evaluation")
    return found


def merged(models: list[Ours]) -> Ours:
    """Return one model of its evaluations, which may be of different benchmarks after as many tokens."""
    points = sorted((point for model in models for point in model.results), key=lambda point: point[0])
    results: list[tuple[int, Findings]] = []
    for tokens, some in groupby(points, key=lambda point: point[0]):
        all_of_it: dict[str, Finding] = {}
        for _, found in some:
            all_of_it |= {k: r for k, r in found.items() if r.done or k not in all_of_it}
        results.append((tokens, all_of_it))
    whole = max(models, key=lambda model: len(model.losses))
    return replace(whole, results=tuple(results))


def _told_apart(models: list[Ours]) -> list[Ours]:
    """Return the models with a number behind each name that an earlier one has."""
    seen: dict[str, int] = {}
    found = []
    for model in models:
        seen[model.name] = seen.get(model.name, 0) + 1
        number = f" ({seen[model.name]})" if seen[model.name] > 1 else ""
        found.append(replace(model, name=f"{model.name}{number}"))
    return found


def _thinned(points: list[tuple[int, float]]) -> tuple[tuple[int, float], ...]:
    """Return at most POINTS of the points, the first and the last among them."""
    if len(points) <= POINTS:
        return tuple(points)
    return tuple(points[i * (len(points) - 1) // (POINTS - 1)] for i in range(POINTS))


def _size(parameters: int) -> str:
    for unit, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if parameters >= unit:
            return f"{parameters / unit:.3g}{letter}"
    return ""
