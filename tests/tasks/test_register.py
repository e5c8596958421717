"""The registry: what it would refuse, what is checked before, and runs that register at the same moment."""

import hashlib
import importlib.metadata
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient
from pipeline import ROOT
from registered import Model, rewrite

from infra.checked_models import CheckedModels
from infra.health import answers
from llama_core.artifact import Artifact
from llama_core.errors import DamagedError, InputError, ServiceError
from llama_core.recipes.load import load_recipe
from llama_core.store import Store
from tasks import register as module
from tasks.export import attempt_of, mlflow_files
from tasks.register import _point, _version, check_registry
from tasks.registry.names import VERSION_TAG, source_of
from tasks.run import Run


def test_a_model_on_a_store_with_an_odd_path_is_registered_once_and_loads(
    model: Model, tmp_path: Path
) -> None:
    check_registry(model.run)
    made = model.register()
    assert model.register() == made
    assert Path(mlflow.artifacts.download_artifacts("models:/llama-micro@candidate")) == model.folder
    loaded = mlflow.pyfunc.load_model("models:/llama-micro@candidate")
    params = {"max_new_tokens": 4}
    assert len(loaded.predict(["def main():"], params)) == 1
    with pytest.raises(ValueError, match="top_p"):
        loaded.predict(["def main():"], params | {"top_p": 0.0})
    assert sorted(p.name for p in (model.folder / "code").iterdir()) == ["__pycache__", "llama_pyfunc.py"]
    assert (model.folder / "code" / "__pycache__").is_file(), "no bytecode that nobody has checked"


def test_an_export_that_was_changed_at_equal_size_is_not_registered(model: Model) -> None:
    for name in ("code/llama_pyfunc.py", "model.safetensors", "tokenizer.json", "MLmodel"):
        model.change(name)
        with pytest.raises(DamagedError, match=re.escape(name)):
            model.register()
        model.change(name)  # back again
    assert MlflowClient().search_registered_models() == []


def test_an_export_that_was_changed_after_it_was_registered_is_found(model: Model) -> None:
    model.register()
    model.change("model.safetensors")
    with pytest.raises(DamagedError, match="model.safetensors"):
        model.register()
    with pytest.raises(ValueError, match="model.safetensors is damaged"):
        mlflow.pyfunc.load_model(model.folder.as_uri())


EVIL = {
    "code/llama_pyfunc.py": b"print('a stranger')\n",
    "code/torch.py": b"print('a stranger')\n",
    "MLmodel": b"flavors: {python_function: {loader_module: os, code: code, data: .}}\n",
}


@pytest.mark.parametrize("name", EVIL)
def test_code_of_a_stranger_is_not_registered_though_its_manifest_fits(model: Model, name: str) -> None:
    rewrite(model, name, EVIL[name])
    assert module.check_bytes(model.exported) is None
    with pytest.raises(DamagedError, match=f"{re.escape(name)} is not what this project exports"):
        model.register()
    assert MlflowClient().search_registered_models() == []


def test_an_export_that_was_rewritten_after_it_was_registered_is_found(model: Model) -> None:
    model.register()
    rewrite(model, "generation_config.json", b'{"eos_token_id": 3}')
    with pytest.raises(DamagedError, match="other files than version 1 of llama-micro was registered with"):
        model.register()


def test_large_weights_are_read_again_only_if_the_alias_moves(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SMALL", 20_000)
    made = model.register()
    model.change("model.safetensors")
    assert model.register() == made
    MlflowClient().delete_registered_model_alias("llama-micro", "candidate")
    with pytest.raises(DamagedError, match="model.safetensors"):
        model.register()
    model.change("model.safetensors")
    model.change("config.json")
    with pytest.raises(DamagedError, match="config.json"):
        model.register()


ADDED = {"code/torch.py": b"raise SystemExit('a stranger')", "adapter_config.json": b"{}"}


def test_mlflow_is_given_nothing_that_was_not_registered(model: Model) -> None:
    model.register()
    repository = CheckedModels("models:/llama-micro/1")
    assert Path(repository.download_artifacts("")) == model.folder
    for name in ("code/llama_pyfunc.py", "MLmodel", "SHA256SUMS", *ADDED):
        path = model.folder / name
        if name in ADDED:
            path.write_bytes(ADDED[name])
        else:
            model.change(name)
        with pytest.raises(DamagedError, match=f"is not what was registered: .*{re.escape(name)}"):
            repository.download_artifacts("")
        if name in ADDED:
            path.unlink()
        else:
            model.change(name)
    link = model.folder / "code/torch"  # Python imports what it leads to
    link.symlink_to(model.folder.parent, target_is_directory=True)
    with pytest.raises(DamagedError, match="code/torch is no file of this export"):
        repository.download_artifacts("")
    link.unlink()
    assert Path(repository.download_artifacts("")) == model.folder


def test_mlflow_is_given_a_path_that_it_reads_as_it_is(model: Model, tmp_path: Path) -> None:
    store = Store(str(tmp_path / "a%20b%2Fc"))
    shutil.copytree(model.run.store.path(), store.path())
    model.run = Run(model.run.recipe, store)
    model.exported = Artifact.load(store, model.exported.name)
    check_registry(model.run)
    model.register()
    path = CheckedModels("models:/llama-micro@candidate").download_artifacts("")
    assert mlflow.models.Model.load(path).flavors["python_function"]["code"] == "code"
    assert Path(path).samefile(model.folder)


@pytest.mark.slow
def test_mlflow_runs_no_code_of_a_stranger_where_this_project_is_installed(
    model: Model, tmp_path: Path
) -> None:
    model.register()
    code, sums = model.folder / "code/llama_pyfunc.py", model.folder / "SHA256SUMS"
    original = code.read_text()
    code.write_text(
        original.replace("def _load_pyfunc(path):", "def _load_pyfunc(path):\n    print('a stranger')")
    )
    digest = hashlib.sha256(code.read_bytes()).hexdigest()
    sums.write_text(re.sub(r"\w+(?=  code/llama_pyfunc.py)", digest, sums.read_text()))
    alone, installed = _load(tmp_path / "alone", {}), _load(tmp_path / "site", _entry_points())
    assert alone.returncode == 0 and "a stranger" in alone.stdout, "MLflow alone trusts the store"
    assert "a stranger" not in installed.stdout
    assert "DamagedError" in installed.stderr and "is not what was registered" in installed.stderr


def _entry_points() -> dict[str, dict[str, str]]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]


