"""Speed of what an evaluation is made of: texts beside transformers', likelihoods beside lm-eval's.

    python -m benchmarks.evaluate [--threads 2] [--repeat 2] [--device cuda --dtype bfloat16]

Both sides have the same weights and get the same tokens, in turns, in one process. Texts are the first two
cases of `benchmarks.generate`, in batches of 32: `greedy` and `drawn`. Likelihoods are those of questions of
mixed lengths, which lm-eval (HFLM) scores in batches of 32:

    choices    200 questions of 16 to 200 tokens, each with 4 answers of 2 to 32 tokens
    letters    40 questions of 32 to 96 tokens after the same examples of 600 tokens, with 4 answers of one
               token each: lm-eval computes these once as well
    pairs      200 sentences of 20 to 60 tokens in 2 forms, which have nothing in common

They are compared, to 1e-3 in float32. The figures are medians over the rounds.
"""

import json
from typing import Any

import torch

from benchmarks.generate import BATCH, HEADER, SEED, VOCAB, Turns, begin, cases, compare
from llama_core.evaluate.score import Score, Scorer
from llama_core.model.llama import Llama
from llama_core.tokens.heldout import Pair
from llama_core.train.distributed import World

SEQ_LEN, BATCH_TOKENS = 2048, 8192


def main() -> None:
    options, ours, theirs, said = begin(__doc__)
    print(said)
    print(HEADER)
    texts = [case for case in cases()[:2] if options.only in (None, case.name)]
    asked = {name: some for name, some in questions().items() if options.only in (None, name)}
    results = [compare(case, ours, theirs, options.repeat) for case in texts]
    results += compare_scores(asked, ours, theirs, torch.device(options.device), options.repeat)
    print(json.dumps({"name": "evaluate", "results": results}))


def questions() -> dict[str, list[list[Pair]]]:
    """Return the questions of each kind: pairs of a context and an answer."""
    generator = torch.Generator().manual_seed(SEED)

    def draw(shortest: int, longest: int) -> list[int]:
        length = int(torch.randint(shortest, longest + 1, (1,), generator=generator))
        return torch.randint(3, VOCAB, (length,), generator=generator).tolist()

    examples, letters = draw(600, 600), [[n] for n in (319, 350, 315, 360)]
    found: dict[str, list[list[Pair]]] = {"choices": [], "letters": [], "pairs": []}
    for _ in range(200):
        context = draw(16, 200)
        found["choices"].append([(context, draw(2, 32)) for _ in range(4)])
    for _ in range(40):
        context = examples + draw(32, 96)
        found["letters"].append([(context, letter) for letter in letters])
    for _ in range(200):
        end = draw(4, 12)
        found["pairs"].append([(draw(16, 48), end) for _ in range(2)])
    return found


def compare_scores(
    questions: dict[str, list[list[Pair]]], ours: Llama, theirs: Any, device: torch.device, repeat: int
) -> list[dict[str, Any]]:
    """Time both on each kind of questions, in turns, and print and return what came out."""
    scorer, judge = Scorer(ours, SEQ_LEN, BATCH_TOKENS, World(0, 1, device)), harness(theirs)
    results = []
    for name, asked in questions.items():
        pairs = [pair for question in asked for pair in question]
        by_us(pairs[:4], scorer)
        by_lm_eval(pairs[:4], judge)
        turns = Turns(lambda: by_us(pairs, scorer), lambda: by_lm_eval(pairs, judge), repeat)  # noqa: B023
        if next(ours.parameters()).dtype == torch.float32:
            for mine, other in zip(turns.mine, turns.theirs, strict=True):
                assert abs(mine.loglikelihood - other.loglikelihood) < 1e-3, (mine, other)
                assert mine.greedy == other.greedy
        peer = "lm-eval's HFLM"
        results.append(turns.told(name, f"likelihoods, {name}", peer, len(asked), "questions/s"))
    return results


def harness(model: Any) -> Any:
    """Return lm-eval's own model. It wants a tokenizer, which nothing here asks for anything."""
    import tokenizers
    from lm_eval.models.huggingface import HFLM
    from transformers import PreTrainedTokenizerFast

    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"<unk>": 0, "</s>": 2}, unk_token="<unk>"))
    plain = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="</s>", unk_token="<unk>")
    return HFLM(pretrained=model, tokenizer=plain, batch_size=BATCH, max_length=SEQ_LEN)


def by_us(pairs: list[Pair], scorer: Scorer) -> list[Score]:
    return scorer.score(pairs)


def by_lm_eval(pairs: list[Pair], judge: Any) -> list[Score]:
    requests = [((str(context), str(answer)), context, answer) for context, answer in pairs]
    return [Score(*found) for found in judge._loglikelihood_tokens(requests, disable_tqdm=True)]


if __name__ == "__main__":
    main()
