"""`python -m llama_core.export.job JOB_URL`, alone or under torchrun, exports a training's final checkpoint.

It commits the job's step.
"""

from llama_core import program

if __name__ == "__main__":
    program.run("llama_core.export.job")