def _load(site: Path, points: dict[str, dict[str, str]]) -> subprocess.CompletedProcess[str]:
    """Load the model in a fresh Python that sees this project as installed, with these entry points."""
    info = site / "llama_pretrain-0.1.0.dist-info"  # it hides one that is really installed
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: llama-pretrain\nVersion: 0.1.0\n")
    lines = [
        f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in names.items()) for group, names in points.items()
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))
    env = os.environ | {"PYTHONPATH": f"{site}:{ROOT}", "HF_HUB_OFFLINE": "1"}
    program = "import mlflow; mlflow.pyfunc.load_model('models:/llama-micro@candidate')"
    return subprocess.run([sys.executable, "-c", program], cwd=site, env=env, capture_output=True, text=True)


def test_a_version_that_mlflow_cannot_load_is_deleted_and_the_alias_stays(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = MlflowClient()
    api.create_registered_model("llama-micro")
    api.create_model_version("llama-micro", "s3://elsewhere/model")
    api.set_registered_model_alias("llama-micro", "candidate", "1")
    monkeypatch.setattr(module, "source_of", lambda folder: folder.url)  # without quotes
    with pytest.raises(ServiceError, match="deleted again"):
        model.register()
    assert [v.version for v in api.search_model_versions("name = 'llama-micro'")] == [1]
    assert int(api.get_model_version_by_alias("llama-micro", "candidate").version) == 1


def test_the_check_leaves_nothing_behind(model: Model) -> None:
    before = set(model.run.store.list())
    check_registry(model.run)
    api = MlflowClient()
    assert api.search_registered_models() == []
    assert set(model.run.store.list()) == before
    api.create_registered_model("llama-micro")
    check_registry(model.run)
    [left] = api.search_registered_models()
    assert left.tags == {} and left.latest_versions == []


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("/a b/c%20d#e?f", "file:///a%20b/c%2520d%23e%3Ff"),
        ("s3://bucket/a b%20c;d'é", "s3://bucket/a b%20c;d'é"),
    ],
)
def test_a_url_is_quoted_as_mlflow_reads_it(url: str, path: str) -> None:
    assert source_of(Store(url)) == path


@pytest.mark.parametrize("key", ["a#b", "a?b"])
def test_a_key_that_mlflow_cannot_read_is_refused(key: str) -> None:
    with pytest.raises(ServiceError, match="cannot load a model from s3://bucket"):
        source_of(Store(f"s3://bucket/{key}"))


BAD_REGISTRIES = {
    "sqlite:///file:{folder}/mlflow.db?mode=ro&uri=true": "can only be read",
    "http://someone:secret@127.0.0.1:9": "names a server that runs",
    "file:{folder}/mlruns": "to a database",
    "{folder}/mlruns": "to a database",
    "mlflow-artifacts://somewhere": "to a database",
    "postgresql+nothing://someone:secret@127.0.0.1:9/x": "MLFLOW_REGISTRY_URI|install",
    "sqlite:////proc/nowhere/mlflow.db": "MLFLOW_REGISTRY_URI",
    "sqlite:///{folder}": "MLFLOW_REGISTRY_URI",  # MLflow itself would try for 100 seconds
    "sqlite:////proc/mlflow.db": "MLFLOW_REGISTRY_URI",
    "databricks": "MLFLOW_REGISTRY_URI",
}
REGISTRIES = [
    pytest.param(uri, marks=pytest.mark.slow if uri == "databricks" else ()) for uri in BAD_REGISTRIES
]


