"""Odd characters in every name that a person chooses: a whole run from its own checkout, to the registry."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pipeline import ROOT, Pipeline

from infra.home import sqlite_uri

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# What a shell, a URL, SQL, a glob, a format string or a regular expression would take for its own.
ODD = "a b%2Fc%20 #1 'x' \"y\" &;$(touch z)`touch z` [d]*{e} <f> |g^ ~!@=+,é漢"
MODEL = "it's 100% é & [co] %20 (1)"
SECRET = "Geh/eim:%41@#?&'\"$x"
LOADS = "import mlflow, sys; print(mlflow.pyfunc.load_model(sys.argv[1]).predict(['def main():']))"


def test_a_whole_run_and_the_registry_bear_odd_characters(tmp_path: Path) -> None:
    place = tmp_path / ODD
    checkout = place / "checkout"
    for name in ("flows", "tasks", "llama_core", "infra"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    (checkout / ".venv").symlink_to(sys.prefix)
    secrets = {"MLFLOW_TRACKING_PASSWORD": SECRET, "AWS_SECRET_ACCESS_KEY": SECRET}
    env = {"PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1"} | secrets
    pipeline = Pipeline(place / "home", f"{place}/store?", env, checkout=checkout)
    try:
        output = pipeline.ok(f"register.model_name={MODEL}", timeout=400)
        assert f"models:/{MODEL}@candidate, version 1" in output
        [talk] = re.findall(r"^ +talk to it +(.*)$", output, re.MULTILINE)
        # MLflow itself cannot run from an environment whose path has a % in it.
        talk = talk.replace(".venv/bin/python", shlex.quote(sys.executable), 1)
        loads = [sys.executable, "-c", LOADS, f"models:/{MODEL}@candidate"]
        tracking = sqlite_uri(pipeline.home / "mlflow" / "mlflow.db")
        env = pipeline.environment(MLFLOW_TRACKING_URI=tracking, HF_HUB_OFFLINE="1")
        for command in (["bash", "-c", f"{talk} --prompt 'def main():' --max-new-tokens 4"], loads):
            done = subprocess.run(command, cwd=checkout, env=env, capture_output=True, text=True)
            assert done.returncode == 0 and done.stdout.strip(), done.stderr
        written = [file.read_bytes() for file in place.rglob("*") if file.is_file()]
        assert len(written) > 100
        assert not any(SECRET.encode() in data for data in [*written, output.encode()])
        assert sorted(p.name for p in place.iterdir()) == ["checkout", "home", "store?"], "nothing elsewhere"
        assert not list(tmp_path.rglob("z")), "no shell has read a name"
    finally:
        pipeline.kill()
