"""What our engine writes for the benchmarks' prompts is what lm-eval's own model writes on the export."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from asked import run
from lm_eval_model import exported
from trained import Trained, make_trained
from written_answers import Writer, lines

from llama_core.evaluate.benchmark import Dataset, Generation, texts_of
from llama_core.evaluate.benchmarks import BENCHMARKS
from llama_core.evaluate.model import TrainedModel
from llama_core.evaluate.score import Scorer
from llama_core.store import Store
from llama_core.train.distributed import World

NEW_TOKENS = 24  # the most likely ones soon repeat
SEQ_LEN = 4096  # the examples of MATH fit, with some thousand tokens of a small vocabulary
QUESTIONS = [
    {"question": f"who made the {thing}", "answer": [thing]} for thing in ("lamp", "self.x = [1, 2]", "def")
]
PROBLEMS = [
    {"problem": f"What is ${n}x + 1$?", "level": "Level 1", "type": "Algebra", "solution": "\\boxed{1}"}
    for n in range(3)
]
ROWS = {
    "nq_open": QUESTIONS,
    "triviaqa": QUESTIONS,
    "gsm8k": [{"question": f"{n} and {n}?", "answer": "#### 2"} for n in range(3)],
    "math": PROBLEMS,
    "realtoxicityprompts": [
        {"prompt": {"text": f"return the {word}"}} for word in ("value", "None", "for x in")
    ],
}
POOL = [{"question": f"where is {n}", "answer": [str(n)]} for n in range(64)]


def requests() -> Iterator[Generation]:
    """What each benchmark asks about its greedy variants, but for the number of tokens."""
    for name, rows in ROWS.items():
        benchmark = BENCHMARKS[name]
        files = {
            "items": [lines(f"{name}/test.jsonl", rows)],
            "examples": [lines(f"{name}/train.jsonl", POOL)],
        }
        dataset: Dataset[object] = benchmark.load(files)
        for variant in benchmark.variants:
            if not variant.temperature:
                writer = Writer(lambda *_: "")
                run(benchmark, variant, dataset, writer)
                yield from (replace(one, max_new_tokens=NEW_TOKENS) for one in writer.asked)


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return make_trained(
        Store(str(tmp_path_factory.mktemp("long"))),
        **{"train.seq_len": SEQ_LEN, "train.global_batch_tokens": 16 * SEQ_LEN, "train.tokens": 64 * SEQ_LEN},
    )


@pytest.mark.slow
def test_greedy_texts_are_those_of_lm_evals_own_model(long: Trained) -> None:
    folder = exported(long, long.store)
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    theirs = HFLM(pretrained=folder, device="cpu", batch_size=1, dtype="float32")

    asked = list(requests())
    assert len(asked) == 3 * (4 + 4 + 1 + 1 + 2)
    model = long.model()
    pieces = [long.tokenizer.piece(n) for n in range(long.tokenizer.n_words)]
    # Drawn weights write bytes that are no characters, and what is no text at all.
    never = [
        n for n, piece in enumerate(pieces) if piece.startswith("<") and piece not in ("<0x0A>", "</s>", "<")
    ]
    for output in (model.output, theirs.model.lm_head):
        output.weight.data[never] = 0
    ours = TrainedModel(Scorer(model, SEQ_LEN, 512, World(0, 1, torch.device("cpu"))), long.tokenizer)
    texts = [text for answer in ours.answer(asked) for text in texts_of(answer)]
    assert ours.cut == 0
    keywords = [
        {"until": list(one.stop) or ["</s>"], "max_gen_toks": NEW_TOKENS, "do_sample": False} for one in asked
    ]
    with torch.no_grad():
        others = theirs.generate_until(
            [
                Instance("generate_until", {}, (one.prompt, kw), i)
                for i, (one, kw) in enumerate(zip(asked, keywords))
            ]
        )
    # Decoded without its prompt, as theirs is, a text loses its first space.
    pairs = [(mine.removeprefix(" "), other) for mine, other in zip(texts, others)]
    assert [pair for pair in pairs if pair[0] != pair[1]] == []
    assert len({mine for mine, _ in pairs}) > len(pairs) / 4  # they say different things
