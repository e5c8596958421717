"""Export: the trained model in a format that transformers and MLflow load."""

import hashlib
import platform
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import yaml
from mlflow.models import Model, ModelSignature
from mlflow.types.schema import ColSpec, DataType, ParamSchema, ParamSpec, Schema

from llama_core.artifact import Artifact
from llama_core.errors import DamagedError
from llama_core.export import REVISION, is_small, pyfunc_model
from llama_core.export.pyfunc_model import DEFAULTS
from llama_core.job import Job
from llama_core.recipes.running import Launch
from llama_core.step import Step
from tasks.launch import launch
from tasks.observe import Progress
from tasks.run import Run
from tasks.step import finished_elsewhere, made, reused, stage

PROCESSES = 32  # that an export makes use of: 65B has 27 files and 80 blocks
NEEDED = ("mlflow", "torch", "transformers", "tokenizers", "safetensors")  # what loads an export and runs it
# Which code MLflow runs: the module, and the folder that it is in.
MODULE = "code/llama_pyfunc.py"
LOADER = {"loader_module": "llama_pyfunc", "code": "code", "data": "."}
CONDA, PYTHON_ENV, REQUIREMENTS = "conda.yaml", "python_env.yaml", "requirements.txt"


def import_for_export() -> None:
    """Import what the export needs: torch and transformers.

    This takes seconds and is not done earlier, because most runs reuse an export.
    """
    import transformers  # noqa: F401

    from llama_core.export.job import run  # noqa: F401


@stage("export")
def export(run: Run, tokenizer: Artifact, trained: Artifact) -> Artifact:
    """Export the model in the format of Hugging Face, with what MLflow needs to load it.

    A small model is exported here (see `is_small`), any other by a job of the launcher.
    """
    inputs = {"train": trained, "tokenizer": tokenizer}
    step = Step(run.store, "export", REVISION, {}, inputs)
    started = time.monotonic()
    if artifact := step.finished():
        return reused(artifact)
    job = Job(step, run.recipe, {name: data.decode() for name, data in mlflow_files().items()})
    if is_small(run.recipe.model.n_params(run.recipe.tokenizer.vocab_size)):
        artifact = _here(job)
    else:
        progress = Progress("export-progress", 1, "parts")
        artifact = launch(
            job,
            "llama_core.export.job",
            on_progress=lambda p: progress.update(p["done"] / p["total"], p["what"]),
            on=few(run.recipe.launch),
        )
    return made(artifact, time.monotonic() - started)


def _here(job: Job) -> Artifact:
    """Make the export in this process."""
    import torch

    from llama_core.export.job.run import run as export_job
    from llama_core.train.distributed import World

    try:
        export_job(job, World(0, 1, torch.device("cpu")))
    except Exception:
        return finished_elsewhere(job.step)
    return Artifact.open(job.step.folder)


def few(launch: Launch) -> Launch:
    """Return as much of the recipe's nodes as an export makes use of: about PROCESSES processes."""
    nodes = max(1, PROCESSES // launch.procs_per_node)
    return launch.model_copy(update={"nodes": min(launch.nodes, nodes)})


def attempt_of(exported: Artifact) -> str:
    """Return the folder that transformers and MLflow load: the files of the attempt that was committed.

    The step's own folder cannot be it. Files there would be seen before they are checked and committed, and a
    slower second attempt would write over those of the first.
    """
    return exported.shard("model").object("/config.json").name.split("/", 1)[0]


def check_code(exported: Artifact) -> None:
    """Check that what MLflow would run of an export is this project's own file, whatever its manifest says.

    Whoever can write to the store can write a manifest that fits. Raises DamagedError.
    """
    start = f"{attempt_of(exported)}/"
    entries = {entry.name.removeprefix(start): entry for entry in exported.shard("model").objects}
    code = {name for name in entries if name.startswith("code/")}
    own = hashlib.sha256(Path(pyfunc_model.__file__).read_bytes()).hexdigest()
    strange = ""
    if code != {MODULE, "code/__pycache__"} or entries[MODULE].sha256 != own:
        strange = min(code - {MODULE, "code/__pycache__"}, default=MODULE)
    elif "MLmodel" not in entries or not _is_loaded_by_us(exported.read(entries["MLmodel"])):
        strange = "MLmodel"
    if strange:
        raise DamagedError(
            f"{exported.url}/{start}{strange} is not what this project exports, and MLflow would run it: "
            f"nothing was registered. Delete {exported.url} to make the export again."
        )


def _is_loaded_by_us(mlmodel: bytes) -> bool:
    try:
        flavors = yaml.safe_load(mlmodel)["flavors"]
        return list(flavors) == ["python_function"] and flavors["python_function"].items() >= LOADER.items()
    except (yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False


def mlflow_files() -> dict[str, bytes]:
    """Return the files of an export that only MLflow reads, by name: how to load it, and where.

    The environment is named three times, as MLflow's environment managers want it: for conda, for virtualenv
    and uv, and for pip.
    """
    python = platform.python_version()
    pinned = [f"{name}=={version(name).partition('+')[0]}" for name in NEEDED]  # without a label such as +cpu
    conda: dict[str, Any] = {"name": "mlflow-env", "channels": ["conda-forge"]}
    conda["dependencies"] = [f"python={python}", "pip", {"pip": pinned}]
    virtualenv = {"python": python, "build_dependencies": ["pip"], "dependencies": [f"-r {REQUIREMENTS}"]}
    return {
        "MLmodel": _mlmodel(),
        REQUIREMENTS: "".join(f"{line}\n" for line in pinned).encode(),
        CONDA: yaml.safe_dump(conda, sort_keys=False).encode(),
        PYTHON_ENV: yaml.safe_dump(virtualenv, sort_keys=False).encode(),
    }


def _mlmodel() -> bytes:
    """Return the file MLmodel, which says how `mlflow.pyfunc.load_model` loads the export."""
    kinds: dict[type, tuple[DataType, tuple[int] | None]] = {
        int: (DataType.long, None),
        float: (DataType.double, None),
        list: (DataType.string, (-1,)),
    }
    params = [
        ParamSpec(name, kind, value, shape)
        for name, value in DEFAULTS.items()
        for kind, shape in [kinds[type(value)]]
    ]
    signature = ModelSignature(
        inputs=Schema([ColSpec(DataType.string)]),
        outputs=Schema([ColSpec(DataType.string)]),
        params=ParamSchema(params),
    )
    # The time and the id are fixed, so that equal exports have equal bytes.
    made = "2023-02-27 00:00:00.000000"
    model = Model(signature=signature, utc_time_created=made, model_uuid="0" * 32)
    with tempfile.TemporaryDirectory() as folder:
        mlflow.pyfunc.add_to_model(model, **LOADER, conda_env=CONDA, python_env=PYTHON_ENV)
        path = f"{folder}/MLmodel"
        model.save(path)
        return Path(path).read_bytes()
