"""What the README tells a person to type is there."""

import importlib.util
import json
import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from flows.__main__ import FLOWS
from llama_core.recipes.load import load_recipe

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
SHELL = "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL)).replace("\\\n", "")
COMMANDS = [shlex.split(line, comments=True) for line in SHELL.splitlines() if line.strip()]


@pytest.mark.parametrize("recipe", re.findall(r"```yaml\n(.*?)```", README, re.DOTALL))
def test_a_recipe_of_the_readme_loads(recipe: str, tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(recipe)
    load_recipe(str(tmp_path / "my.yaml"))


def test_the_targets_and_variables_of_make_are_in_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for _, target, *values in (words for words in COMMANDS if words[0] == "make"):
        assert target in FLOWS or re.search(rf"^{target}:", makefile, re.MULTILINE)
        variables = dict(value.split("=", 1) for value in values)
        assert all(re.search(rf"^{name} \?=", makefile, re.MULTILINE) for name in variables)
        if (recipe := variables.get("RECIPE", "tiny")) != "my.yaml":
            load_recipe(recipe, dict(pair.split("=", 1) for pair in variables.get("SET", "").split()))


def test_the_deployments_are_in_prefect_yaml_and_take_the_parameters() -> None:
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    recipes = {f"{Path(d['entrypoint']).stem}/{d['name']}": d["parameters"]["recipe"] for d in deployments}
    asked = [words for words in COMMANDS if words[:3] == ["prefect", "deployment", "run"]]
    assert asked
    for words in asked:
        parameters = dict(p.split("=", 1) for flag, p in pairwise(words) if flag == "-p")
        assert set(parameters) <= {"recipe", "overrides", "store"}
        load_recipe(recipes[words[3]], json.loads(parameters.get("overrides", "{}")))


def test_the_modules_can_be_run() -> None:
    modules = re.findall(r"python -m ([a-z_.]+)", SHELL)
    assert modules and all(importlib.util.find_spec(module) for module in modules)
