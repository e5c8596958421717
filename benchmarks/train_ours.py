"""Our side of `benchmarks.train`: the real `llama_core.train.loop`, in a process of its own.

The loop's loader is one that waits for this process's turn before it returns a batch.
"""

import tempfile
from pathlib import Path

import numpy as np
from torch.profiler import profile

from benchmarks.train_turns import BOS, Setting, Turns, batch
from llama_core.recipe import Recipe
from llama_core.recipes.load import load_recipe
from llama_core.step import Step
from llama_core.store import Store
from llama_core.tokens.loader import Batch
from llama_core.train import REVISION, distributed, loop
from llama_core.train.stability.watchdog import Watchdog

MANY = 100_000  # steps; the benchmark ends the training long before
PROFILED = range(5, 8)  # steps whose operators are written down, counted from 0


def recipe_of(setting: Setting) -> Recipe:
    """Return the recipe of a setting: `7b` with the setting's values."""
    values = {
        "model.dim": setting.dim,
        "model.n_layers": setting.n_layers,
        "model.n_heads": setting.n_heads,
        "model.norm_eps": setting.norm_eps,
        "model.rope_theta": setting.rope_theta,
        "train.seq_len": setting.seq_len,
        "train.global_batch_tokens": setting.tokens,
        "train.tokens": MANY * setting.tokens,
        "train.warmup_steps": 100,
        "train.lr": setting.lr,
        "train.precision": "fp32" if setting.precision == "fp32" else "bf16",
        "train.float8": "tensorwise" if setting.precision == "float8" else "none",
        "train.document_mask": False,
        "layout.micro_batch": setting.micro_batch,
        "layout.compile": setting.compile,
        "layout.activation_checkpointing": "none",
        "launch.device": setting.device,
        "launch.nodes": 1,
        "launch.procs_per_node": 1,
        "run.save_every": MANY,
    }
    return load_recipe("7b", values | setting.differs)


class Batches:
    """The benchmark's batches, as the loop asks a loader for them."""

    fingerprint = "benchmark"
    sources = ["random"]
    fetched_pages = 0

    def __init__(self, setting: Setting, turns: Turns):
        self._setting, self._turns = setting, turns
        self._profiler = profile() if setting.profile else None

    def batch(self, n: int, rank: int, world: int) -> Batch:
        """Wait for this process's turn, and return batch `n`."""
        if self._profiler and n == PROFILED.start:
            self._profiler.start()
        if self._profiler and n == PROFILED.stop:
            self._profiler.stop()
            by = f"self_{self._setting.device}_time_total"
            table = self._profiler.key_averages().table(by, row_limit=40, max_name_column_width=90)
            Path(self._setting.profile).write_text(table)
        self._turns.next_step()
        tokens = batch(self._setting, n).numpy()
        return Batch(tokens, *np.zeros((2, len(tokens)), np.int64))


def main() -> None:
    """Train as the benchmark asks."""
    setting = Setting.from_arguments()
    turns = Turns(setting)
    recipe = recipe_of(setting)
    assert recipe.model.ffn_dim == setting.ffn_dim
    turns.built(recipe.model.n_params(setting.vocab))
    with tempfile.TemporaryDirectory() as folder:
        identity = {"model": recipe.model.identity(), "train": recipe.train.identity()}
        step = Step(Store(folder), "train", REVISION, identity)
        world = distributed.join(setting.device)
        with Watchdog(step, world.rank, recipe.run.hang_after) as watchdog:
            loop.train(step, recipe, Batches(setting, turns), setting.vocab, BOS, world, watchdog)


if __name__ == "__main__":
    main()
