"""A model of ours, or a scripted one, as lm-eval asks it: to compare benchmarks of lm-eval's with ours."""

from typing import Any

from lm_eval.api.model import LM

from llama_core.evaluate.benchmark import Continuation, Generation, Likelihood, Model, Request, Whole


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
