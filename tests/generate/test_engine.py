"""The engine gives what the model alone would give, whatever shares its batch."""

import pytest
import torch
from trained import Trained

from llama_core.errors import InputError
from llama_core.generate.engine import choose, complete, generate
from llama_core.model.init import init_weights
from llama_core.model.llama import Llama
from llama_core.recipes.training import Model

VOCAB = 64


@pytest.fixture(scope="module")
def model() -> Llama:
    model = Llama(Model(dim=32, n_layers=2, n_heads=2, multiple_of=32), VOCAB)
    init_weights(model, model.cfg, 0.3, seed=1)
    return model.eval()


def greedy_without_cache(model: Llama, prompt: list[int], n: int) -> list[int]:
    tokens = list(prompt)
    with torch.no_grad():
        for _ in range(n):
            tokens.append(int(model(torch.tensor([tokens]))[0, -1].argmax()))
    return tokens[len(prompt) :]


def test_greedy_text_is_the_one_of_whole_forward_passes(model: Llama) -> None:
    prompt = [1, 5, 9, 20]
    assert generate(model, [prompt], 20) == [greedy_without_cache(model, prompt, 20)]


def test_a_prompt_gives_the_same_beside_longer_and_shorter_ones(model: Llama) -> None:
    prompts = [[1, 5], [1, 7, 8, 9, 10, 11, 12], [1], [1, 5, 6]]
    together = generate(model, prompts, 9)
    assert together == [greedy_without_cache(model, p, 9) for p in prompts]


def test_sampling_repeats_with_its_seed_and_does_not_depend_on_neighbours(model: Llama) -> None:
    options = {"temperature": 1.0, "top_p": 0.9, "seed": 3}
    (alone,) = generate(model, [[1, 5]], 12, **options)
    beside = generate(model, [[1, 2, 3, 4], [1, 5]], 12, **options)[1]
    (other_seed,) = generate(model, [[1, 5]], 12, **(options | {"seed": 4}))
    assert alone == beside
    assert alone != other_seed


def test_generation_stops_at_the_end_token(model: Llama) -> None:
    free = greedy_without_cache(model, [1, 5, 9], 12)
    end = free[4]
    first = free.index(end)
    assert generate(model, [[1, 5, 9], [1]], 12, eos_id=end)[0] == free[:first]


def test_top_p_draws_only_from_the_most_likely() -> None:
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()[[2, 0, 3, 1]]
    generator = torch.Generator().manual_seed(0)
    drawn = {choose(logits, 1.0, 0.7, generator) for _ in range(200)}
    assert drawn == {1, 3}  # 0.5, then 0.3 crosses 0.7
    assert {choose(logits, 1.0, 1.0, generator) for _ in range(500)} == {0, 1, 2, 3}
    assert {choose(logits, 1.0, 0.0, generator) for _ in range(20)} == {1}


def test_a_long_prompt_keeps_its_end(trained: Trained) -> None:
    model, tokenizer = trained.model(), trained.tokenizer
    text = "".join(chr(ord("a") + i % 26) * 2 for i in range(200))
    ids = tokenizer.encode(text, bos=True)
    (found,) = complete(model, tokenizer, [text], 4, seq_len=24, stop=False)
    (new,) = generate(model, [[ids[0], *ids[-19:]]], 4)
    assert found == tokenizer.decode(ids + new)[len(text) :]


def test_text_ends_where_the_models_sight_ends_and_keeps_half_for_the_prompt(trained: Trained) -> None:
    model, tokenizer = trained.model(), trained.tokenizer
    short, long = tokenizer.encode("def", bos=True), tokenizer.encode("def main(self): " * 9, bos=True)
    few, many = complete(model, tokenizer, ["def main(self): " * 9, "def"], 100, seq_len=16, stop=False)
    half = [long[0], *long[-7:]]
    assert few == tokenizer.decode(half + generate(model, [half], 8)[0])[len(tokenizer.decode(half)) :]
    (expected,) = generate(model, [short], 16 - len(short))
    assert many == tokenizer.decode(short + expected)[len("def") :]


def test_values_that_no_text_can_be_drawn_with_are_refused(model: Llama) -> None:
    for wrong in ({"top_p": 0.0}, {"top_p": float("nan")}, {"temperature": -1.0}, {"seed": -1}):
        with pytest.raises(InputError, match="give"):
            generate(model, [[1]], 2, **wrong)
    with pytest.raises(InputError, match="give 1 or more"):
        generate(model, [[1]], 0)


def test_a_model_without_probabilities_is_said_by_name() -> None:
    logits = torch.tensor([0.0, float("nan"), 1.0])
    with pytest.raises(InputError, match="no probabilities"):
        choose(logits, 1.0, 1.0, torch.Generator())


def test_the_coldest_temperature_takes_the_best() -> None:
    logits, generator = torch.tensor([0.1, 0.3, 0.2]), torch.Generator().manual_seed(0)
    assert {choose(logits, t, 1.0, generator) for t in (0.0, 5e-324, 1e-200, 1e-9)} == {1}
