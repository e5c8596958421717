"""Export: the trained model in a format that transformers and MLflow load."""

import hashlib
import platform
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import yaml
from mlflow.models import Model, ModelSignature
from mlflow.types.schema import ColSpec, DataType, ParamSchema, ParamSpec, Schema

from llama_core.artifact import Artifact
from llama_core.errors import DamagedError
from llama_core.export import REVISION, pyfunc_model
from llama_core.export.pyfunc_model import DEFAULTS
from llama_core.phases import one_phase
from llama_core.step import Step
from tasks.run import Run
from tasks.step import make, stage

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

    from llama_core.export import huggingface  # noqa: F401


@stage("export")
def export(run: Run, tokenizer: Artifact, trained: Artifact) -> Artifact:
    """Export the model in the format of Hugging Face, with what MLflow needs to load it."""
    inputs = {"train": trained, "tokenizer": tokenizer}
    step = Step(run.store, "export", REVISION, {}, inputs)

    def write(_: None) -> None:
        from llama_core.export import huggingface

        huggingface.export(step, run.recipe, trained, tokenizer, extra=mlflow_files())

    return make(run, step, one_phase({"model": None}, write))


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
        with open(path, "rb") as file:
            return file.read()
