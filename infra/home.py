"""The home: the one folder of this machine that outlives a run. Nobody else may read it.

`prefect/` (the server's database), `mlflow/mlflow.db`, `store/` (artifacts, unless the recipe or
LLAMA_STORE says otherwise), `logs/`, and `login` where the home's servers ask for one.
"""

import contextlib
import os
import stat
from pathlib import Path

PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600  # modes


def home() -> Path:
    """Return the home's path: LLAMA_HOME, else `var/` in the checkout."""
    named = os.environ.get("LLAMA_HOME")
    return Path(named).expanduser().absolute() if named else Path(__file__).parents[1] / "var"


def folder(name: str) -> Path:
    """Return the path of a folder in the home, and make the folder if it is missing.

    A home that others may enter is closed to them.
    """
    home().parent.mkdir(parents=True, exist_ok=True)
    path = home() / name
    for place in (home(), path):
        place.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
    mode = home().stat().st_mode
    if mode & 0o077 and not mode & stat.S_ISVTX:  # a folder such as /tmp is everybody's
        with contextlib.suppress(PermissionError):  # another's, who decides
            home().chmod(PRIVATE_FOLDER)
    return path


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
