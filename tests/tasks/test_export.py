"""What MLflow finds in an export: an environment, and a model that its commands run."""

import contextlib
import importlib.metadata
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import yaml
from mlflow.models import Model
from mlflow.utils.environment import _PythonEnv
from packaging.requirements import Requirement
from pipeline import Pipeline
from programs import environment

from tasks.export import attempt_of, mlflow_files

MODEL = "models:/llama-micro@candidate"
ASKED = {"inputs": ["def main():", "The"], "params": {"max_new_tokens": 6}}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    for name, data in mlflow_files().items():
        (folder / name).write_bytes(data)
    return folder


def test_every_environment_manager_finds_the_same_packages_as_they_are_here(files: Path) -> None:
    env = Model.load(str(files)).flavors["python_function"]["env"]
    python = _PythonEnv.from_yaml(files / env["virtualenv"])
    assert python.dependencies == ["-r requirements.txt"]
    pinned = (files / "requirements.txt").read_text().split()
    conda = yaml.safe_load((files / env["conda"]).read_text())
    assert conda["dependencies"] == [f"python={python.python}", "pip", {"pip": pinned}]
    found = {r.name: r.specifier for r in map(Requirement, pinned)}
    assert {"mlflow", "torch", "transformers", "safetensors"} <= found.keys()
    for name, specifier in found.items():
        assert importlib.metadata.version(name) in specifier and "+" not in str(specifier)


def test_what_imports_the_model_is_all_that_it_needs(files: Path) -> None:
    """Nothing of what the loader imports comes from a package that only this project asks for."""
    program = """
import sys
before = set(sys.modules)
from llama_core.export.pyfunc_model import LlamaPyfunc
print(*{name.split(".")[0] for name in set(sys.modules) - before})
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"llama_core", "hashlib", "_hashlib", "_blake2"} | set(
        sys.stdlib_module_names
    )


@pytest.mark.slow
def test_mlflows_own_commands_predict_and_serve(micro: Pipeline, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    asked = tmp_path / "asked.json"
    asked.write_text(json.dumps(ASKED))
    env = environment() | {"MLFLOW_TRACKING_URI": f"sqlite:///{micro.home}/mlflow/mlflow.db"}
    env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"  # `serve` starts uvicorn by its name
    env |= {"MLFLOW_DISABLE_TELEMETRY": "true", "HF_HUB_OFFLINE": "1"}
    mlflow = [sys.executable, "-m", "mlflow", "models"]
    local = ["-m", MODEL, "--env-manager", "local"]
    with (tmp_path / "serve.log").open("w") as log:
        serve = [*mlflow, "serve", *local, "--port", str(port), "--workers", "1"]
        server = subprocess.Popen(serve, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        predict = [*mlflow, "predict", *local, "-i", str(asked), "-t", "json"]
        done = subprocess.run(predict, env=env, capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, done.stderr
        predictions = json.loads(done.stdout.splitlines()[-1])["predictions"]
        assert len(predictions) == 2 and all(predictions)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                reply = httpx.post(f"http://127.0.0.1:{port}/invocations", json=ASKED, timeout=60)
                break
            except httpx.TransportError:
                assert server.poll() is None, (tmp_path / "serve.log").read_text()
                time.sleep(0.2)
        assert reply.json() == {"predictions": predictions}
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        server.wait(60)
    folder = micro.artifact("export")
    names = {o.name.removeprefix(f"{attempt_of(folder)}/") for o in folder.objects()}
    assert {"conda.yaml", "python_env.yaml", "requirements.txt", "SHA256SUMS"} <= names