@pytest.mark.parametrize("uri", REGISTRIES)
def test_an_mlflow_that_keeps_nothing_is_one_error_at_the_start(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", database)
    for variable in ("MLFLOW_REGISTRY_URI", "MLFLOW_TRACKING_URI"):
        monkeypatch.setenv(variable, uri.format(folder=tmp_path))
        says = BAD_REGISTRIES[uri].replace("MLFLOW_REGISTRY_URI", variable)
        with pytest.raises(ServiceError, match=says) as error:
            check_registry(Run(load_recipe("micro"), Store(str(tmp_path / "store"))))
        assert "secret" not in str(error.value)


def test_a_model_on_s3_at_an_odd_key_is_registered_and_checked(
    model: Model, bucket: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.run = Run(model.run.recipe, bucket)
    model.exported = Artifact.load(bucket, model.exported.name)
    check_registry(model.run)
    assert model.register().source == bucket.at(model.exported.name).url_of(attempt_of(model.exported))
    files = CheckedModels("models:/llama-micro@candidate")
    copy = tmp_path / "copy"
    copy.mkdir()
    files.download_artifacts("", str(copy))
    assert sorted(p.name for p in (copy / "code").iterdir()) == ["__pycache__", "llama_pyfunc.py"]
    name = f"{attempt_of(model.exported)}/code/llama_pyfunc.py"
    model.exported.store.publish_bytes(name, b"#" + model.exported.store.read(name)[1:])
    with pytest.raises(DamagedError, match=r"llama_pyfunc.py is damaged"):
        files.download_artifacts("", str(copy))
    with pytest.raises(DamagedError, match="llama_pyfunc.py"):
        model.register()
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(ServiceError, match="cannot load models from s3://bucket"):
        check_registry(model.run)


@pytest.fixture
def server(database: str, tmp_path: Path) -> Iterator[str]:
    """A real server of MLflow's on a database, on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        "-m",
        "mlflow",
        "server",
        "--backend-store-uri",
        database,
        "--workers",
        "1",
        "--port",
        str(port),
    ]
    env = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (tmp_path / "server.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, *command], env=env, stdout=log, stderr=log, start_new_session=True
        )
    while not answers(f"http://127.0.0.1:{port}"):
        assert process.poll() is None, (tmp_path / "server.log").read_text()
        time.sleep(0.1)
    yield f"http://127.0.0.1:{port}"
    os.killpg(process.pid, signal.SIGTERM)
    process.wait(60)


@pytest.mark.slow
def test_a_server_that_refuses_local_folders_is_said_at_the_start(
    server: str, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(load_recipe("micro"), Store(str(tmp_path / "store")))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    with pytest.raises(ServiceError, match=r"no models from a local folder: .*MLFLOW_REGISTRY_URI"):
        check_registry(run)
    assert MlflowClient().search_registered_models() == []
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", database)
    check_registry(run)


def test_a_name_that_mlflow_cannot_find_again_is_refused(model: Model) -> None:
    for name, error in (("both'\"", InputError), ("a?b", ServiceError)):
        with pytest.raises(error):
            check_registry(_called(model, name))
    check_registry(_called(model, "it's a #model of %20"))


def _called(model: Model, name: str) -> Run:
    """A run whose model has this name, though the recipe may refuse it before."""
    recipe = model.run.recipe
    register = recipe.register_.model_copy(update={"model_name": name})
    return Run(recipe.model_copy(update={"register_": register}), model.run.store)


def test_a_store_that_mlflow_cannot_read_is_refused(model: Model) -> None:
    with pytest.raises(ServiceError, match="cannot load models from memory://"):
        check_registry(Run(model.run.recipe, Store("memory://registry")))


def test_runs_at_the_same_moment_leave_one_version_and_its_alias(tmp_path: Path, database: str) -> None:
    api = MlflowClient(database, database)
    failed: list[BaseException] = []
    source = tmp_path.as_uri()

    def register(name: str, barrier: threading.Barrier) -> None:
        try:
            barrier.wait()
            version, _ = _version(api, name, source, "", {VERSION_TAG: "s"}, True)
            barrier.wait()
            _point(api, name, "candidate", version)
        except BaseException as error:
            failed.append(error)
            barrier.abort()

    for number in range(6):
        barrier = threading.Barrier(3)
        runs = [threading.Thread(target=register, args=(f"llama-{number}", barrier)) for _ in range(3)]
        for run in runs:
            run.start()
        for run in runs:
            run.join()
        assert not failed, failed[0]
        [version] = api.search_model_versions(f"name = 'llama-{number}'")
        assert api.get_model_version_by_alias(f"llama-{number}", "candidate").version == version.version


def test_what_the_export_says_it_needs_is_installed_and_public() -> None:
    for line in mlflow_files()["requirements.txt"].decode().splitlines():
        name, _, version = line.partition("==")
        assert importlib.metadata.version(name).startswith(version) and "+" not in version
