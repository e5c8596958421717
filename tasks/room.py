"""Room: what a training will write, compared with what is free, before any work is done."""

import shutil
from pathlib import Path

from llama_core.errors import StoreError
from llama_core.recipe import Recipe
from llama_core.store import Store

STATE = 12  # bytes of a checkpoint for each parameter: the parameter and two moments, in float32
GIB = 2**30


def check_room(recipe: Recipe, store: Store) -> None:
    """Check that a store on a disk of this machine can hold the checkpoints and the exported model.

    What earlier trainings on the store take counts as room, because this one may be their continuation. The
    size of the corpus is not known before it is made, and is not counted. Raises StoreError.
    """
    if not store.is_local:
        return
    folder = Path(store.path())
    free = shutil.disk_usage(folder).free
    there = sum(size for stage in ("train", "export") for size in store.sizes(stage).values())
    if room_needed(recipe) > free + there:
        raise StoreError(
            f"no space is left for the training on {store.url}: its checkpoints and the exported model take "
            f"{room_needed(recipe) / GIB:.1f} GiB, and {free / GIB:.1f} GiB are free. Free some, point "
            f"`store` elsewhere, or keep fewer checkpoints (run.keep is {recipe.run.keep}, "
            f"run.keep_every {recipe.run.keep_every}, evaluate.at.every {recipe.evaluate.at.every})"
        )


def room_needed(recipe: Recipe) -> int:
    """Return the bytes of the checkpoints that are on the store at the same time, and of the export.

    These are the `run.keep` older ones, the newest, the one that is being written, and the permanent ones: by
    tokens, and to be evaluated.
    """
    parameters = recipe.model.n_params(recipe.tokenizer.vocab_size)
    exported = parameters * (2 if recipe.train.precision == "bf16" else 4)
    by_tokens = recipe.train.tokens // recipe.run.keep_every if recipe.run.keep_every else 0
    kept = recipe.run.keep + 2 + by_tokens + len(recipe.evaluate.at.steps(recipe.train))
    return kept * STATE * parameters + exported
