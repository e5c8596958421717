"""A run: a recipe, the store it works on, and the checks before any work begins."""

import importlib.util
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infra.home import home
from infra.launch.capacity import Capacity, check_capacity, check_evaluation
from infra.launch.local import LocalLauncher
from infra.launch.run import get_launcher, patiently
from llama_core.corpus.clean import language
from llama_core.corpus.decontaminate import evaluation_sets
from llama_core.errors import InputError, RecipeError, StoreError
from llama_core.evaluate import planned
from llama_core.recipe import Recipe
from llama_core.recipes.load import load_recipe
from llama_core.recipes.running import Launch
from llama_core.store import Store
from llama_core.tokens.given import given
from llama_core.tokens.order import Order
from llama_core.url import redact_logs, without_secrets
from tasks.observe import say
from tasks.room import check_room

ENGINES = {"dask": "distributed", "ray": "ray"}  # the module of an engine's extra


@dataclass(frozen=True)
class Run:
    """A recipe, and the store that its artifacts are on."""

    recipe: Recipe
    store: Store
    refresh: bool = False
    """True if it looks anew at what it has resolved of the outside world (see `corpus.pins`)."""


@without_secrets
def open_run(
    recipe: str,
    overrides: Mapping[str, Any] | None = None,
    store: str | None = None,
    *,
    refresh: bool = False,
    trains: bool = True,
    evaluates: bool = False,
) -> Run:
    """Load the recipe, and check all that can be checked before any work: libraries, launcher and store.

    `recipe`: the name of a preset, or the path or URL of a YAML file. `overrides`: values by dotted key.
    `store`: a URL that replaces the recipe's. `refresh`: see `Run`. `trains`: false for a flow that ends
    before training, whose machine need not hold the model, unless it `evaluates` one that is there. Raises
    RecipeError, InputError, LaunchError and StoreError.
    """
    redact_logs()
    chosen = load_recipe(recipe, overrides)
    if trains:
        check_capacity(chosen, _capacity_for(chosen.launch), LocalLauncher().capacity)
    if trains or evaluates:
        check_evaluation(chosen, _capacity_for(chosen.evaluation_launch), LocalLauncher().capacity)
    check_libraries(chosen)
    check_benchmarks(chosen, trains or evaluates)
    for name, source in chosen.corpus.sources.items():
        if source.clean.language:
            language.check(source.clean.language, f"corpus.sources.{name}.clean.language")
    # Whether a share is too small to be mixed depends on no text.
    Order("", chosen.mixture, chosen.train.seed, dict.fromkeys(chosen.mixture, 1))
    if chosen.tokenizer.compare_with:
        from llama_core.tokenizer.train import check_other  # SentencePiece is slow to import

        check_other(chosen.tokenizer)
    url = chosen.store if store is None else store
    opened = Store(url if url is not None else os.environ.get("LLAMA_STORE") or str(home() / "store"))
    if opened.fs.protocol == "memory":
        raise StoreError(
            f"{opened.url} lies in the memory of one process, and a run has several: name a folder"
        )
    opened.check()
    if trains:
        check_room(chosen, opened)
    given(chosen, opened)
    if chosen.train.start_from or chosen.train.imported or chosen.tokenizer.imported:
        from llama_core.train import start  # torch is slow to import

        start.check_imported(opened, chosen)
        if trains:
            start.check(opened, chosen)
    return Run(chosen, opened, refresh)


def _capacity_for(launch: Launch) -> Callable[[], Capacity]:
    """Return what asks a launcher for its capacity, however long it is away: its job may go on meanwhile."""
    return lambda: patiently(get_launcher(launch).capacity, lambda line: say(f"      {line}"))


def check_benchmarks(recipe: Recipe, evaluates: bool) -> None:
    """Read the benchmarks' files, which training text is compared with, and on which a model is scored.

    Raises InputError where there are none, or one of them holds what cannot be used, and StoreError.
    """
    if recipe.evaluate.data is None:
        return
    if not evaluation_sets.files(recipe.evaluate.data)[0]:
        raise InputError(
            f"evaluate.data: {recipe.evaluate.data} holds no file of a benchmark: name the folder that does "
            "(`make evaldata DIR=...` fills one), or leave it out"
        )
    if evaluates:
        wanted = [*recipe.evaluate.tasks, *(recipe.evaluate.at.tasks or [])]
        planned.check(recipe.evaluate.data, wanted, here=recipe.evaluation_launch.launcher == "local")
    if recipe.corpus.decontaminate:
        evaluation_sets.check(recipe.evaluate.data)


def check_libraries(recipe: Recipe) -> None:
    """Check that what the recipe needs is installed, since some of it is used only after hours.

    Raises RecipeError.
    """
    for module, extra, why in _needed(recipe):
        if importlib.util.find_spec(module) is None:
            raise RecipeError(
                f"{why} needs {module}, which is not installed: say EXTRAS={extra} to make, "
                f"or pip install '.[{extra}]'"
            )


def _needed(recipe: Recipe) -> Iterator[tuple[str, str, str]]:
    """Yield the modules that a recipe needs, the extra that brings each, and the key that asks for it."""
    for name, source in recipe.corpus.sources.items():
        if source.clean.perplexity:
            yield "kenlm", "perplexity", f"corpus.sources.{name}.clean.perplexity"
    if recipe.run.engine in ENGINES:
        yield ENGINES[recipe.run.engine], recipe.run.engine, f"run.engine {recipe.run.engine}"
