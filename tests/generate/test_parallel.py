"""Any number of processes can share a model, and give what one gives."""

import ranks
import torch
from trained import Trained

from llama_core.errors import LlamaError
from llama_core.generate import parallel
from llama_core.generate.engine import Engine, Sampling
from llama_core.generate.load import load
from llama_core.recipes.training import Model
from llama_core.store import Store
from llama_core.train.distributed import World

TOKENS = torch.tensor([[1, 40, 300, 7, 7, 12], [1, 2, 3, 4, 5, 6]])
PROMPTS = ["def main(self):", "The", "import os\n" * 4, "", "x = "]
SAMPLING = Sampling(max_new_tokens=12, temperature=1.0, top_p=0.9, seed=3)


def logits_and_texts(world: World, url: str) -> tuple[list[object], list[list[str]]]:
    model, tokenizer, seq_len = load(url, world=world)
    with torch.no_grad():
        logits = model(TOKENS)
    engine = Engine(model, tokenizer, seq_len, rows=4, world=world)
    return logits.tolist(), engine.samples(PROMPTS, SAMPLING, 2)


def closed_early(world: World, url: str) -> list[str]:
    """The first process reads five tokens, the others all; then they do something together again."""
    engine = Engine(*load(url, world=world), world=world)
    stream = engine.stream(PROMPTS, SAMPLING)
    read = [next(stream).text for _ in range(5)] if world.rank == 0 else [piece.text for piece in stream]
    stream.close()
    return [*read[:5], *engine.complete(PROMPTS[:1], SAMPLING)]


def test_logits_and_texts_are_those_of_one_process(trained: Trained) -> None:
    url = trained.inputs["train"].url
    model, tokenizer, seq_len = load(url)
    with torch.no_grad():
        expected = model(TOKENS)
    texts = Engine(model, tokenizer, seq_len).samples(PROMPTS, SAMPLING, 2)
    for processes in (2, 3):  # the model has two heads: the third process has none
        for logits, found in ranks.call(processes, logits_and_texts, url):
            assert torch.allclose(torch.tensor(logits), expected, atol=1e-4)
            assert found == texts


def test_when_the_first_process_closes_its_stream_the_others_end_too(trained: Trained) -> None:
    found = ranks.call(2, closed_early, trained.inputs["train"].url)
    assert found[0] == found[1]


def says(world: World, url: str) -> str:
    try:
        load(url, world=world)
    except LlamaError as error:
        return str(error)
    return ""


def test_an_error_of_one_process_is_one_of_all(trained: Trained, store: Store) -> None:
    assert all("no model" in said for said in ranks.call(2, says, store.url))


def test_everything_is_divided_once_and_as_evenly_as_it_goes() -> None:
    cfg, device = Model(dim=64, n_layers=1, n_heads=4, multiple_of=32), torch.device("cpu")
    for size in range(2, 9):
        worlds = [World(rank, size, device) for rank in range(size)]
        for name, whole, step in (
            ("layers.0.attention.wq.weight", 64, 16),
            ("layers.0.attention.wo.weight", 64, 16),
            ("layers.0.feed_forward.w2.weight", cfg.ffn_dim, 1),
            ("output.weight", 97, 1),
        ):
            parts = [parallel.part_of(name, cfg, 97, world) for world in worlds]
            borders = [border for part in parts if part for border in part[1:]]
            assert borders[0] == 0 and borders[-1] == whole and borders[1:-1:2] == borders[2:-1:2]
            sizes = {part[2] - part[1] for part in parts if part}
            assert max(sizes) - min(sizes) in (0, step)
        assert parallel.part_of("norm.weight", cfg, 97, worlds[0]) is None
