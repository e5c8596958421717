"""A stranger's LLaMA gives the logits that transformers gives, or is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from trained import Trained
from transformers import LlamaConfig, LlamaForCausalLM

from llama_core.errors import InputError
from llama_core.generate.load import load

TOKENS = torch.tensor([[1, 40, 300, 7, 7, 12, 9, 101]])


@pytest.fixture
def folder(trained: Trained, tmp_path: Path) -> Path:
    """A small LLaMA as transformers saves it, with weights that are spread enough for logits to differ."""
    torch.manual_seed(1)
    cfg = LlamaConfig(
        vocab_size=512,
        hidden_size=32,
        intermediate_size=88,
        num_hidden_layers=2,
        num_attention_heads=2,
        initializer_range=0.3,
    )
    LlamaForCausalLM(cfg).save_pretrained(tmp_path)
    (tmp_path / "tokenizer.model").write_bytes(trained.tokenizer.model)
    return tmp_path


def edit(folder: Path, **changes: Any) -> None:
    """Change settings; one that is None is absent."""
    path = folder / "config.json"
    value = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in value.items() if v is not None or k == "rope_scaling"}))


def reshape(folder: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    found = load_file(folder / "model.safetensors")
    change(found)
    save_file(found, folder / "model.safetensors", {"format": "pt"})


def with_frequencies(tensors: dict[str, torch.Tensor]) -> None:
    for layer in range(2):
        tensors[f"model.layers.{layer}.self_attn.rotary_emb.inv_freq"] = torch.rand(8)


def half(*endings: str) -> Callable[[dict[str, torch.Tensor]], None]:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensors.update({k: v.half() for k, v in tensors.items() if k.endswith(endings)})

    return change


OLD = {"rope_parameters": None}
SAME: dict[str, tuple[dict[str, Any], Callable[[dict[str, torch.Tensor]], Any] | None]] = {
    "as saved": ({}, None),
    "old spelling": ({**OLD, "rope_scaling": None, "rope_theta": 5000.0}, None),
    "no theta": (OLD, None),
    "theta inside": ({"rope_parameters": {"rope_type": "default", "rope_theta": 5000.0}}, None),
    "theta in both": ({"rope_theta": 300, "rope_parameters": {"rope_theta": 5000}}, None),
    "theta beside": ({"rope_theta": 300.0, "rope_parameters": {"rope_type": "default"}}, None),
    "default scaling": ({**OLD, "rope_scaling": {"type": "default"}, "rope_theta": 5000.0}, None),
    "tensor parallel": ({"pretraining_tp": 2}, None),
    "swish": ({"hidden_act": "swish"}, None),
    "frequencies": ({}, with_frequencies),
    "half": ({"dtype": "float16"}, half("weight")),
    "partly half": ({"dtype": "float32"}, half("proj.weight")),
    "norms in float32": ({"dtype": "float32"}, half("proj.weight", "tokens.weight", "head.weight")),
}


@pytest.mark.parametrize("name", SAME)
def test_what_is_taken_has_the_logits_of_transformers(folder: Path, name: str) -> None:
    settings, change = SAME[name]
    edit(folder, **settings)
    if change:
        reshape(folder, change)
    model, _, seq_len = load(str(folder))
    with torch.no_grad():
        expected = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)(TOKENS).logits
        found = model.float()(TOKENS)
    assert expected.std() > 0.5 and seq_len == 2048
    assert (found - expected).abs().max() < 1e-4


LATER = {
    "linear": {"rope_scaling": {"type": "linear", "factor": 2.0}},
    "linear, new": {"rope_scaling": {"rope_type": "linear", "factor": 2.0}},
    "linear, of transformers 5": {
        "rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}
    },
    "linear, old word": {"rope_parameters": {"type": "linear", "factor": 2.0, "rope_theta": 1e4}},
    "dynamic": {"rope_scaling": {"type": "dynamic", "factor": 2.0}},
    "llama3": {"rope_parameters": {"rope_type": "llama3", "factor": 8.0}},
    "yarn": {"rope_scaling": {"rope_type": "yarn", "factor": 4.0}},
    "no type": {"rope_scaling": {"factor": 2.0}},
    "two types": {"rope_scaling": {"rope_type": "default", "type": "linear", "factor": 2.0}},
    "no settings": {"rope_scaling": "linear"},
    "a list": {"rope_scaling": ["linear", 2.0]},
    "of layers": {"rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 2.0}}},
    "partial": {"partial_rotary_factor": 0.5},
    "partial inside": {"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}},
    "activation": {"hidden_act": "gelu"},
    "attention bias": {"attention_bias": True},
    "a bias of 1": {"mlp_bias": 1},
    "heads": {"head_dim": 8},
    "groups": {"num_key_value_heads": 1},
    "tied": {"tie_word_embeddings": True},
    "quantised": {"quantization_config": {"quant_method": "gptq", "bits": 4}},
    "window": {"sliding_window": 4},
    "both directions": {"is_causal": False},
}


@pytest.mark.parametrize("name", LATER)
def test_what_later_models_have_is_refused_and_never_ignored(folder: Path, name: str) -> None:
    edit(folder, **LATER[name])
    with pytest.raises(InputError, match="is a later model, with .*: transformers can load it"):
        load(str(folder))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "pytorch_model.bin.index.json"])
def test_weights_that_are_pickles_alone_are_named(folder: Path, name: str) -> None:
    (folder / "model.safetensors").rename(folder / name)
    with pytest.raises(InputError, match=f"its weights as {name} alone, .* only read as safetensors"):
        load(str(folder))


def test_a_folder_with_the_fast_tokenizer_alone_is_told_what_it_lacks(folder: Path) -> None:
    (folder / "tokenizer.model").rename(folder / "tokenizer.json")
    with pytest.raises(InputError, match=r"holds a tokenizer\.json, and not the tokenizer\.model"):
        load(str(folder))


def test_code_that_a_folder_brings_is_not_run(folder: Path) -> None:
    edit(folder, auto_map={"AutoModelForCausalLM": "evil.Model", "AutoTokenizer": ["evil.Tokenizer", None]})
    (folder / "evil.py").write_text("raise SystemExit('run')\n")
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        (folder / name).write_text("[" * 10_000)
    assert load(str(folder)).seq_len == 2048
