"""A Python that has torchtitan: the one that runs, or one of its own made once in the user's cache."""

import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from importlib.metadata import version
from pathlib import Path

TORCHTITAN = "0.3.0"


class NoPeer(Exception):
    """A peer cannot run, and why."""


def torchtitan_python() -> str:
    """Return the path of a Python that has torchtitan, after installing it from the package index if need be.

    It has the same PyTorch as this one. Raises NoPeer.
    """
    if importlib.util.find_spec("torchtitan"):
        return sys.executable
    torch = version("torch")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = cache / "llama-pretrain" / f"torchtitan-{TORCHTITAN}-torch-{torch}"
    python = home / "bin" / "python"
    if not (home / "complete").exists():
        print(f"installing torchtitan {TORCHTITAN} into {home}", file=sys.stderr, flush=True)
        shutil.rmtree(home, ignore_errors=True)
        try:
            venv.create(home, with_pip=True)
            # PyTorch first, by the release alone: what follows then takes no other build of it. Its build for
            # CPUs comes without triton, which torchtitan imports, and the build for CUDA with its own.
            _pip(python, f"torch=={torch.partition('+')[0]}")
            _pip(python, f"torchtitan=={TORCHTITAN}", "torchao", "triton")
        except (OSError, subprocess.SubprocessError) as error:
            said = getattr(error, "stderr", None) or str(error)
            raise NoPeer(f"torchtitan {TORCHTITAN} cannot be installed: {said.strip()[-400:]}") from error
        (home / "complete").touch()
    return str(python)


def _pip(python: Path, *what: str) -> None:
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what],
        check=True, text=True, capture_output=True, timeout=1800,
    )  # fmt: skip
