"""A model can be talked to from wherever it lies."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import programs
import pytest
import torch
from trained import Trained

from llama_core.artifact import Artifact
from llama_core.errors import DamagedError, InputError
from llama_core.export import REVISION, huggingface
from llama_core.generate.load import load
from llama_core.step import Step
from llama_core.store import Store

TOKENS = torch.tensor([[1, 40, 300, 7, 7, 12]])


def export(trained: Trained, store: Store, **options: int) -> Artifact:
    step = Step(store, "export", REVISION, {})
    huggingface.export(step, trained.recipe, trained.inputs["train"], trained.inputs["tokenizer"], **options)
    return step.commit([huggingface.SHARD])


def folder_of(artifact: Artifact) -> str:
    """The folder that transformers loads: what the registry points at."""
    attempt = artifact.shard("model").object("/config.json").name.split("/")[0]
    return artifact.store.url_of(attempt)


def a_strangers(trained: Trained, store: Store) -> Store:
    """The export as anybody's folder, without a manifest near it."""
    exported = Store(folder_of(export(trained, store)))
    shutil.copytree(exported.path(), store.path("strangers"))
    return store.at("strangers")


def test_export_folder_export_step_and_train_step_give_the_trained_model(
    trained: Trained, store: Store
) -> None:
    exported = export(trained, store, file_bytes=60_000)
    with torch.no_grad():
        expected = trained.model()(TOKENS)
        for url in (exported.url, trained.inputs["train"].url, folder_of(exported)):
            model, tokenizer, seq_len = load(url)
            assert torch.equal(model(TOKENS), expected)
            assert tokenizer.model == trained.tokenizer.model
            assert seq_len == trained.recipe.train.seq_len


def test_a_model_loads_from_any_fsspec_url(trained: Trained) -> None:
    assert load(export(trained, Store("memory://talk")).url).seq_len == 64


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.model", "config.json"])
def test_a_changed_byte_is_found_on_every_address_that_people_are_given(
    trained: Trained, store: Store, name: str
) -> None:
    exported = export(trained, store)
    entry = exported.shard("model").object(f"/{name}")
    data = bytearray(exported.store.read(entry.name))
    data[-5] ^= 1
    exported.store.publish_bytes(entry.name, bytes(data))
    for url in (exported.url, folder_of(exported), Path(exported.store.path(entry.name)).parent.as_uri()):
        with pytest.raises(DamagedError, match=rf"{name} is damaged"):
            load(url)


def test_a_file_that_the_manifest_does_not_name_is_not_read(trained: Trained, store: Store) -> None:
    exported = export(trained, store, file_bytes=60_000)
    folder = Store(folder_of(exported))
    first = next(name for name in folder.list() if name.endswith(".safetensors"))
    folder.publish_bytes("model.safetensors", folder.read(first))  # transformers would read it
    assert load(folder.url).seq_len == load(exported.url).seq_len == 64
    other = exported.store.at("a-00000000")
    shutil.copytree(folder.path(), other.path())
    with pytest.raises(InputError, match=r"a-00000000 was never committed: the model is file:"):
        load(other.url)
    exported.store.delete(["manifest.json"])
    for url in (folder.url, exported.url):
        with pytest.raises(InputError, match="was never finished"):
            load(url)


def test_nothing_that_is_put_beside_a_manifest_is_loaded(trained: Trained, store: Store) -> None:
    exported, train = export(trained, store), trained.inputs["train"]
    for step in (exported.store, store.at(train.name)):
        shutil.copytree(Store(folder_of(exported)).path(), step.path(), dirs_exist_ok=True)
        shutil.copytree(Store(folder_of(exported)).path(), step.path("a-00000000"))
    store.at(train.name).publish_bytes("manifest.json", train.store.read("manifest.json"))
    exported.store.publish_bytes("model.safetensors", b"evil")
    assert load(exported.url).seq_len == 64
    with pytest.raises(InputError, match=r"no longer holds the tokens step"):
        load(store.url_of(train.name))
    with pytest.raises(InputError, match="is the output of stage train"):
        load(store.url_of(f"{train.name}/a-00000000"))


