"""A run: a recipe, the store it works on, and the checks before any work begins."""

import importlib.util
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infra.home import home
from infra.launch.capacity import check_capacity
from infra.launch.local import LocalLauncher
from infra.launch.run import get_launcher
from llama_core.errors import RecipeError
from llama_core.recipe import Recipe, load_recipe
from llama_core.store import Store

ENGINES = {"dask": "distributed", "ray": "ray"}  # the module of an engine's extra


@dataclass(frozen=True)
class Run:
    recipe: Recipe
    store: Store


def open_run(
    recipe: str,
    overrides: Mapping[str, Any] | None = None,
    store: str | None = None,
    *,
    trains: bool = True,
) -> Run:
    """Everything that can fail before the first work fails here: recipe, libraries, launcher, store.

    `trains`: false for a flow that ends before training, whose machine need not hold the model.
    Raises RecipeError, InputError, LaunchError, StoreError.
    """
    chosen = load_recipe(recipe, overrides)
    if trains:
        check_capacity(chosen, get_launcher(chosen.launch).capacity, LocalLauncher().capacity)
    check_libraries(chosen)
    url = store or chosen.store or os.environ.get("LLAMA_STORE") or str(home() / "store")
    opened = Store(url)
    opened.check()
    return Run(chosen, opened)


def check_libraries(recipe: Recipe) -> None:
    """Raises RecipeError or InputError where what the recipe needs is not installed: some of it is needed
    hours later."""
    for module, extra, why in _needed(recipe):
        if importlib.util.find_spec(module) is None:
            raise RecipeError(
                f"{why} needs {module}, which is not installed: say EXTRAS={extra} to make, "
                f"or pip install '.[{extra}]'"
            )
    models = [source.clean.perplexity for source in recipe.corpus.sources.values()]
    if any(model and model.trainer == "lmplz" for model in models):
        from llama_core.corpus.clean.language_model import find_lmplz  # late: few runs train a model

        find_lmplz()


def _needed(recipe: Recipe) -> Iterator[tuple[str, str, str]]:
    """Modules, the extras that bring them, and what in the recipe asks for them."""
    for name, source in recipe.corpus.sources.items():
        if source.clean.perplexity:
            yield "kenlm", "perplexity", f"corpus.sources.{name}.clean.perplexity"
    if recipe.run.engine in ENGINES:
        yield ENGINES[recipe.run.engine], recipe.run.engine, f"run.engine {recipe.run.engine}"
