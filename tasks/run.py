"""A run: a recipe, the store it works on, and the checks before any work begins."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.home import home
from infra.launch.capacity import check_capacity
from infra.launch.launcher import get_launcher
from llama_core.recipe import Recipe, load_recipe
from llama_core.store import Store


@dataclass(frozen=True)
class Run:
    recipe: Recipe
    store: Store


def open_run(recipe: str, overrides: Mapping[str, Any] | None = None, store: str | None = None) -> Run:
    """Everything that can fail before the first work fails here: recipe, launcher, store.

    Raises RecipeError, LaunchError, StoreError.
    """
    chosen = load_recipe(recipe, overrides)
    check_capacity(chosen, get_launcher(chosen.launch).capacity())
    url = store or chosen.store or os.environ.get("LLAMA_STORE") or str(home() / "store")
    opened = Store(url)
    opened.check()
    return Run(chosen, opened)
