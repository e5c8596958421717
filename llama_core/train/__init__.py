"""Pretraining: `python -m llama_core.train JOB_URL`, alone or under torchrun."""

REVISION = 5
