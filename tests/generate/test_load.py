"""A model can be talked to from wherever it lies."""

import subprocess
import sys

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


def test_a_changed_byte_in_the_weights_is_found(trained: Trained, store: Store) -> None:
    exported = export(trained, store)
    entry = exported.shard("model").object("model.safetensors")
    data = bytearray(store.at(exported.store.url.removeprefix(store.url + "/")).read(entry.name))
    data[-5] ^= 1
    exported.store.publish_bytes(entry.name, bytes(data))
    with pytest.raises(DamagedError, match="damaged"):
        load(exported.url)


def test_a_file_cut_short_is_found_even_without_a_manifest(trained: Trained, store: Store) -> None:
    exported = export(trained, store)
    folder = Store(folder_of(exported))
    folder.publish_bytes("model.safetensors", folder.read("model.safetensors")[:-100])
    with pytest.raises(DamagedError, match="cut short"):
        load(folder.url)


@pytest.mark.parametrize("name", ["tokenizer.model", "model.safetensors"])
def test_a_folder_that_lacks_a_file_says_what_belongs_into_it(
    trained: Trained, store: Store, name: str
) -> None:
    folder = Store(folder_of(export(trained, store)))
    folder.delete([name])
    with pytest.raises(InputError, match=rf"is not whole, .*{name}.*: beside config\.json belong"):
        load(folder.url)


def test_what_is_no_llama_of_ours_is_refused_by_name(trained: Trained, store: Store) -> None:
    with pytest.raises(InputError, match="no model"):
        load(store.url_of("nothing"))
    with pytest.raises(InputError, match="stage tokenizer"):
        load(trained.inputs["tokenizer"].url)
    folder = Store(folder_of(export(trained, store)))
    config = folder.read_json("config.json")
    folder.publish_json("config.json", config | {"num_key_value_heads": 1})
    with pytest.raises(InputError, match="grouped heads"):
        load(folder.url)


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
