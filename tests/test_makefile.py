"""The commands that make stands for, as `make -n` prints them for a machine where nothing is installed."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def commands(target: str, venv: Path, *variables: str) -> str:
    make = ["make", "-n", target, f"VENV={venv}", *variables]
    done = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True)
    return " ".join(done.stdout.replace(f"{venv}/bin/", "").replace("\\\n", "").split())


@pytest.mark.parametrize(
    "flow", ["pretrain", "corpus", "tokenizer", "tokens", "train", "evaluate", "register"]
)
def test_every_flow_is_a_target_and_takes_recipe_store_and_values(flow: str, tmp_path: Path) -> None:
    said = commands(flow, tmp_path, "RECIPE=llama-v1", "SET=a.b=1 c=2", "STORE=s3://bucket/prefix")
    assert f"python -m flows llama-v1 --flow {flow} a.b=1 c=2 --store s3://bucket/prefix" in said


@pytest.mark.parametrize(
    ("variables", "extras"),
    [
        ((), "pipeline"),
        (("EXTRAS=perplexity",), "pipeline,perplexity"),
        (("EXTRAS=perplexity dask", "EVAL_DATA=sets"), "pipeline,eval,perplexity,dask"),
        (("EXTRAS=perplexity,ray",), "pipeline,perplexity,ray"),
    ],
)
@pytest.mark.parametrize("target", ["corpus", "stack"])
def test_extras_are_installed_with_the_pipeline(
    target: str, variables: tuple[str, ...], extras: str, tmp_path: Path
) -> None:
    assert f"--editable '.[{extras}]'" in commands(target, tmp_path, *variables)


def test_a_stack_asks_for_a_login_where_that_is_wanted(tmp_path: Path) -> None:
    assert commands("stack", tmp_path, "AUTH=yes").endswith("python -m infra.stack --auth")
    for variables in ((), ("AUTH=no",)):
        assert commands("stack", tmp_path, *variables).endswith("python -m infra.stack")


def test_make_alone_lists_every_target_but_single_stages() -> None:
    said = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("pretrain", "corpus", "stack", "test", "test-slow", "lint", "clean"):
        assert f"make {target} " in said
