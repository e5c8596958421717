"""lm-eval with its own Hugging Face model on the export agrees with us on ours."""

import json
import os
from typing import Any

import pytest
import torch
from asked import run
from lm_eval_model import AsLmEval, exported
from trained import Trained

from llama_core.evaluate.benchmark import File
from llama_core.evaluate.benchmarks import BENCHMARKS
from llama_core.evaluate.model import TrainedModel
from llama_core.evaluate.score import Scorer
from llama_core.store import Store
from llama_core.train.distributed import World

WORDS = ["the", "function", "returns", "a", "value", "None", "when", "self.x", "= [1,", "is", "empty"]


def by_lm_eval(model: Any, rows: list[dict[str, Any]]) -> dict[str, float]:
    """The accuracies that lm-eval finds on questions in ARC's plain layout."""
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1")
    import datasets
    from lm_eval.evaluator import evaluate
    from lm_eval.tasks import TaskManager

    config = {
        "task": "made_up",
        "custom_dataset": lambda **_: {"test": datasets.Dataset.from_list(rows)},
        "test_split": "test",
        "output_type": "multiple_choice",
        "num_fewshot": 0,
        "doc_to_text": "Question: {{question}}\nAnswer:",
        "doc_to_choice": "choices",
        "doc_to_target": "gold",
        "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}],
    }
    loaded = TaskManager(include_defaults=False).load([config])
    found = evaluate(model, loaded, bootstrap_iters=0, log_samples=False)["results"]["made_up"]
    return {name: found[f"{name},none"] for name in ("acc", "acc_norm")}


@pytest.mark.slow
def test_our_scores_are_those_of_lm_evals_own_model_on_the_export(trained: Trained, store: Store) -> None:
    folder = exported(trained, store)
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    theirs = HFLM(pretrained=folder, device="cpu", batch_size=4, dtype="float32")
    seq_len = trained.recipe.train.seq_len
    scorer = Scorer(trained.model(), seq_len, 512, World(0, 1, torch.device("cpu")))
    model = TrainedModel(scorer, trained.tokenizer)
    ours = AsLmEval(model)

    generator = torch.Generator().manual_seed(1)

    def words(n: int) -> str:
        return " ".join(WORDS[i] for i in torch.randint(len(WORDS), (n,), generator=generator))

    pairs = [(words(5 + 3 * i), " " + words(1 + i % 5)) for i in range(24)]  # the longest are cut
    requests = [Instance("loglikelihood", {}, pair, i) for i, pair in enumerate(pairs)]
    for mine, other in zip(ours.loglikelihood(requests), theirs.loglikelihood(requests), strict=True):
        assert mine[0] == pytest.approx(other[0], abs=1e-3)
        assert mine[1] == other[1]

    rows = [
        {"id": str(n), "question": words(12), "choices": [words(1 + i) for i in range(4)], "gold": n % 4}
        for n in range(30)
    ]
    file = File("ARC-Easy_test.jsonl", "\n".join(map(json.dumps, rows)).encode())
    arc = BENCHMARKS["arc_easy"]
    result = run(arc, arc.variants[0], arc.load({"items": [file]}), model)
    accuracies = {"acc": result.figures["accuracy by plain likelihood"], "acc_norm": result.score}
    assert by_lm_eval(theirs, rows) == by_lm_eval(ours, rows) == accuracies

    # Told to add no BOS to a text, HFLM does not score one either.
    plain = HFLM(pretrained=folder, device="cpu", batch_size=1, dtype="float32", add_bos_token=False)
    texts = [Instance("loglikelihood_rolling", {}, (words(n),), i) for i, n in enumerate((4, 60, 150))]
    expected = plain.loglikelihood_rolling(texts)
    assert ours.loglikelihood_rolling(texts) == pytest.approx(expected, rel=1e-4), json.dumps(expected)

    asked = {"until": ["\n", "e "], "max_gen_toks": 16, "do_sample": False}
    # They fit: of one that is cut, ours keeps the BOS as well, and theirs does not.
    some = [
        text for text in (words(1 + i % 9) for i in range(30)) if len(trained.tokenizer.encode(text)) < 40
    ]
    assert len(some) > 10
    prompts = [Instance("generate_until", {}, (text, asked), i) for i, text in enumerate(some)]
    found = zip(ours.generate_until(prompts), theirs.generate_until(prompts), strict=True)
    # Decoded without its prompt, as theirs is, a text loses its first space. Of bytes that are no UTF-8
    # SentencePiece keeps those that are characters, and transformers none.
    written = [(mine.removeprefix(" "), other) for mine, other in found]
    assert sum("\ufffd" not in other for _, other in written) > 1, written
    assert [pair for pair in written if not pair[0].startswith(pair[1].partition("\ufffd")[0])] == []
    assert [pair for pair in written if pair[0] != pair[1] and "\ufffd" not in pair[1]] == []
