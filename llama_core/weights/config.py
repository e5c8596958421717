"""What `config.json` of a Hugging Face folder says of a model, if that is a LLaMA of 2023.

Whatever changes the logits and is not ours is refused: a model that is loaded gives what transformers gives.
"""

from typing import Any

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from llama_core.errors import InputError
from llama_core.parse import Positive, Text, shaped, shown
from llama_core.recipes.training import Model
from llama_core.weights.weights import Sizes

ANY_DICT = TypeAdapter(dict[Text, Any])
# Keys beside which the type of a rotation may be missing.
PLAIN_ROPE = {"rope_theta", "partial_rotary_factor"}


class Config(BaseModel):
    """The sizes in a `config.json`, bounded. The defaults are those of transformers."""

    vocab_size: int = Field(strict=True, ge=1, le=1 << 24)
    hidden_size: int = Field(strict=True, ge=1, le=1 << 20)
    intermediate_size: int = Field(strict=True, ge=1, le=1 << 22)
    num_hidden_layers: int = Field(strict=True, ge=1, le=1 << 10)
    num_attention_heads: int = Field(strict=True, ge=1, le=1 << 16)
    max_position_embeddings: int = Field(2048, strict=True, ge=1, le=1 << 24)
    rms_norm_eps: Positive = 1e-6


CONFIG = TypeAdapter(Config)
THETA = TypeAdapter(Positive)


def describe(config: Any, url: str) -> Sizes:
    """Return what the value of a `config.json` says. `url`: the folder.

    Raises InputError for what the LLaMA of 2023 does not have, and DamagedError for a size that is none.
    """
    file = f"{url}/config.json"
    shaped(ANY_DICT, config, file)
    if config.get("model_type") != "llama":
        raise InputError(f"{url} holds a {shown(config.get('model_type'))!r}, not a LLaMA")
    sizes = shaped(CONFIG, config, file)
    if found := [name for name, has in _later(config, sizes).items() if has]:
        raise InputError(f"{url} is a later model, with {', '.join(found)}: transformers can load it")
    rope = config.get("rope_scaling") or config.get("rope_parameters") or {}
    theta = next((d["rope_theta"] for d in (rope, config) if d.get("rope_theta") is not None), 10000.0)
    ffn_dim = sizes.intermediate_size
    try:
        model = Model(
            dim=sizes.hidden_size,
            n_layers=sizes.num_hidden_layers,
            n_heads=sizes.num_attention_heads,
            multiple_of=next(m for m in (256, 128, 64, 32, 16, 8, 4, 2, 1) if ffn_dim % m == 0),
            norm_eps=sizes.rms_norm_eps,
            rope_theta=shaped(THETA, theta, f"{file}, rope_theta,"),
        )
    except ValidationError as error:
        raise InputError(f"{url} is no LLaMA: {error.errors()[0]['msg']}") from None
    if model.ffn_dim != ffn_dim:
        raise InputError(f"{url} has intermediate_size {ffn_dim}, where LLaMA's rule gives {model.ffn_dim}")
    return Sizes(model, sizes.vocab_size, sizes.max_position_embeddings)


def _later(config: dict[str, Any], sizes: Config) -> dict[str, bool]:
    """Return what later models have, by its name, and whether this one has it."""

    def other(key: str, *usual: Any) -> bool:
        """Tell whether a setting has another value than the usual one, which stands for none as well."""
        value = config.get(key)
        # `type`: to Python, 1 and True are the same
        return value is not None and not any(type(value) is type(u) and value == u for u in usual)

    return {
        "grouped heads": other("num_key_value_heads", sizes.num_attention_heads),
        "heads of another size": other("head_dim", sizes.hidden_size // sizes.num_attention_heads),
        "scaled rotation": any(_is_scaled(config.get(key)) for key in ("rope_scaling", "rope_parameters")),
        "partial rotation": other("partial_rotary_factor", 1, 1.0),
        "tied embeddings": other("tie_word_embeddings", False),
        "biases": other("attention_bias", False) or other("mlp_bias", False),
        "attention to what follows": other("is_causal", True),
        "another activation": other("hidden_act", "silu", "swish"),
        "a sliding window": other("sliding_window", False) and config.get("use_sliding_window") is not False,
        "quantised weights": other("quantization_config") or other("compression_config"),
    }


def _is_scaled(rope: Any) -> bool:
    """Tell whether the settings of a rotation ask for more than its base, in either spelling of its type."""
    if rope is None or rope == {}:
        return False
    if not isinstance(rope, dict) or any(isinstance(value, dict) for value in rope.values()):
        return True  # a rotation for each kind of layer
    types = [rope[key] for key in ("rope_type", "type") if key in rope]
    if not types and not rope.keys() <= PLAIN_ROPE:
        return True
    return any(kind != "default" for kind in types) or rope.get("partial_rotary_factor", 1) not in (1, None)
