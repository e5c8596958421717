"""The model's logits are the reference implementation's, and its weights come from the seed alone."""

import pytest
import torch

from llama_core.model.attention import DocMask
from llama_core.model.init import init_weights
from llama_core.model.llama import Llama
from llama_core.recipes.training import Model

CFG = Model(dim=64, n_layers=3, n_heads=4, multiple_of=32)
VOCAB = 97


def make(std=0.1, seed=1, cfg=CFG):
    model = Llama(cfg, VOCAB)
    init_weights(model, model.cfg, std, seed)
    return model.eval()


def tokens(batch, length, seed=0):
    return torch.randint(0, VOCAB, (batch, length), generator=torch.Generator().manual_seed(seed))


def hugging_face(model, permute):
    """The same weights in transformers' own LLaMA, which rotates halves of a head and not pairs."""
    from transformers import LlamaConfig, LlamaForCausalLM

    names = {
        "tok_embeddings": "model.embed_tokens",
        "norm": "model.norm",
        "output": "lm_head",
        "attention.wq": "self_attn.q_proj",
        "attention.wk": "self_attn.k_proj",
        "attention.wv": "self_attn.v_proj",
        "attention.wo": "self_attn.o_proj",
        "feed_forward.w1": "mlp.gate_proj",
        "feed_forward.w2": "mlp.down_proj",
        "feed_forward.w3": "mlp.up_proj",
        "attention_norm": "input_layernorm",
        "ffn_norm": "post_attention_layernorm",
    }
    weights = {}
    for name, weight in model.state_dict().items():
        key = name.removesuffix(".weight")
        prefix = ""
        if key.startswith("layers."):
            _, layer, key = key.split(".", 2)
            prefix = f"model.layers.{layer}."
        if permute and key in ("attention.wq", "attention.wk"):
            weight = weight.unflatten(0, (CFG.n_heads, -1, 2)).transpose(1, 2).flatten(0, 2)
        weights[f"{prefix}{names[key]}.weight"] = weight
    config = LlamaConfig(
        vocab_size=VOCAB,
        hidden_size=CFG.dim,
        intermediate_size=CFG.ffn_dim,
        num_hidden_layers=CFG.n_layers,
        num_attention_heads=CFG.n_heads,
        rms_norm_eps=CFG.norm_eps,
        tie_word_embeddings=False,
    )
    reference = LlamaForCausalLM(config).eval()
    reference.load_state_dict(weights)
    return reference


@torch.no_grad()
def test_logits_equal_transformers_with_the_permutation_and_differ_without():
    model, x = make(), tokens(2, 50)
    ours = model(x)
    assert ours.std() > 0.3, "too small to tell a difference"
    assert torch.allclose(ours, hugging_face(model, permute=True)(x).logits, atol=1e-4)
    assert (ours - hugging_face(model, permute=False)(x).logits).abs().max() > 0.1


@torch.no_grad()
def test_with_a_mask_a_document_gives_its_logits_whatever_stands_before_it():
    model, x = make(), tokens(1, 30).clamp(min=2)
    x[0, [0, 11]] = 1
    y = x.clone()
    y[0, 3:9] = 5
    logits = [model(z, DocMask.from_tokens(z, bos_id=1)) for z in (x, y)]
    assert torch.equal(logits[0][:, 11:], logits[1][:, 11:])
    assert not torch.allclose(model(x)[:, 11:], model(y)[:, 11:])


def test_parameters_have_the_released_names_and_are_as_many_as_the_recipe_says():
    model = make()
    names = set(model.state_dict())
    assert "layers.2.attention.wq.weight" in names and "layers.0.feed_forward.w3.weight" in names
    assert not any("rope" in name for name in names)
    assert sum(p.numel() for p in model.parameters()) == CFG.n_params(VOCAB)


def test_weights_are_those_of_the_seed_and_the_name():
    one, same, other = make(seed=1), make(seed=1), make(seed=2)
    deeper = make(seed=1, cfg=CFG.model_copy(update={"n_layers": 5}))
    name = "layers.1.attention.wq.weight"
    assert torch.equal(one.state_dict()[name], same.state_dict()[name])
    assert torch.equal(one.state_dict()[name], deeper.state_dict()[name])
    assert not torch.equal(one.state_dict()[name], other.state_dict()[name])


def test_what_writes_into_the_residual_stream_is_drawn_smaller():
    weights = make(std=0.1).state_dict()
    for name in ("attention.wo", "feed_forward.w2"):
        assert weights[f"layers.0.{name}.weight"].std() == pytest.approx(0.1 / 6**0.5, rel=0.05)
    assert weights["layers.0.attention.wq.weight"].std() == pytest.approx(0.1, rel=0.05)


def test_a_model_built_on_meta_and_filled_gives_the_same_logits():
    with torch.device("meta"):
        empty = Llama(CFG, VOCAB)
    empty.to_empty(device="cpu")
    init_weights(empty, empty.cfg, 0.1, 1)
    assert torch.equal(empty(tokens(1, 9)), make()(tokens(1, 9)))
