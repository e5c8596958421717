"""A model as a Hugging Face folder, which transformers and vLLM load, and MLflow with files of its own."""

import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from llama_core.export.files import Files, pieces, size_of
from llama_core.export.tokenizer_json import tokenizer_json
from llama_core.objects import Object
from llama_core.store import to_json
from llama_core.tokenizer.model import MODEL, Tokenizer
from llama_core.weights import names, safetensors_file
from llama_core.weights.huggingface import CONFIG
from llama_core.weights.weights import Sizes, Weights

INIT_STD = 0.02  # what transformers would draw weights with, where nobody knows what they were drawn with


def files(
    weights: Weights,
    dtype: torch.dtype,
    init_std: float = INIT_STD,
    file_bytes: int = safetensors_file.FILE_BYTES,
) -> Files:
    """Return the files of a model, whose weights are split at `file_bytes`.

    Raises InputError where its tokenizer cannot become a tokenizer.json.
    """
    ours = {names.to_huggingface(name): name for name in weights.names}
    shapes = {theirs: weights.shape(name) for theirs, name in ours.items()}
    split = safetensors_file.split(shapes, dtype, file_bytes)
    writers = {
        file: functools.partial(_write, weights, dtype, {name: shapes[name] for name in inside})
        for file, inside in split.items()
    }
    texts = _texts(weights)
    if len(split) > 1:
        texts[safetensors_file.INDEX] = safetensors_file.index(split, shapes, dtype)
    sizes = Sizes(weights.model, weights.vocab_size, weights.seq_len)
    texts[CONFIG] = to_json(config(sizes, dtype, init_std) | _ends(weights.tokenizer))
    return Files(writers, texts, size_of(weights, dtype))


def _write(weights: Weights, dtype: torch.dtype, shapes: Mapping[str, tuple[int, ...]], file: Any) -> None:
    """Write a file with the tensors of these names of Hugging Face's, and of these shapes."""
    ours = {names.to_huggingface(name): name for name in weights.names}

    def of(theirs: str) -> Iterator[Tensor]:
        name = ours[theirs]
        rows = weights.model.head_dim if names.is_rotated(name) else 1
        for piece in pieces(weights, name, dtype, rows):
            yield names.permute(name, piece, len(piece) // rows)

    safetensors_file.write(file, shapes, dtype, of)


def sums(objects: Iterable[Object]) -> bytes:
    """Return the file that `sha256sum -c` checks a folder by: a digest and a name for each of its files."""
    found = sorted((entry.name, entry.sha256) for entry in objects)
    return "".join(f"{digest}  {name}\n" for name, digest in found).encode()


def _ends(tokenizer: Tokenizer) -> dict[str, Any]:
    return {"bos_token_id": tokenizer.bos_id, "eos_token_id": tokenizer.eos_id}


def _texts(weights: Weights) -> dict[str, bytes]:
    """Return the files that are neither weights nor say what they are, by name."""
    specials = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    tokenizer_config = {
        # LlamaTokenizer would build its own pipeline from the vocabulary; this class uses tokenizer.json.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_bos_token": True,
        "add_eos_token": False,
        "clean_up_tokenization_spaces": False,
        "split_special_tokens": True,  # the letters <s> in a text are text, as they are to SentencePiece
        "model_max_length": weights.seq_len,
        **specials,
    }
    return {
        "generation_config.json": to_json(_ends(weights.tokenizer)),
        "tokenizer.json": tokenizer_json(weights.tokenizer.model),
        MODEL: weights.tokenizer.model,
        "tokenizer_config.json": to_json(tokenizer_config),
        "special_tokens_map.json": to_json(specials),
    }


def config(sizes: Sizes, dtype: torch.dtype, init_std: float = INIT_STD) -> dict[str, Any]:
    """Return `config.json` of LlamaForCausalLM. What transformers 5 has renamed is there under both names."""
    model, kind = sizes.model, str(dtype).removeprefix("torch.")
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "attention_bias": False,
        "mlp_bias": False,
        "head_dim": model.head_dim,
        "hidden_act": "silu",
        "hidden_size": model.dim,
        "initializer_range": init_std,
        "intermediate_size": model.ffn_dim,
        "max_position_embeddings": sizes.seq_len,
        "num_attention_heads": model.n_heads,
        "num_hidden_layers": model.n_layers,
        "num_key_value_heads": model.n_heads,
        "rms_norm_eps": model.norm_eps,
        "rope_parameters": {"rope_type": "default", "rope_theta": model.rope_theta},
        "rope_theta": model.rope_theta,
        "tie_word_embeddings": False,
        "dtype": kind,
        "torch_dtype": kind,
        "vocab_size": sizes.vocab_size,
    }
