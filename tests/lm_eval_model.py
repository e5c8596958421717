"""A model of ours, or a scripted one, as lm-eval asks it, and the same weights for its own model."""

from pathlib import Path
from typing import Any

import pytest
from lm_eval.api.model import LM
from trained import Trained

from llama_core.evaluate.benchmark import Continuation, Generation, Likelihood, Model, Request, Whole
from llama_core.export import REVISION, huggingface
from llama_core.step import Step
from llama_core.store import Store


def exported(trained: Trained, store: Store) -> str:
    """The folder of the export of a model of ours, for lm-eval's own model, which is Hugging Face's."""
    pytest.importorskip("accelerate", reason="lm-eval's own model needs it")
    step = Step(store, "export", REVISION, {})
    huggingface.export(step, trained.recipe, trained.inputs["train"], trained.inputs["tokenizer"])
    shard = step.committed(huggingface.SHARD)
    assert shard is not None
    return str(Path(step.folder.path(shard.object("/config.json").name)).parent)


class AsLmEval(LM):
    """What lm-eval asks, answered by a `Model`."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def _likelihoods(self, requests: list[Request]) -> list[Likelihood]:
        return [answer for answer in self.model.answer(requests) if isinstance(answer, Likelihood)]

    def loglikelihood(self, requests: list[Any], **_: Any) -> list[tuple[float, bool]]:
        found = self._likelihoods([Continuation(*request.args) for request in requests])
        return [(likelihood.nats, likelihood.greedy) for likelihood in found]

    def loglikelihood_rolling(self, requests: list[Any], **_: Any) -> list[float]:
        return [found.nats for found in self._likelihoods([Whole(request.args[0]) for request in requests])]

    def generate_until(self, requests: list[Any], **_: Any) -> list[str]:
        asked: list[Request] = []
        for request in requests:
            prompt, options = request.args
            known = {"until", "max_gen_toks", "do_sample", "temperature", "top_p"}
            assert options.keys() <= known, options
            until = options.get("until") or ()
            drawn = options.get("do_sample", options.get("temperature", 0) > 0)
            asked.append(
                Generation(
                    prompt,
                    int(options.get("max_gen_toks", 256)),
                    (until,) if isinstance(until, str) else tuple(until),
                    temperature=float(options.get("temperature", 0)) if drawn else 0.0,
                    top_p=float(options.get("top_p", 1)),
                )
            )
        return [texts[0] for texts in self.model.answer(asked) if isinstance(texts, list)]
