"""The home: the one folder of this machine that outlives a run.

`prefect/` (the server's database), `mlflow/mlflow.db`, `store/` (artifacts, unless the recipe or
LLAMA_STORE says otherwise) and `logs/`.
"""

import errno
import os
import shutil
import tempfile
from pathlib import Path

from llama_core.errors import ServiceError

ROOM = 64 << 20  # bytes that the databases and logs of a run need


def home() -> Path:
    """Return the home's path: LLAMA_HOME, else `var/` in the checkout."""
    named = os.environ.get("LLAMA_HOME")
    return Path(named).expanduser().absolute() if named else Path(__file__).parents[1] / "var"


def folder(name: str) -> Path:
    """Return the path of a folder in the home, and make the folder if it is missing. Raises ServiceError."""
    path = home() / name
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unusable(error) from error
    return path


def logs_folder() -> Path:
    """Return the folder for logs: LLAMA_LOGS, else one in the home. It is made if it is missing.

    Jobs on several nodes write there, so all of them must share it. Raises ServiceError.
    """
    chosen = os.environ.get("LLAMA_LOGS")
    if not chosen:
        return folder("logs")
    path = Path(chosen).expanduser().absolute()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ServiceError(f"LLAMA_LOGS={chosen} cannot be a folder for logs: {error.strerror}") from error
    return path


def logs_here() -> Path:
    """Return the folder for what this machine alone logs: `logs_folder`, or a temporary one.

    The temporary one is taken where the other cannot be written: a log is no reason to end a run.
    """
    try:
        logs = logs_folder()
        with tempfile.TemporaryFile(dir=logs, buffering=0) as probe:
            probe.write(b"0" * 4096)
    except (OSError, ServiceError):
        return Path(tempfile.gettempdir())
    return logs


def check_home() -> None:
    """Check that services can keep their databases in the home. Raises ServiceError."""
    try:
        with tempfile.TemporaryFile(dir=folder("logs")):
            free = shutil.disk_usage(home()).free
    except OSError as error:
        raise unusable(error) from error
    if free < ROOM:
        raise unusable(OSError(errno.ENOSPC, "full"))


def unusable(error: OSError) -> ServiceError:
    """Return the error to raise where the home's files cannot be made or written."""
    why = "it is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror
    return ServiceError(f"the home {home()} cannot be used, {why}: set LLAMA_HOME to a folder with room")