def test_a_link_to_an_attempt_is_as_good_as_its_address(trained: Trained, store: Store) -> None:
    exported = export(trained, store)
    link, entry = store.path("latest"), exported.shard("model").object("/model.safetensors")
    os.symlink(Store(folder_of(exported)).path(), link)
    assert load(link).seq_len == 64
    exported.store.publish_bytes(entry.name, bytes(entry.size))
    with pytest.raises(DamagedError):
        load(link)


def test_a_strangers_folder_needs_no_manifest_and_the_folder_above_may_have_any(
    trained: Trained, store: Store
) -> None:
    folder = a_strangers(trained, store)
    for above in (b'{"name": "a web page", "icons": []}', b"no JSON", b'{"stage": "train"}'):
        store.publish_bytes("manifest.json", above)
        assert load(folder.url).seq_len == 64


def test_a_uri_as_the_registry_has_it_and_a_path_are_told_apart(trained: Trained, tmp_path: Path) -> None:
    store = Store(str(tmp_path / "a b%20#?ü"))
    folder = Path(Store(folder_of(export(trained, store))).path())
    assert load(str(folder)).seq_len == load(folder.as_uri()).seq_len == load(Store(str(folder)).url).seq_len
    shutil.copytree(tmp_path / "a b%20#?ü", tmp_path / "a b #?ü")
    with pytest.raises(InputError, match="give the path that you mean"):
        load(Store(str(folder)).url)


def test_a_file_cut_short_is_found_even_without_a_manifest(trained: Trained, store: Store) -> None:
    folder = a_strangers(trained, store)
    folder.publish_bytes("model.safetensors", folder.read("model.safetensors")[:-100])
    with pytest.raises(DamagedError, match="cut short"):
        load(folder.url)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tokenizer.model", r"holds a tokenizer\.json, and not the tokenizer\.model .*: put that beside it"),
        ("model.safetensors", r"is not whole, .*model\.safetensors.*: beside config\.json belong"),
    ],
)
def test_a_folder_that_lacks_a_file_says_what_belongs_into_it(
    trained: Trained, store: Store, name: str, said: str
) -> None:
    folder = a_strangers(trained, store)
    folder.delete([name])
    with pytest.raises(InputError, match=said):
        load(folder.url)


def test_what_is_no_llama_of_ours_is_refused_by_name(trained: Trained, store: Store) -> None:
    with pytest.raises(InputError, match="no model"):
        load(store.url_of("nothing"))
    with pytest.raises(InputError, match="stage tokenizer"):
        load(trained.inputs["tokenizer"].url)
    folder = a_strangers(trained, store)
    config = folder.read_json("config.json")
    folder.publish_json("config.json", config | {"num_key_value_heads": 1})
    with pytest.raises(InputError, match="grouped heads"):
        load(folder.url)


@pytest.mark.slow
def test_the_command_continues_a_prompt_and_then_lines(trained: Trained) -> None:
    command = ["-m", "llama_core.generate", trained.inputs["train"].url, "--max-new-tokens", "8"]
    once = programs.run(*command, "--prompt", "def main")
    assert once.returncode == 0
    assert once.stdout.startswith("def main")
    lines = subprocess.run(
        [sys.executable, *command],
        input="def main\nimport\n",
        capture_output=True,
        text=True,
        env=programs.environment(),
        check=False,
    )
    assert lines.stdout.startswith(once.stdout), lines.stderr
    assert "\nimport" in lines.stdout


def test_the_command_says_what_is_wrong_in_one_line(store: Store) -> None:
    done = programs.run("-m", "llama_core.generate", store.url, "--prompt", "x")
    assert done.returncode == 2
    assert done.stdout.startswith("error: there is no model at") and done.stdout.count("\n") == 1
