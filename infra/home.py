"""The home: the one folder of this machine that outlives a run.

`prefect/` (the server's database), `mlflow/mlflow.db`, `store/` (artifacts, unless the recipe or
LLAMA_STORE says otherwise) and `logs/`.
"""

import os
from pathlib import Path


def home() -> Path:
    """Return the home's path: LLAMA_HOME, else `var/` in the checkout."""
    named = os.environ.get("LLAMA_HOME")
    return Path(named).expanduser().absolute() if named else Path(__file__).parents[1] / "var"


def folder(name: str) -> Path:
    """Return the path of a folder in the home, and make the folder if it is missing."""
    path = home() / name
    path.mkdir(parents=True, exist_ok=True)
    return path
