"""What lm-eval asks to be generated comes from the engine."""

import pytest
import torch
from trained import Trained

from llama_core.errors import InputError
from llama_core.evaluate.harness import language_model, sampling_of
from llama_core.evaluate.score import Scorer
from llama_core.generate.engine import Engine, Sampling
from llama_core.train.distributed import World

PROMPTS = ["def main(self):", "The", "x = [", "import os"]


def test_requests_with_different_settings_are_answered_in_their_order(trained: Trained) -> None:
    pytest.importorskip("lm_eval")
    from lm_eval.api.instance import Instance

    scorer = Scorer(trained.model(), 64, 512, World(0, 1, torch.device("cpu")))
    model = language_model(scorer, trained.tokenizer)
    engine = Engine(trained.model(), trained.tokenizer, 64)
    (free,) = engine.complete(PROMPTS[:1], Sampling(12, 0.0))
    asked = [
        {"until": [free[3:5]], "max_gen_toks": 12},
        {"until": "\n", "max_gen_toks": 12, "do_sample": False, "temperature": 0.0},
        {"until": [], "max_gen_toks": 9, "do_sample": True, "temperature": 0.7, "top_p": 0.9},
        {"until": "\n", "max_gen_toks": 12},
    ]
    requests = [
        Instance("generate_until", {}, pair, n) for n, pair in enumerate(zip(PROMPTS, asked, strict=True))
    ]
    found = model.generate_until(requests)
    assert found[0] == free.split(free[3:5])[0]
    settings = [Sampling(12, 0.0, 1.0, ("\n",)), Sampling(9, 0.7, 0.9), Sampling(12, 0.0, 1.0, ("\n",))]
    expected = [engine.complete([p], s)[0] for p, s in zip(PROMPTS[1:], settings, strict=True)]
    assert found[1:] == expected


def test_what_the_engine_cannot_do_is_said() -> None:
    with pytest.raises(InputError, match="num_beams"):
        sampling_of({"until": [], "num_beams": 4})
