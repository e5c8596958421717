"""A trained model as a Hugging Face checkpoint, which the registry, transformers and vLLM load.

The weights go from the training checkpoint to safetensors one block at a time, so memory holds only one. Then
transformers reads the export back, which is committed only if its logits are those of our model.
"""

import gc
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

import torch

from llama_core.artifact import Artifact
from llama_core.errors import LlamaError
from llama_core.export.pyfunc_model import SUMS
from llama_core.export.tokenizer_json import tokenizer_json
from llama_core.model.llama import Llama
from llama_core.recipe import Recipe
from llama_core.step import OpenShard, Step
from llama_core.store import to_json
from llama_core.tokenizer.model import Tokenizer
from llama_core.train import checkpoint
from llama_core.weights import names, safetensors_file
from llama_core.weights.checkpoint import TrainedWeights
from llama_core.weights.weights import Weights

SHARD = "model"
DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}
TOLERANCE = 1e-3  # largest difference of a logit, in float32; with a wrong layout it is whole units
# A file where Python would have a folder: it executes the code that SUMS lists, and no bytecode beside it.
NO_BYTECODE = b"Python keeps no bytecode here.\n"
# Texts on which the exported tokenizer must give the same ids.
PROBES = ("def main():\n    return  0\n", "  The model’s text — 3.14 🙂\n\n\tand   more.")


def export(
    step: Step,
    recipe: Recipe,
    train: Artifact,
    tokenizer: Artifact,
    extra: Mapping[str, bytes] | None = None,
    file_bytes: int = safetensors_file.FILE_BYTES,
) -> float:
    """Write the export as shard `model`, check it, and commit it only if it is right.

    Weights are float32 or bfloat16, as `train.precision` of the recipe says; files are split at `file_bytes`.
    `extra`: further files beside them, by name. Returns the largest difference of a logit. Raises LlamaError
    where the export differs from our model, and DamagedError where the checkpoint is damaged.
    """
    words = Tokenizer.load(tokenizer)
    with step.shard(SHARD) as shard:
        _publish_weights(shard, TrainedWeights(train), DTYPES[recipe.train.precision], file_bytes)
        for name, data in (_texts(recipe, words) | dict(extra or {})).items():
            shard.publish_bytes(name, data)
        shard.publish_bytes(SUMS, _sums(step, shard))
        with _local(step, shard) as folder:
            difference = verify(folder, recipe, train, words)
        shard.counts["parameters"] = recipe.model.n_params(words.n_words)
        shard.facts = {"checkpoint": train.facts["final"], "max_logit_difference": difference}
    return difference


def verify(folder: Path, recipe: Recipe, train: Artifact, tokenizer: Tokenizer) -> float:
    """Return the largest difference between our model's logits and those of transformers on `folder`.

    Both compute in float32 on the exported (perhaps rounded) weights; one model is in memory at a time.
    Raises LlamaError where the difference is larger than TOLERANCE, or the tokenizers give different ids.
    """
    try:
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils.logging import disable_progress_bar
    except ImportError as error:
        raise LlamaError("install 'llama-pretrain[pipeline]': transformers checks the export") from error
    fast = AutoTokenizer.from_pretrained(folder)
    for text in PROBES:
        ours, theirs = tokenizer.encode(text, bos=True), fast(text)["input_ids"]
        if ours != theirs:
            raise LlamaError(f"the exported tokenizer differs from ours on {text!r}: {theirs}, not {ours}")
    length = min(64, recipe.train.seq_len)
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(tokenizer.n_words, (2, length), generator=generator)  # (B, S)
    with torch.no_grad():
        expected = _our_model(recipe, train, tokenizer.n_words)(tokens)
        gc.collect()
        disable_progress_bar()
        theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        found = theirs(tokens).logits
    difference = float((found - expected).abs().max())
    if not difference <= TOLERANCE:
        raise LlamaError(
            f"the export differs from our model by {difference:.3g} in a logit: it was not committed"
        )
    return difference


def _our_model(recipe: Recipe, train: Artifact, vocab_size: int) -> Llama:
    """Return our model with the trained weights, rounded as the export's are, in float32."""
    model = Llama(recipe.model, vocab_size, attention="sdpa")
    checkpoint.load_weights(train.store, checkpoint.final(train), model)
    for parameter in model.parameters():
        parameter.data = parameter.data.to(DTYPES[recipe.train.precision]).float()
    return model.eval()


