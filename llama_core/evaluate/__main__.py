"""`python -m llama_core.evaluate JOB_URL`, alone or under torchrun: score a run's final checkpoint.

Commits the job's step with the results as its facts.
"""

from llama_core import program


def main(url: str) -> int:
    # Imported here: torch takes seconds, and the launcher may die meanwhile.
    from llama_core.evaluate.run import run
    from llama_core.job import Job
    from llama_core.train import distributed

    job = Job.load(url)
    world = distributed.join(job.recipe.launch.device)
    run(job, world)
    distributed.leave()
    return 0


if __name__ == "__main__":
    program.run(main)
