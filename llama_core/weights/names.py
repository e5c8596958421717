"""Our tensors, which have Meta's names and rotary layout, as Hugging Face's, and back.

Meta rotates neighbouring pairs (0, 1), (2, 3) of a head; Hugging Face rotates (0, d/2), (1, d/2 + 1). The
rows of the query and key projections are permuted so that both give the same scores.
"""

from torch import Tensor

from llama_core.recipes.training import Model

TOP = {
    "tok_embeddings.weight": "model.embed_tokens.weight",
    "norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
BLOCK = {
    "attention.wq.weight": "self_attn.q_proj.weight",
    "attention.wk.weight": "self_attn.k_proj.weight",
    "attention.wv.weight": "self_attn.v_proj.weight",
    "attention.wo.weight": "self_attn.o_proj.weight",
    "feed_forward.w1.weight": "mlp.gate_proj.weight",
    "feed_forward.w2.weight": "mlp.down_proj.weight",
    "feed_forward.w3.weight": "mlp.up_proj.weight",
    "attention_norm.weight": "input_layernorm.weight",
    "ffn_norm.weight": "post_attention_layernorm.weight",
}
ROTATED = ("attention.wq.weight", "attention.wk.weight")


def shapes(cfg: Model, vocab_size: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a model's parameters by our names, in its order, and without making it.

    So it may be of any size.
    """
    dim, ffn_dim = cfg.dim, cfg.ffn_dim
    found: dict[str, tuple[int, ...]] = {"tok_embeddings.weight": (vocab_size, dim)}
    inner = {"w1": (ffn_dim, dim), "w2": (dim, ffn_dim), "w3": (ffn_dim, dim)}
    for layer in range(cfg.n_layers):
        for name in BLOCK:
            matrix = name.removesuffix(".weight").partition(".")[2]
            found[f"layers.{layer}.{name}"] = inner.get(matrix, (dim, dim)) if matrix else (dim,)
    return found | {"norm.weight": (dim,), "output.weight": (vocab_size, dim)}


def to_huggingface(name: str) -> str:
    """Return Hugging Face's name of our tensor `name`."""
    if name in TOP:
        return TOP[name]
    layers, i, rest = name.split(".", 2)
    return f"model.{layers}.{i}.{BLOCK[rest]}"


def is_rotated(name: str) -> bool:
    """Tell whether the rows of our tensor `name` lie in another order in the format of Hugging Face."""
    return name.endswith(ROTATED)


def permute(name: str, tensor: Tensor, n_heads: int) -> Tensor:
    """Return our tensor `name` in Hugging Face's layout. A projection is (dim, dim)."""
    if not is_rotated(name):
        return tensor
    rows, columns = tensor.shape
    return tensor.view(n_heads, rows // n_heads // 2, 2, columns).transpose(1, 2).reshape(rows, columns)


def unpermute(name: str, tensor: Tensor, n_heads: int) -> Tensor:
    """Return a tensor of Hugging Face's in our layout: the inverse of `permute`. `name` is our name."""
    if not is_rotated(name):
        return tensor
    rows, columns = tensor.shape
    return tensor.view(n_heads, 2, rows // n_heads // 2, columns).transpose(1, 2).reshape(rows, columns)
