"""The training of a job's step: from its inputs on the store to its manifest."""

import logging

from llama_core import program
from llama_core.job import Job
from llama_core.step import new_attempt
from llama_core.tokenizer.model import Tokenizer
from llama_core.tokens.loader import Loader
from llama_core.train import distributed, loop
from llama_core.train.parallel.mesh import Mesh
from llama_core.train.stability.watchdog import Watchdog
from llama_core.train.validation import sample_of

log = logging.getLogger(__name__)


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
    job = Job.load(url, sha256)
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
