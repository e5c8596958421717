"""`python -m llama_core.evaluate JOB_URL`, alone or under torchrun, scores a training's final checkpoint.

It commits the job's step, with the results as its facts.
"""

from llama_core import program

if __name__ == "__main__":
    program.run("llama_core.evaluate")
