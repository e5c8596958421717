"""The commands that make stands for, as `make -n` prints them for a machine where nothing is installed."""

import ast
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(make: list[str], folder: Path = ROOT) -> str:
    """What make prints, run from a person's shell: the tests themselves are run by another make."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(make, cwd=folder, env=env, capture_output=True, text=True, check=True).stdout


def commands(target: str, venv: Path, *variables: str) -> str:
    said = run(["make", "-n", target, f"VENV={venv}", *variables])
    return " ".join(said.replace(f"{venv}/bin/", "").replace("\\\n", "").split())


@pytest.mark.parametrize(
    "flow", ["pretrain", "corpus", "tokenizer", "tokens", "train", "evaluate", "register"]
)
def test_every_flow_is_a_target_and_takes_recipe_store_and_values(flow: str, tmp_path: Path) -> None:
    said = commands(flow, tmp_path, "RECIPE=llama-v1", "SET=a.b=1 c=2", "STORE=s3://bucket/prefix")
    words = shlex.split(said[said.rindex("python -m flows") :])
    expected = ["llama-v1", "--flow", flow, "a.b=1", "c=2", "--store", "s3://bucket/prefix"]
    assert words[3:] == expected


def test_the_benchmarks_files_go_to_a_folder_that_must_be_named(tmp_path: Path) -> None:
    words = shlex.split(commands("evaldata", tmp_path, "DIR=/tmp/a b'c", "ONLY=piqa boolq"))
    assert words[words.index("llama_core.evaluate.evaldata") :][1:] == ["/tmp/a b'c", "piqa", "boolq"]
    with pytest.raises(subprocess.CalledProcessError) as error:
        commands("evaldata", tmp_path)
    assert "DIR is missing: make evaldata DIR=" in error.value.stderr


ODD = "a b'c\"d$e$(f)`g`#h%2Fi?j\\k&l;m*{n,o}!~(p),q"


@pytest.mark.parametrize("as_variable", [True, False])
def test_any_character_may_be_in_a_checkouts_path_and_in_what_is_given(
    as_variable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = tmp_path / "a b'c$d#e%2F[f]"
    python = checkout / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!{sys.executable}\nimport sys\nprint(repr(sys.argv[1:]))\n")
    python.chmod(0o755)
    for name in ("Makefile", "pyproject.toml"):
        (checkout / name).symlink_to(ROOT / name)
    (checkout / ".venv/.pipeline-eval").touch()
    (checkout / "ran").mkdir()
    command = "$(shell rmdir ran)"
    given = {"STORE": f"/tmp/{ODD}{command}", "EVAL_DATA": f"sets/{ODD}", "RECIPE": f"{ODD}{command}.yaml"}
    given["SET"] = """name='a b$c' launch.partition="d e" evaluate.prompts='["f g", "h"]'"""
    if not as_variable:
        for name, value in given.items():
            monkeypatch.setenv(name, value)
    variables = [f"{name}={value}" for name, value in given.items()] if as_variable else []
    make = ["make", "pretrain", *variables]
    assert ast.literal_eval(run(make, checkout)) == [
        *("-m", "flows", f"{ODD}{command}.yaml", "--flow", "pretrain"),
        *("name=a b$c", "launch.partition=d e", 'evaluate.prompts=["f g", "h"]'),
        *("--store", f"/tmp/{ODD}{command}", f"evaluate.data=sets/{ODD}"),
    ]
    assert (checkout / "ran").exists(), "a value was run"


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
    for unclear in ("AUTH=YES", "AUTH=1", "AUTH=on"):
        make = ["make", "-n", "stack", f"VENV={tmp_path}", unclear]
        with pytest.raises(subprocess.CalledProcessError) as error:
            run(make)
        assert "AUTH is yes or no" in error.value.stderr


def test_the_page_needs_its_own_extra(tmp_path: Path) -> None:
    said = commands("chat", tmp_path, "EXTRAS=ray")
    assert "--editable '.[pipeline,ray,ui]'" in said
    assert said.endswith("python -m llama_core.generate.page")


def test_make_alone_lists_every_target_but_single_stages() -> None:
    said = run(["make"])
    for target in ("pretrain", "corpus", "stack", "chat", "test", "test-slow", "lint", "clean"):
        assert f"make {target} " in said
