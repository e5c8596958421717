"""`python -m llama_core.train JOB_URL`, alone or under torchrun, trains a job's step to its manifest."""

from llama_core import program

if __name__ == "__main__":
    program.run("llama_core.train")