def _publish_weights(shard: OpenShard, weights: Weights, dtype: torch.dtype, file_bytes: int) -> None:
    ours = {names.to_huggingface(name): name for name in weights.names}
    shapes = {theirs: weights.shape(name) for theirs, name in ours.items()}
    files = safetensors_file.split(shapes, dtype, file_bytes)
    for file, inside in files.items():
        with shard.publish(file) as writer:
            some = {name: shapes[name] for name in inside}
            safetensors_file.write(writer, some, dtype, lambda name: _pieces(weights, ours[name]))
    if len(files) > 1:
        shard.publish_bytes(safetensors_file.INDEX, safetensors_file.index(files, shapes, dtype))


def _pieces(weights: Weights, name: str) -> Iterator[torch.Tensor]:
    """Yield the rows of a tensor in the layout of Hugging Face, some whole heads of them at a time."""
    heads = weights.model.head_dim if names.is_rotated(name) else 1
    for piece in weights.pieces(name, heads):
        yield names.permute(name, piece, len(piece) // heads)


def _texts(recipe: Recipe, tokenizer: Tokenizer) -> dict[str, bytes]:
    """Return the files of the export that are not weights, by name."""
    specials = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    tokenizer_config = {
        # LlamaTokenizer would build its own pipeline from the vocabulary; this class uses tokenizer.json.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_bos_token": True,
        "add_eos_token": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": recipe.train.seq_len,
        **specials,
    }
    ends = {"bos_token_id": tokenizer.bos_id, "eos_token_id": tokenizer.eos_id}
    return {
        "config.json": to_json(config(recipe, tokenizer.n_words) | ends),
        "generation_config.json": to_json(ends),
        "tokenizer.json": tokenizer_json(tokenizer.model),
        "tokenizer.model": tokenizer.model,
        "tokenizer_config.json": to_json(tokenizer_config),
        "special_tokens_map.json": to_json(specials),
        "code/llama_pyfunc.py": (resources.files("llama_core.export") / "pyfunc_model.py").read_bytes(),
        "code/__pycache__": NO_BYTECODE,
    }


def _sums(step: Step, shard: OpenShard) -> bytes:
    """Return the file that `sha256sum -c` checks the export by: a digest and a name for each of its files."""
    start = step.place_of("")
    found = sorted((entry.name.removeprefix(start), entry.sha256) for entry in shard.objects)
    return "".join(f"{digest}  {name}\n" for name, digest in found).encode()


def config(recipe: Recipe, vocab_size: int) -> dict[str, Any]:
    """Return `config.json` of LlamaForCausalLM. What transformers 5 has renamed is there under both names."""
    model = recipe.model
    dtype = str(DTYPES[recipe.train.precision]).removeprefix("torch.")
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "attention_bias": False,
        "mlp_bias": False,
        "head_dim": model.head_dim,
        "hidden_act": "silu",
        "hidden_size": model.dim,
        "initializer_range": recipe.train.init_std,
        "intermediate_size": model.ffn_dim,
        "max_position_embeddings": recipe.train.seq_len,
        "num_attention_heads": model.n_heads,
        "num_hidden_layers": model.n_layers,
        "num_key_value_heads": model.n_heads,
        "rms_norm_eps": model.norm_eps,
        "rope_parameters": {"rope_type": "default", "rope_theta": model.rope_theta},
        "rope_theta": model.rope_theta,
        "tie_word_embeddings": False,
        "dtype": dtype,
        "torch_dtype": dtype,
        "vocab_size": vocab_size,
    }


@contextmanager
def _local(step: Step, shard: OpenShard) -> Iterator[Path]:
    """Return a local folder with the attempt's files: their own if the store is local, else a copy."""
    if step.folder.is_local:
        yield Path(step.folder.path(step.attempt))
        return
    with tempfile.TemporaryDirectory(prefix="llama-export-") as folder:
        for entry in shard.objects:
            path = Path(folder) / entry.name.removeprefix(step.place_of(""))
            path.parent.mkdir(parents=True, exist_ok=True)
            with step.folder.open(entry.name) as source, path.open("wb") as target:
                while chunk := source.read(8 << 20):
                    target.write(chunk)
        yield Path(folder)
