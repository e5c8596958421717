"""The export is our model, as transformers, tokenizers and MLflow see it."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from trained import Trained, make_trained
from transformers import AutoModelForCausalLM, AutoTokenizer

from llama_core.artifact import Artifact
from llama_core.errors import LlamaError
from llama_core.export import REVISION, huggingface
from llama_core.step import Step
from llama_core.store import Store
from llama_core.weights import names


def export(trained: Trained, store: Store, **options: object) -> tuple[Artifact, Path]:
    step = Step(store, "export", REVISION, {})
    inputs = trained.inputs
    huggingface.export(step, trained.recipe, inputs["train"], inputs["tokenizer"], **options)  # type: ignore[arg-type]
    artifact = step.commit([huggingface.SHARD])
    attempt = artifact.shard(huggingface.SHARD).object("/config.json").name.split("/")[0]
    return artifact, Path(artifact.store.path(attempt))


def logits(folder: Path, tokens: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)(tokens).logits


def test_transformers_gives_the_same_logits(trained: Trained, store: Store) -> None:
    _, folder = export(trained, store)
    tokens = torch.randint(512, (3, 60), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        expected = trained.model()(tokens)
    assert expected.std() > 0.5
    assert (logits(folder, tokens) - expected).abs().max() < 1e-4


@pytest.mark.slow
def test_many_files_hold_the_same_tensors_as_one(trained: Trained, store: Store) -> None:
    _, one = export(trained, store.at("one"))
    _, many = export(trained, store.at("many"), file_bytes=60_000)
    files = sorted(many.glob("*.safetensors"))
    assert len(files) > 2
    whole = load_file(one / "model.safetensors")
    split = {name: tensor for file in files for name, tensor in load_file(file).items()}
    assert split.keys() == whole.keys()
    assert all(torch.equal(split[name], whole[name]) for name in whole)
    index = json.loads((many / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == sum(t.nbytes for t in whole.values())
    tokens = torch.tensor([[1, 5, 9]])
    assert torch.equal(logits(one, tokens), logits(many, tokens))


def test_a_bf16_recipe_is_exported_in_bf16(store: Store) -> None:
    trained = make_trained(store, **{"train.precision": "bf16"})
    _, folder = export(trained, store)
    assert {t.dtype for t in load_file(folder / "model.safetensors").values()} == {torch.bfloat16}
    assert AutoModelForCausalLM.from_pretrained(folder, dtype="auto").dtype == torch.bfloat16


def test_an_export_that_differs_from_the_model_is_never_committed(
    trained: Trained, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "ROTATED", ("attention.wq.weight",))  # the keys keep the wrong layout
    with pytest.raises(LlamaError, match="differs from our model"):
        export(trained, store)
    step = Step(store, "export", REVISION, {})
    assert step.committed(huggingface.SHARD) is None


def test_permuting_back_gives_the_same_tensor() -> None:
    tensor = torch.randn(12, 12)
    there = names.permute("layers.0.attention.wq.weight", tensor, 3)
    assert not torch.equal(there, tensor)
    assert torch.equal(names.unpermute("layers.0.attention.wq.weight", there, 3), tensor)


def test_the_shapes_of_a_model_are_known_without_it(trained: Trained) -> None:
    model = trained.model()
    found = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    assert names.shapes(model.cfg, model.vocab_size) == found


def test_equal_inputs_give_equal_bytes(trained: Trained, store: Store) -> None:
    first, _ = export(trained, store.at("a"))
    second, _ = export(trained, store.at("b"))
    assert first.digest == second.digest


def test_the_export_works_on_a_store_that_is_no_local_folder(trained: Trained) -> None:
    store = Store("memory://exports")
    step = Step(store, "export", REVISION, {})
    huggingface.export(step, trained.recipe, trained.inputs["train"], trained.inputs["tokenizer"])
    assert step.committed(huggingface.SHARD)


def test_the_tokenizer_of_the_export_is_ours(trained: Trained, store: Store) -> None:
    _, folder = export(trained, store)
    theirs = AutoTokenizer.from_pretrained(folder)
    for text in ("def f(x):\n    return  x", "  two", " one", "", "\n\n\t", "é漢🙂", "a" * 50 + " " * 50):
        ids = trained.tokenizer.encode(text, bos=True)
        assert theirs(text)["input_ids"] == ids
        assert theirs.decode(ids, skip_special_tokens=True) == text


def test_the_mlflow_model_continues_as_our_own_engine_does(trained: Trained, store: Store) -> None:
    from llama_core.export.pyfunc_model import _load_pyfunc
    from llama_core.generate.tokens import Request, generate

    _, folder = export(trained, store)
    model, prompts = _load_pyfunc(str(folder)), ["def main():", "  x = [", "The"]
    encoded = [trained.tokenizer.encode(prompt, bos=True) for prompt in prompts]
    tokens = [[] for _ in prompts]
    eos_id = trained.tokenizer.eos_id
    for token in generate(
        trained.model(), [Request(ids, 16) for ids in encoded], ends=lambda r, s, i: i == eos_id
    ):
        tokens[token.request] += [token.id] if token.id != eos_id else []
    decode = model.tokenizer.decode  # random weights give invalid UTF-8, which each library shows its own way
    ours = [decode(i + t)[len(decode(i)) :] for i, t in zip(encoded, tokens)]
    assert model.predict(pd.DataFrame({"prompt": prompts}), {"max_new_tokens": 16}) == ours
    assert model.predict(prompts[0], {"max_new_tokens": 16}) == ours[:1]
    sampled = {"max_new_tokens": 16, "temperature": 1.0, "top_p": 0.9, "seed": 5}
    assert model.predict(prompts, sampled) == model.predict(prompts, sampled)
    assert model.predict(prompts, sampled) != model.predict(prompts, sampled | {"seed": 6})
    with pytest.raises(ValueError, match="top_k"):
        model.predict(prompts, {"top_k": 3})
    with pytest.raises(ValueError, match="prompt"):
        model.predict(pd.DataFrame({"text": prompts, "more": prompts}))
