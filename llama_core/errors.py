"""Errors that a user can mend, one class for each concern. The message says what, where and what to do."""

import argparse
from typing import NoReturn

from llama_core.url import redact


class LlamaError(Exception):
    """The base of every error that a user can mend. It is shown as one message, without a traceback.

    Secrets are taken out of the message when the error is made, so that it can be shown anywhere.
    """

    def __init__(self, *args: object):
        super().__init__(*(redact(arg) if isinstance(arg, str) else arg for arg in args))


class RecipeError(LlamaError, ValueError):
    """A recipe asks for what is not possible: the message names the key and the allowed values."""


class StoreError(LlamaError):
    """The store cannot be reached, denies access, or is full."""

    away = False
    """True where it may answer again by itself: nothing says that a person has to mend it."""


class DamagedError(StoreError):
    """Bytes on the store differ from what their manifest says."""


class InputError(LlamaError):
    """Input text is missing or unreadable as a whole (a damaged record is quarantined instead)."""


class ReplicaError(LlamaError):
    """Replicas of the parameters of a training are not equal: a fault of a processor or its memory."""


class DivergedError(LlamaError):
    """Training went out of bounds, and would again."""


class LaunchError(LlamaError):
    """A launcher has no room for the job, or the job failed, or a person has `cancelled` it."""

    cancelled = False


class AwayError(LaunchError):
    """A launcher does not answer. Jobs of it may go on meanwhile."""


class ServiceError(LlamaError):
    """A service cannot be reached: Prefect or MLflow before the launch, or the one that rates texts."""


class Arguments(argparse.ArgumentParser):
    """A parser of a command's arguments whose errors are InputErrors, of one line as all others are."""

    def error(self, message: str) -> NoReturn:
        """Raise InputError."""
        raise InputError(f"{message} (see --help)")
