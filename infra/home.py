"""The home: the one folder of this machine that outlives a run. Nobody else may read it.

`prefect/` (the server's database), `mlflow/mlflow.db`, `store/` (artifacts, unless the recipe or
LLAMA_STORE says otherwise), `logs/`, and `login` where the home's servers ask for one.
"""

import contextlib
import errno
import os
import shutil
import stat
import tempfile
from pathlib import Path

from llama_core.errors import ServiceError

PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600  # modes
ROOM = 64 << 20  # bytes that the databases and logs of a run need


def home() -> Path:
    """Return the home's path: LLAMA_HOME, else `var/` in the checkout."""
    named = os.environ.get("LLAMA_HOME")
    return Path(named).expanduser().absolute() if named else Path(__file__).parents[1] / "var"


def folder(name: str) -> Path:
    """Return the path of a folder in the home, and make the folder if it is missing.

    A home that others may enter is closed to them. Raises ServiceError.
    """
    path = home() / name
    try:
        home().parent.mkdir(parents=True, exist_ok=True)
        for place in (home(), path):
            place.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
    except OSError as error:
        raise unusable(error) from error
    mode = home().stat().st_mode
    if mode & 0o077 and not mode & stat.S_ISVTX:  # a folder such as /tmp is everybody's
        with contextlib.suppress(OSError):  # another's, who decides, or on a read-only disk
            home().chmod(PRIVATE_FOLDER)
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


def private(path: str, flags: int) -> int:
    """Open a file for `open(..., opener=private)`, and let nobody else read it."""
    file = os.open(path, flags, PRIVATE_FILE)
    with contextlib.suppress(PermissionError):
        os.fchmod(file, PRIVATE_FILE)
    return file


def write_private(path: Path, text: str) -> None:
    """Put a text where only this user may read it, whole or not at all."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with open(draft, "w", opener=private) as file:
        file.write(text)
    draft.replace(path)


def sqlite_uri(path: Path, driver: str = "sqlite") -> str:
    """Return the URL of a SQLite file as SQLAlchemy, and so MLflow and Prefect, read it.

    Only what they would take for something else is quoted.
    """
    quoted = str(path).replace("%", "%25").replace("?", "%3F")
    if driver == "sqlite" and quoted != str(path):
        driver = "sqlite+pysqlite"  # the same; but for `sqlite` MLflow makes the quoted folder too
    return f"{driver}:///{quoted}"
