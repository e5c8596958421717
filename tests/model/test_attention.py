"""Attention: one mask, the same result from every backend, and a cache that changes nothing."""

import logging

import pytest
import torch

from llama_core.errors import RecipeError
from llama_core.model import attention as module
from llama_core.model.attention import Cache, DocMask, attention, backend_for
from llama_core.recipes.training import Model

BOS = 1
TOKENS = torch.tensor(
    [
        [1, 5, 6, 2, 1, 7, 8, 9, 2, 1, 5, 5],
        [5, 6, 2, 1, 2, 1, 7, 7, 7, 7, 7, 7],  # begins inside a document; one of two tokens
        [9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9],
    ]
)


def qkv(batch, length, heads=2, dim=8, seed=0, **options):
    generator = torch.Generator().manual_seed(seed)
    shape = (3, batch, length, heads, dim)
    return [x.to(**options).requires_grad_() for x in torch.randn(shape, generator=generator).unbind()]


def test_documents_are_the_parts_between_bos_tokens():
    mask = DocMask.from_tokens(TOKENS, BOS)
    assert mask.lengths == [4, 5, 3, 3, 2, 7, 12]
    assert sum(mask.lengths) == TOKENS.numel()


def test_the_xformers_mask_is_our_dense_mask():
    mask = DocMask.from_tokens(TOKENS, BOS)
    batch, length = TOKENS.shape
    theirs = mask.block_diagonal.materialize((batch * length, batch * length)) == 0
    ours = torch.block_diag(*(m[0] for m in mask.dense)).bool()
    assert torch.equal(theirs, ours)


def test_masked_attention_is_attention_to_each_document_alone():
    q, k, v = qkv(*TOKENS.shape)
    mask = DocMask.from_tokens(TOKENS, BOS)
    packed = attention(q, k, v, mask, "sdpa").flatten(0, 1)
    parts = [x.flatten(0, 1)[None].split(mask.lengths, 1) for x in (q, k, v)]
    alone = torch.cat([attention(*part, None, "sdpa")[0] for part in zip(*parts, strict=True)])
    assert torch.allclose(packed, alone, atol=1e-6)


def test_a_query_never_sees_a_later_key():
    q, k, v = qkv(1, 6)
    before = attention(q, k, v, None, "sdpa")
    with torch.no_grad():
        k[:, 4:] += 1
        v[:, 4:] += 1
    after = attention(q, k, v, None, "sdpa")
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4:], after[:, 4:])


def test_queries_are_the_last_of_the_keys_positions():
    q, k, v = qkv(2, 7)
    whole = attention(q, k, v, None, "sdpa")
    assert torch.allclose(attention(q[:, 4:], k, v, None, "sdpa"), whole[:, 4:], atol=1e-6)


def test_a_full_cache_says_so():
    cache = Cache(Model(dim=16, n_layers=1, n_heads=2), batch=1, max_len=4)
    with pytest.raises(ValueError, match="holds 4 positions, not 5"):
        cache.extend(0, *(x.detach() for x in qkv(1, 5)[:2]))


def test_xformers_asked_for_on_a_cpu_is_answered_in_the_log_once(caplog):
    backend_for.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert [backend_for("xformers", "cpu") for _ in range(3)] == ["sdpa"] * 3
    assert caplog.text.count("SDPA computes attention") == 1


def test_cuda_without_xformers_is_an_error_and_not_a_fallback(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "xformers.ops", None)
    backend_for.cache_clear()
    module._load_xformers.cache_clear()
    with pytest.raises(RecipeError, match=r"layout\.attention to sdpa"):
        backend_for("auto", "cuda")
    assert backend_for("sdpa", "cuda") == "sdpa"


def test_inputs_that_xformers_cannot_compute_are_an_error_that_says_what_to_set():
    with pytest.raises(RecipeError, match=r"layout\.attention to sdpa.*No operator found"):
        attention(*qkv(1, 8), None, "xformers")  # on a CPU


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("dtype,tolerance", [(torch.bfloat16, 2e-2), (torch.float32, 1e-4)])
def test_the_xformers_kernel_equals_sdpa_forward_and_backward(dtype, tolerance, masked):
    tokens = torch.randint(1, 40, (2, 256), generator=torch.Generator().manual_seed(3))
    mask = DocMask.from_tokens(tokens, BOS, "cuda") if masked else None
    results = []
    for backend in ("xformers", "sdpa"):
        q, k, v = qkv(2, 256, heads=4, dim=64, device="cuda", dtype=dtype)
        out = attention(q, k, v, mask, backend_for(backend, "cuda"))
        results.append((out, *torch.autograd.grad(out.float().square().sum(), (q, k, v))))
    for ours, reference in zip(*results, strict=True):
        assert torch.allclose(ours.float(), reference.float(), atol=tolerance, rtol=tolerance)
