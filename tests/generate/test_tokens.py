"""A continuation is what the model alone would give, whatever shares its batch."""

from collections.abc import Sequence

import pytest
import torch

from llama_core.errors import InputError
from llama_core.generate import draw, tokens
from llama_core.generate.tokens import Request, generate
from llama_core.model.init import init_weights
from llama_core.model.llama import Llama
from llama_core.recipes.training import Model

VOCAB = 64


@pytest.fixture(scope="module")
def model() -> Llama:
    model = Llama(Model(dim=32, n_layers=2, n_heads=2, multiple_of=32), VOCAB)
    init_weights(model, model.cfg, 0.3, seed=1)
    return model.eval()


def greedy_without_cache(model: Llama, prompt: Sequence[int], n: int) -> list[int]:
    ids = list(prompt)
    with torch.no_grad():
        for _ in range(n):
            ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
    return ids[len(prompt) :]


def texts(model: Llama, requests: Sequence[Request], **options: object) -> list[list[list[int]]]:
    """The new tokens by request and sample."""
    found: list[list[list[int]]] = [[[] for _ in r.seeds] for r in requests]
    settings = {"ends": lambda *_: False} | options
    for token in generate(model, requests, **settings):  # type: ignore[arg-type]
        found[token.request][token.sample].append(token.id)
    return found


def drawn_prompts(count: int, longest: int, seed: int = 0) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, longest + 1, (count,), generator=generator).tolist()
    return [torch.randint(VOCAB, (n,), generator=generator).tolist() for n in lengths]


