"""Attention: one mask, the same result from every backend, and a cache that changes nothing."""

import logging

import pytest
import torch

from llama_core.errors import RecipeError
from llama_core.model import attention as attention_module
from llama_core.model import kernels
from llama_core.model.attention import DocMask, attention, backend_for

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
    mask.prepare("xformers")
    theirs = kernels.block_diagonal(mask.host, mask.device)
    assert theirs.q_seqinfo.seqstart.tolist() == [0, 4, 9, 12, 15, 17, 24, 36]
    theirs = theirs.materialize((batch * length, batch * length)) == 0
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


def test_xformers_asked_for_on_a_cpu_is_answered_in_the_log_once(caplog):
    backend_for.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert [backend_for("xformers", "cpu") for _ in range(3)] == ["sdpa"] * 3
    assert caplog.text.count("SDPA computes attention") == 1


def test_cuda_without_xformers_is_an_error_and_not_a_fallback(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "xformers.ops", None)
    backend_for.cache_clear()
    kernels.load_xformers.cache_clear()
    with pytest.raises(RecipeError, match=r"layout\.attention to varlen or sdpa"):
        backend_for("auto", "cuda")
    assert backend_for("sdpa", "cuda") == "sdpa"


def test_inputs_that_xformers_cannot_compute_are_an_error_that_says_what_to_set():
    with pytest.raises(RecipeError, match=r"layout\.attention to sdpa.*No operator found"):
        attention(*qkv(1, 8), None, "xformers")  # on a CPU


def results(backend, mask, device="cpu", dtype=torch.float32, size=(3, 12, 2, 8), attend=attention):
    """Attention and the gradients of q, k and v, in float64."""
    q, k, v = qkv(*size, device=device, dtype=dtype)
    weights = torch.randn(size, generator=torch.Generator().manual_seed(5)).to(q)
    if mask is not None:
        mask.prepare(backend)
    out = attend(q, k, v, mask, backend)
    return [x.double() for x in (out, *torch.autograd.grad((out * weights).sum(), (q, k, v)))]


def assert_near(one, other, tolerance):
    for x, y in zip(one, other, strict=True):
        assert (x - y).norm() <= tolerance * y.norm()


@pytest.mark.parametrize("dtype,tolerance", [(torch.float32, 1e-5), (torch.bfloat16, 1e-2)])
@pytest.mark.parametrize("together", [False, True], ids=["one after the other", "under a mask"])
def test_documents_on_a_cpu_are_computed_as_under_the_dense_mask(monkeypatch, dtype, tolerance, together):
    monkeypatch.setitem(kernels.DENSE_UP_TO, dtype, 12 if together else 0)
    dense = DocMask.from_tokens(TOKENS, BOS)
    dense.prepare = lambda _: None  # so that attention takes the dense form
    expected = results("sdpa", dense)
    assert_near(results("sdpa", DocMask.from_tokens(TOKENS, BOS), dtype=dtype), expected, tolerance)


@pytest.mark.parametrize("length", [5, 128, 300])
def test_products_in_bf16_agree_with_float32_and_see_nothing_that_comes_later(monkeypatch, length):
    size = (2, length, 2, 8)
    by_flash = results("sdpa", None, size=size)
    assert_near(results("sdpa", None, dtype=torch.bfloat16, size=size), by_flash, 1e-2)
    monkeypatch.setattr(attention_module, "_is_short", lambda q: True)
    assert_near(results("sdpa", None, size=size), by_flash, 1e-5)
    q, k, v = qkv(*size)
    out = attention(q, k, v, None, "sdpa")
    for gradient in torch.autograd.grad(out[:, length // 2].sum(), (k, v)):
        assert gradient[:, : length // 2 + 1].abs().sum((0, 2, 3)).all()
        assert not gradient[:, length // 2 + 1 :].any()


@pytest.mark.parametrize("together", [False, True])
def test_a_gradient_stays_in_its_document(monkeypatch, together):
    monkeypatch.setitem(kernels.DENSE_UP_TO, torch.float32, 12 if together else 0)
    mask = DocMask.from_tokens(TOKENS, BOS)
    mask.prepare("sdpa")
    inputs = qkv(*TOKENS.shape)
    out = attention(*inputs, mask, "sdpa")
    for gradient in torch.autograd.grad(out[1, 8].sum(), inputs):
        reached = gradient.abs().sum((2, 3)) > 0
        assert reached.nonzero().tolist() and not reached[[0, 2]].any()
        assert not reached[1, :5].any() and not reached[1, 9:].any(), "a document of positions 5 to 11"


def test_new_documents_neither_break_nor_renew_what_is_compiled():
    from torch._dynamo.testing import CompileCounterWithBackend

    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(
        lambda q, k, v, m: attention(2 * q, k, v, m, "sdpa"), backend=counter, fullgraph=True
    )
    for shift in range(4):
        mask = DocMask.from_tokens(TOKENS.roll(shift, 1).masked_fill(TOKENS.eq(shift), BOS), BOS)
        mask.prepare("sdpa")
        q, k, v = qkv(*TOKENS.shape)
        outs = [f(q, k, v, mask) for f in (compiled, lambda q, k, v, m: attention(2 * q, k, v, m, "sdpa"))]
        ours, expected = (torch.autograd.grad(out.square().sum(), (q, k, v)) for out in outs)
        assert all(torch.equal(x, y) for x, y in zip(ours, expected, strict=True))
    assert counter.frame_count == 1


def test_the_operator_keeps_pytorchs_rules_for_operators():
    mask = DocMask.from_tokens(TOKENS, BOS)
    mask.prepare("sdpa")
    arguments = (*qkv(*TOKENS.shape), mask.host, mask.device, "cpu")
    torch.library.opcheck(torch.ops.llama_core.attention.default, arguments)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("dtype,tolerance", [(torch.bfloat16, 1e-2), (torch.float32, 1e-5)])
@pytest.mark.parametrize("backend", ["xformers", "varlen", "cudnn", "sdpa"])
@pytest.mark.parametrize("compiled", [False, True])
def test_backends_agree_on_a_gpu_forward_and_backward(backend, dtype, tolerance, masked, compiled):
    if backend == "cudnn" and dtype == torch.float32:
        pytest.skip("cuDNN has no attention in float32")
    tokens = torch.randint(1, 40, (2, 256), generator=torch.Generator().manual_seed(3))
    size = (2, 256, 4, 64)
    reference = results("sdpa", DocMask.from_tokens(tokens, BOS) if masked else None, size=size)
    mask = DocMask.from_tokens(tokens, BOS, "cuda") if masked else None
    attend = torch.compile(attention) if compiled else attention
    found = results(backend_for(backend, "cuda"), mask, "cuda", dtype, size, attend)
    assert_near([x.cpu() for x in found], reference, tolerance)
