"""The training of a job's step: from its inputs on the store to its manifest."""

import logging
import time

from llama_core import program
from llama_core.errors import StoreError
from llama_core.file_system import back_off
from llama_core.job import Job
from llama_core.step import new_attempt
from llama_core.tokenizer.model import Tokenizer
from llama_core.tokens.loader import Loader
from llama_core.train import distributed, loop
from llama_core.train.parallel.mesh import Mesh
from llama_core.train.stability.watchdog import Watchdog
from llama_core.train.validation import sample_of

log = logging.getLogger(__name__)
# Seconds for which a start waits for its store, and between two tries. No other process waits for it yet.
PATIENCE, REST, LONGEST_REST = 3600.0, 1.0, 60.0


def main(url: str, sha256: str | None = None) -> int:
    """Train the step of the job at `url`, and return the exit code (see `program`).

    `sha256`: the job's digest.
    """
    try:
        return _train(url, sha256)
    except RuntimeError as error:
        if not distributed.is_left_alone(error):
            raise
        log.exception("another process of the job is gone")
        return program.LEFT_ALONE


def _train(url: str, sha256: str | None) -> int:
    job = _load(url, sha256)
    recipe = job.recipe
    with Watchdog(job.step, distributed.rank_of_this_process(), recipe.run.hang_after) as watchdog:
        world = distributed.join(recipe.launch.device)
        if world.agree(lambda: job.step.finished() is not None):
            return 0
        # What an earlier start of this job still uploads must replace nothing that this one commits.
        job.step.attempt = world.agree(new_attempt)
        tokenizer = Tokenizer.load(job.input("tokenizer"))
        node = Mesh.of(recipe.layout, world).data_ranks_of_node
        tokens = job.input("tokens")
        data = Loader(tokens, recipe.train, recipe.mixture, tokenizer.n_words, node)
        heldout = sample_of(recipe, tokens, tokenizer, world)
        vocab = tokenizer.n_words, tokenizer.bos_id
        done = loop.train(job.step, recipe, data, *vocab, world, watchdog, heldout)
        data.close()
        distributed.close_group()
    return 0 if done else program.STOPPED


def _load(url: str, sha256: str | None) -> Job:
    """Return the job, as soon as its store answers.

    Where a store is away for long, a training ends when it needs the next page of its tokens. Its next starts
    come here, and a launcher makes only a few that come no further. Raises StoreError where the store stays
    away, and at once where only a person can mend it.
    """
    until, failures = time.monotonic() + PATIENCE, 0
    while True:
        try:
            return Job.load(url, sha256)
        except StoreError as error:
            if not error.away or time.monotonic() > until:
                raise
            failures += 1
            rest = back_off(failures, REST, LONGEST_REST)
            log.warning("the store is away (%s): it is asked again in %.0f s", error, rest)
        time.sleep(rest)
