"""A forward pass with a cache gives the logits of whole texts, however they are cut and mixed."""

import pytest
import torch

from llama_core.model.cache import Cache, Part
from llama_core.model.init import init_weights
from llama_core.model.llama import Llama
from llama_core.recipes.training import Model

CFG = Model(dim=64, n_layers=3, n_heads=4, multiple_of=32)
VOCAB = 97


@pytest.fixture(scope="module")
def model() -> Llama:
    model = Llama(CFG, VOCAB)
    init_weights(model, CFG, 0.1, seed=1)
    return model.eval()


@torch.no_grad()
@pytest.mark.parametrize("steps", [[7, 1, 1, 4, 7], [1] * 20, [20], [3, 17]], ids=str)
def test_texts_in_any_slots_and_pieces_give_their_logits(model: Llama, steps: list[int]) -> None:
    texts = torch.randint(VOCAB, (13, 20), generator=torch.Generator().manual_seed(0))
    expected = model(texts)
    cache, logits = Cache(CFG.n_layers), [[] for _ in texts]
    slots = [n + n // 3 for n in range(13)]  # with slots between them that hold nothing
    start = 0
    for count in steps:
        cache.prepare([Part(slot, start, count) for slot in slots], most=25)
        piece = texts[:, start : start + count]
        for row, found in enumerate(model(piece.reshape(1, -1), cache=cache)[0].split(count)):
            logits[row].append(found)
        start += count
    assert torch.allclose(torch.stack([torch.cat(row) for row in logits]), expected, atol=1e-5)
    assert cache.keys.shape[3] <= 25


@torch.no_grad()
def test_single_tokens_and_prompts_share_a_pass_and_a_copied_text_goes_on_alike(model: Llama) -> None:
    texts = torch.randint(VOCAB, (3, 300), generator=torch.Generator().manual_seed(1))
    cache = Cache(CFG.n_layers)
    cache.prepare([Part(0, 0, 280)], most=300)
    model(texts[:1, :280], cache=cache)
    cache.copy(0, 4, 280)
    parts = [Part(0, 280, 1), Part(4, 280, 1), Part(1, 0, 5), Part(2, 0, 300)]
    cache.prepare(parts, most=300)
    tokens = torch.cat([texts[0, 280:281], texts[0, 280:281], texts[1, :5], texts[2]])
    found = model(tokens[None], cache=cache)[0].split([p.count for p in parts])
    whole = model(texts)
    for row, expected in ((0, whole[0, 280:281]), (1, whole[0, 280:281]), (2, whole[1, :5]), (3, whole[2])):
        assert torch.allclose(found[row], expected, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@torch.no_grad()
def test_flash_attention_by_lengths_gives_what_float32_gives(model: Llama) -> None:
    texts = torch.randint(VOCAB, (3, 300), generator=torch.Generator().manual_seed(1)).cuda()
    found = {}
    for dtype in (torch.float32, torch.bfloat16):
        copied = Llama(CFG, VOCAB, attention="sdpa").to("cuda", dtype)
        copied.load_state_dict(model.state_dict())
        cache = Cache(CFG.n_layers, "cuda")
        cache.prepare([Part(1, 0, 280), Part(3, 0, 7)], most=300)
        copied(torch.cat([texts[0, :280], texts[1, :7]])[None], cache=cache)
        cache.copy(1, 5, 280)
        cache.prepare([Part(1, 280, 1), Part(5, 280, 1), Part(0, 0, 300), Part(3, 7, 20)], most=300)
        tokens = torch.cat([texts[0, 280:281], texts[0, 280:281], texts[2], texts[1, 7:27]])
        found[dtype] = copied(tokens[None], cache=cache).float()
    assert (found[torch.float32] - found[torch.bfloat16]).abs().max() < 0.1 * found[torch.float32].std()


def test_the_order_that_the_kernels_need_is_demanded() -> None:
    with pytest.raises(ValueError, match="single tokens come first"):
        Cache(1).prepare([Part(0, 0, 3), Part(1, 0, 1)], most=9)
