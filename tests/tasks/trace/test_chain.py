"""The chain behind a step, as its manifests tell it, on a store that may have changed since."""

import json
import shutil
from pathlib import Path

import pytest
from trained import Trained

from llama_core.artifact import Artifact
from llama_core.store import Store
from tasks.trace.__main__ import main
from tasks.trace.chain import CHANGED, GONE, SAME, chain, straight


@pytest.fixture
def train(trained: Trained, tmp_path: Path) -> Artifact:
    """A training on a store of its own, with all that went into it."""
    shutil.copytree(trained.store.path(), tmp_path / "store")
    return Artifact.load(Store(str(tmp_path / "store")), trained.inputs["train"].name)


def folder(train: Artifact, stage: str) -> Path:
    [found] = (Path(train.store.path()).parents[1] / stage).iterdir()
    return found


def test_a_step_leads_to_all_that_went_into_it_in_one_line_where_there_is_one(train: Artifact) -> None:
    found = chain(train)
    assert [name.split("/")[0] for name in found] == ["train", "tokens", "corpus", "tokenizer"]
    assert {link.state for node in found.values() for link in node.inputs} == {SAME}
    tokens = found[train.parents["tokens"][0]]
    assert [link.role for link in tokens.inputs] == ["corpus", "tokenizer"]
    assert [link.role for link in straight(found, tokens)] == ["tokenizer"], "which the corpus went into"


def test_the_tree_shows_address_digest_and_the_fields_of_the_recipe(
    train: Artifact, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([train.url]) == 0
    tree = capsys.readouterr().out
    for step in chain(train).values():
        assert step.artifact.url in tree and step.artifact.digest in tree
    assert "model.dim=" in tree and tree.index("train/") < tree.index("tokens/") < tree.index("corpus/")
    attempt = next(path for path in Path(train.store.path()).iterdir() if path.name.startswith("a-"))
    assert main([str(attempt)]) == 0, "an attempt's folder names its step"
    assert capsys.readouterr().out == tree


def test_what_is_gone_or_another_by_now_is_said_and_the_rest_is_shown(
    train: Artifact, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = folder(train, "tokens") / "manifest.json"
    value = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(value | {"digest": "f" * 64}))
    shutil.rmtree(folder(train, "tokenizer"))
    states = {link.name.split("/")[0]: link.state for n in chain(train).values() for link in n.inputs}
    assert states == {"tokens": CHANGED, "corpus": SAME, "tokenizer": GONE}
    assert main([train.url]) == 1
    said = capsys.readouterr()
    assert "NOT WHAT IT WAS MADE FROM" in said.out and "GONE" in said.out and "corpus/" in said.out
    assert said.err.count("warning: ") == 2


def test_a_store_on_s3_is_walked_as_one_on_a_disk(
    train: Artifact, bucket: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(train.url.removesuffix(f"/{train.name}"))
    for name in store.list():
        bucket.publish_bytes(name, store.read(name))
    assert main([train.url]) == 0
    on_disk = capsys.readouterr().out
    assert main([f"{bucket.url}/{train.name}"]) == 0
    assert capsys.readouterr().out == on_disk.replace(store.url, bucket.url)


def test_json_holds_what_the_tree_shows(train: Artifact, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([train.url, "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert [step["name"] for step in value["steps"]] == list(chain(train))
    assert value["steps"][0]["digest"] == train.digest and value["steps"][0]["settings"]["model.dim"]


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["{store}"], "give models:/NAME@ALIAS or the URL of a step"),
        (["{store}/nothing/0123456789abcdef"], "no step is finished at"),
        (["{tokenizer}", "--snippet", ""], "--snippet is empty"),
        (["{corpus}", "--snippet", "x", "--source", "no"], "has no source no"),
        (["{train}", "--limit", "0"], "--limit is at least 1"),
    ],
)
def test_a_mistake_is_one_line(
    train: Artifact, argv: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {stage: folder(train, stage) for stage in ("train", "tokenizer", "corpus")}
    assert main([part.format(store=folder(train, "train").parents[1], **places) for part in argv]) == 2
    said = capsys.readouterr()
    assert says in said.err and said.err.count("\n") == 1 and said.out == ""