def test_greedy_texts_are_those_of_whole_forward_passes_whatever_the_batch(
    model: Llama, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = drawn_prompts(23, 40)
    wanted = [1 + n % 13 for n in range(23)]
    expected = [[greedy_without_cache(model, p, n)] for p, n in zip(prompts, wanted, strict=True)]
    requests = [Request(p, n) for p, n in zip(prompts, wanted, strict=True)]
    for rows, read in ((1, 2048), (4, 7), (9, 1), (32, 2048)):
        monkeypatch.setattr(tokens, "READ_AT_ONCE", read)
        assert texts(model, requests, rows=rows) == expected
    monkeypatch.setattr(tokens, "READ_AT_ONCE", 50)
    assert texts(model, requests[::-1], rows=5) == expected[::-1]


def test_a_sampled_text_depends_on_its_prompt_and_seed_alone(model: Llama) -> None:
    prompts = drawn_prompts(9, 20)
    many = [Request(p, 12, 1.0, 0.9, seeds=range(n, n + 5)) for n, p in enumerate(prompts)]
    together = texts(model, many, rows=7)
    assert texts(model, many[::-1], rows=32) == together[::-1]
    for request, found in zip(many, together, strict=True):
        assert len({tuple(text) for text in found}) == 5
        for seed, text in zip(request.seeds, found, strict=True):
            alone = texts(model, [Request(request.ids, 12, 1.0, 0.9, seeds=(seed,))])
            assert alone == [[text]]


def test_samples_of_a_prompt_share_its_reading_even_when_they_end_at_different_times(
    model: Llama, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    forward = Llama.forward

    def noting(self: Llama, ids: torch.Tensor, **options: object) -> torch.Tensor:
        read.append(ids.shape[1])
        return forward(self, ids, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Llama, "forward", noting)
    prompts = [[1, *range(2, 40)], [1, *range(9, 50)]]
    requests = [Request(p, 20, 1.0, 1.0, seeds=range(11)) for p in prompts]
    found = texts(model, requests, rows=6, ends=lambda r, s, i: i % 9 == 0)
    made = sum(len(text) - 1 for group in found for text in group)  # the first comes with the prompt
    assert sum(read) == sum(map(len, prompts)) + made
    assert max(read) <= len(prompts[1]) + 6


def test_prompts_that_begin_alike_share_the_reading_of_it(
    model: Llama, monkeypatch: pytest.MonkeyPatch
) -> None:
    head, others = list(range(50)) * 2, drawn_prompts(20, 9)
    prompts = [head + other for other in others] + [[*head[:60], 7, 8], head, head[:20]]
    expected = [[greedy_without_cache(model, p, 3)] for p in prompts]
    read: list[int] = []
    counts = model.register_forward_pre_hook(lambda module, inputs: read.append(inputs[0].numel()))
    for rows, at_once in ((1, 2048), (5, 2048), (8, 30)):
        monkeypatch.setattr(tokens, "READ_AT_ONCE", at_once)
        read.clear()
        assert texts(model, [Request(p, 3) for p in prompts], rows=rows) == expected
        continued, ends = 2 * len(prompts), sum(map(len, others))
        assert sum(read) < 100 + ends + continued + 3 * tokens.ALIKE + 5 * 20 + at_once // 20
    counts.remove()


def test_a_place_that_is_free_is_taken_by_the_next_prompt(model: Llama) -> None:
    order = []
    requests = [Request([1, n + 2], 2 if n else 40) for n in range(10)]
    for token in generate(model, requests, ends=lambda *_: False, rows=2):
        order.append(token.request)
    assert [order.index(n) for n in range(10)] == sorted(order.index(n) for n in range(10))
    assert len(order) == 40 + 18 and order[-20:] == [0] * 20


def test_the_last_token_is_the_one_that_ends_a_text(model: Llama) -> None:
    free = greedy_without_cache(model, [1, 5, 9], 12)
    first = free.index(free[4])
    found = texts(model, [Request([1, 5, 9], 12), Request([1], 3)], ends=lambda r, s, i: i == free[4])
    assert found[0] == [free[: first + 1]] and len(found[1][0]) <= 3


def test_logprobs_are_those_of_the_model_at_temperature_one(model: Llama) -> None:
    request = Request([1, 5, 9], 6, 0.7, 0.9, seeds=(4, 5))
    ids: list[list[int]] = [[], []]
    for token in generate(model, [request], ends=lambda *_: False, likely=3):
        with torch.no_grad():
            whole = model(torch.tensor([[1, 5, 9, *ids[token.sample]]]))[0, -1].log_softmax(-1)
        assert token.logprob == pytest.approx(float(whole[token.id]), abs=1e-4)
        best = whole.topk(3)
        assert [i for i, _ in token.likely] == best.indices.tolist()
        assert [p for _, p in token.likely] == pytest.approx(best.values.tolist(), abs=1e-4)
        ids[token.sample].append(token.id)


def test_requests_are_taken_only_when_there_is_room(model: Llama) -> None:
    taken = []

    def endless():  # type: ignore[no-untyped-def]
        while True:
            taken.append(1)
            yield Request([1, 2], 3)

    work = generate(model, endless(), ends=lambda *_: False, rows=4)
    for _ in range(8):
        next(work)
    work.close()
    assert len(taken) == 4


def test_a_model_without_probabilities_is_said_by_name(model: Llama) -> None:
    broken = Llama(model.cfg, VOCAB)
    broken.load_state_dict(model.state_dict())
    broken.output.weight.data[3] = float("nan")
    for temperature in (0.0, 1.0):
        with pytest.raises(InputError, match="no probabilities"):
            texts(broken, [Request([1], 4, temperature)])


def rows_of(logits: list[float], temperature: float, top_p: float, n: int) -> torch.Tensor:
    settings = torch.full((n,), temperature), torch.full((n,), top_p)
    return draw.choose(
        torch.tensor([logits] * n), *settings, torch.arange(n), torch.zeros(n, dtype=torch.int64)
    )


def test_top_p_draws_only_from_the_most_likely() -> None:
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()[[2, 0, 3, 1]].tolist()
    assert set(rows_of(logits, 1.0, 0.7, 200).tolist()) == {1, 3}  # 0.5, then 0.3 crosses 0.7
    assert set(rows_of(logits, 1.0, 1.0, 500).tolist()) == {0, 1, 2, 3}
    assert set(rows_of(logits, 1.0, 1e-30, 20).tolist()) == {1}


def test_tokens_are_drawn_as_often_as_they_are_likely() -> None:
    p = torch.tensor([0.5, 0.3, 0.15, 0.05])
    drawn = torch.bincount(rows_of(p.log().tolist(), 1.0, 1.0, 20_000), minlength=4) / 20_000
    assert torch.allclose(drawn, p, atol=0.012)
    warmer = (p.log() / 2).softmax(0)
    drawn = torch.bincount(rows_of(p.log().tolist(), 2.0, 1.0, 20_000), minlength=4) / 20_000
    assert torch.allclose(drawn, warmer, atol=0.012)


def test_a_nucleus_of_more_tokens_than_are_looked_at_first_is_found() -> None:
    generator = torch.Generator().manual_seed(1)
    p = (torch.randn(3, 5000, generator=generator) * 0.5).softmax(-1)
    top_p = torch.tensor([0.9, 0.01, 1.0])
    least = draw.least(p, top_p)
    for row in range(2):
        likely = p[row].sort(descending=True).values
        inside = likely.cumsum(0) - likely <= top_p[row]
        assert least[row] == likely[inside][-1]
    assert least[2] == 0


def test_the_coldest_temperatures_take_the_best_and_the_hottest_any() -> None:
    for temperature in (0.0, 5e-324, 1e-200, 1e-40, 1e-9):
        assert set(rows_of([0.1, 0.3, 0.2], temperature, 1.0, 20).tolist()) == {1}
    assert set(rows_of([0.1, 30.0, 0.2], 1e30, 1.0, 200).tolist()) == {0, 1, 2}


def test_random_numbers_are_those_of_splitmix64() -> None:
    mask = (1 << 64) - 1

    def mix(x: int) -> int:
        x = (x + 0x9E3779B97F4A7C15) & mask
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
        return x ^ (x >> 31)

    seeds, steps = [0, 1, 2**63 - 1, 77], [0, 1, 5, 10_000]
    expected = [
        ((mix((mix(seed) + step * 0x9E3779B97F4A7C15) & mask) >> 41) + 0.5) / 2**23
        for seed, step in zip(seeds, steps, strict=True)
    ]
    assert draw.uniform(torch.tensor(seeds), torch.tensor(steps)).tolist() == expected
