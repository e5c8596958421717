"""The fixture `training`: see `trainings.py`."""

from trainings import tokens, training

__all__ = ["tokens", "training"]
