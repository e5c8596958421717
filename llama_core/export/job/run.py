"""The export of a job's step: each process writes some of its files, and all of them check it together."""

from llama_core.export import huggingface
from llama_core.export.verify import Told
from llama_core.job import Job
from llama_core.program import tell
from llama_core.train import distributed
from llama_core.train.distributed import World
from llama_core.weights import safetensors_file


def main(url: str, sha256: str | None = None) -> int:
    """Make the export of the job at `url`, and return the exit code (see `program`).

    `sha256`: the job's digest.
    """
    job = Job.load(url, sha256)
    run(job, distributed.join(job.recipe.launch.device), _tell)
    distributed.close_group()
    return 0


def run(job: Job, world: World, told: Told = lambda what, done, total: None) -> None:
    """Make the export, and commit the job's step. A step that is finished already is left as it is.

    The job's inputs are `train` and `tokenizer`; its texts are published beside the model. `told`: as for
    `huggingface.export`. Raises LlamaError.
    """
    step = job.step
    if world.agree(lambda: step.finished() is not None):
        return
    if world.agree(lambda: step.committed(huggingface.SHARD) is None):
        huggingface.export(
            step,
            job.recipe,
            job.input("train"),
            job.input("tokenizer"),
            {name: text.encode() for name, text in job.texts.items()},
            safetensors_file.FILE_BYTES,
            world,
            told,
        )
    world.agree(lambda: _commit(job))


def _commit(job: Job) -> None:
    job.step.commit([huggingface.SHARD])


def _tell(what: str, done: int, total: int) -> None:
    tell("progress", {"done": done, "total": total, "what": what})
