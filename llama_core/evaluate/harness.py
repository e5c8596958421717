"""The benchmarks, run by lm-eval on our model.

Every rank gives lm-eval the same questions and gets the same scores; `Scorer` divides the work among ranks.
lm-eval is imported only where there is a benchmark to run, because that takes seconds.
"""

import logging
import math
import os
from collections.abc import Mapping
from typing import Any, cast

from llama_core import recipe
from llama_core.errors import InputError
from llama_core.evaluate.score import Scorer
from llama_core.evaluate.tasks import NotRun, Question, harness_version, read_questions
from llama_core.generate.engine import Engine, Sampling
from llama_core.model.llama import Llama
from llama_core.tokenizer.model import Tokenizer

MOST_NEW_TOKENS = 256  # what lm-eval's own models take where a task does not say


def run_tasks(scorer: Scorer, tokenizer: Tokenizer, cfg: recipe.Evaluate) -> dict[str, dict[str, Any]]:
    """Return the results of each benchmark by its name, as in `run_questions`, with its file.

    A benchmark that cannot be run has {"status": "not run", "reason": ...} instead, and no score.
    """
    results: dict[str, dict[str, Any]] = {}
    for task in cfg.tasks:
        try:
            questions, name = read_questions(task, cfg.data)
            if harness_version() is None:
                raise NotRun("lm-eval is not installed: pip install 'llama-pretrain[eval]'")
            model = language_model(scorer, tokenizer)
            results[task] = {"status": "done", "file": name} | _run(model, task, questions[: cfg.limit])
        except NotRun as error:
            results[task] = {"status": "not run", "reason": str(error)}
    return results


def _run(model: Any, task: str, questions: list[Question]) -> dict[str, Any]:
    """Return what `run_questions` returns. Raises NotRun where the model cannot take the questions."""
    try:
        return run_questions(model, task, questions)
    except InputError as error:
        raise NotRun(str(error)) from error


def run_questions(model: Any, task: str, questions: list[Question]) -> dict[str, Any]:
    """Let lm-eval score a model (what `language_model` returns, or another of its models) on questions.

    Returns the paper's `score`, which is lm-eval's `metric` acc_norm, its `stderr`, the plain accuracy `acc`,
    the accuracy that `chance` gives, and the number `n` of questions.
    """
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1")
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    import datasets
    from lm_eval.evaluator import evaluate
    from lm_eval.tasks import TaskManager

    config = {
        "task": task,
        "custom_dataset": lambda **_: {"test": datasets.Dataset.from_list(questions)},
        "test_split": "test",
        "output_type": "multiple_choice",
        "num_fewshot": 0,
        "doc_to_text": "query",
        "doc_to_choice": "choices",
        "doc_to_target": "gold",
        "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}],
    }
    # Not `simple_evaluate`, which returns results on the first rank of a node only.
    loaded = TaskManager(include_defaults=False).load([config])
    found = evaluate(model, loaded, bootstrap_iters=0, log_samples=False)
    scores = found["results"][task]
    acc_norm, n = float(scores["acc_norm,none"]), len(questions)
    return {
        "metric": "acc_norm",
        "score": acc_norm,
        "acc": float(scores["acc,none"]),
        "stderr": math.sqrt(acc_norm * (1 - acc_norm) / n),
        "chance": sum(1 / len(q["choices"]) for q in questions) / n,
        "n": n,
    }


def language_model(scorer: Scorer, tokenizer: Tokenizer) -> Any:
    """Return an lm-eval model that scores with `scorer`, and generates with the scorer's model."""
    from lm_eval.api.model import TemplateLM

    engine = Engine(cast("Llama", scorer.model), tokenizer, scorer.seq_len, world=scorer.world)

    class LanguageModel(TemplateLM):
        """What lm-eval asks of a model, answered by `scorer` and `tokenizer`."""

        @property
        def eot_token_id(self) -> int:
            return tokenizer.eos_id

        @property
        def prefix_token_id(self) -> int:
            return tokenizer.bos_id

        def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
            return tokenizer.encode(string, bos=add_special_tokens is not False)

        def loglikelihood(self, requests: list[Any], disable_tqdm: bool = True) -> list[tuple[float, bool]]:
            return super().loglikelihood(requests, disable_tqdm)  # the flow shows progress of its own

        def _loglikelihood_tokens(self, requests: list[Any], **_: Any) -> list[tuple[float, bool]]:
            scores = scorer.score([(context, continuation) for _, context, continuation in requests])
            return [(s.loglikelihood, s.greedy) for s in scores]

        def loglikelihood_rolling(self, requests: list[Any], **_: Any) -> list[float]:
            texts = [tokenizer.encode(request.args[0]) for request in requests]
            return scorer.rolling(texts, tokenizer.bos_id)

        def generate_until(self, requests: list[Any], **_: Any) -> list[str]:
            asked: dict[Sampling, list[int]] = {}
            for number, request in enumerate(requests):
                asked.setdefault(sampling_of(request.args[1]), []).append(number)
            texts = [""] * len(requests)
            for sampling, numbers in asked.items():
                contexts = [requests[number].args[0] for number in numbers]
                for number, text in zip(numbers, engine.complete(contexts, sampling), strict=True):
                    texts[number] = text
            return texts

    return LanguageModel()


def sampling_of(asked: Mapping[str, Any]) -> Sampling:
    """Return the sampling that lm-eval's `gen_kwargs` of a task mean. Raises InputError for others."""
    known = {"until", "max_gen_toks", "do_sample", "temperature", "top_p"}
    if unknown := asked.keys() - known:
        raise InputError(f"a benchmark asks for {sorted(unknown)}, and the engine knows {sorted(known)}")
    until = asked.get("until") or ()
    temperature = float(asked.get("temperature") or 0.0)
    drawn = asked.get("do_sample", temperature > 0)
    return Sampling(
        max_new_tokens=int(asked.get("max_gen_toks", MOST_NEW_TOKENS)),
        temperature=temperature if drawn else 0.0,
        top_p=float(asked.get("top_p", 1.0)),
        stop=(until,) if isinstance(until, str) else tuple(until),
    )
