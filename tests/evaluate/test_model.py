"""What the model answers depends on the request alone: not on others, their order, padding or the ranks."""

import random

import pytest
import ranks
import torch
from toy_benchmark import words
from trained import Trained

from llama_core.errors import InputError
from llama_core.evaluate.benchmark import Answer, Continuation, Generation, Likelihood, Request, Whole
from llama_core.evaluate.checkpoints import load
from llama_core.evaluate.model import TrainedModel, seed
from llama_core.evaluate.score import Scorer
from llama_core.generate.engine import Engine, Sampling
from llama_core.job import Job
from llama_core.step import Step
from llama_core.store import Store
from llama_core.tokenizer.model import Tokenizer
from llama_core.train.distributed import World

ALONE = World(0, 1, torch.device("cpu"))
SEEN = 64  # tokens


def model_of(trained: Trained, batch_tokens: int = 512, rows: int = 32, seen: int = SEEN) -> TrainedModel:
    return TrainedModel(Scorer(trained.model(), seen, batch_tokens, ALONE), trained.tokenizer, rows)


def scored() -> list[Request]:
    """Texts of many lengths, some longer than the model sees."""
    found: list[Request] = [Continuation(words(n, n % 23), f" {words(n + 1, 1 + n % 5)}") for n in range(30)]
    found += [Whole(words(n, 1 + n * 4)) for n in range(12)]
    return [*found, Continuation(words(1, 3), words(2, 70)), Continuation("", "def")]


def written() -> list[Request]:
    """Prompts with settings of their own."""
    found: list[Request] = []
    for n in range(9):
        stop, temperature = (("e ", "\n"), 0.0) if n % 3 else ((), 0.9)
        found.append(Generation(words(n, 1 + 9 * (n % 4)), 4 + n, stop, 1 + n % 3, temperature, 0.95))
    return found


def same(found: list[Answer], expected: list[Answer]) -> None:
    assert len(found) == len(expected)
    for mine, other in zip(found, expected, strict=True):
        if isinstance(mine, Likelihood) and isinstance(other, Likelihood):
            assert mine.nats == pytest.approx(other.nats, abs=1e-3)
            assert mine[1:] == other[1:]
        else:
            assert mine == other


def test_answers_do_not_depend_on_the_batch_the_order_and_the_padding(trained: Trained) -> None:
    requests = [*scored(), *written()]
    together = model_of(trained).answer(requests)
    order = random.Random(1).sample(range(len(requests)), len(requests))
    shuffled = model_of(trained, batch_tokens=200, rows=3).answer([requests[n] for n in order])
    same(shuffled, [together[n] for n in order])
    alone = model_of(trained, batch_tokens=1, rows=1)
    same([answer for request in requests for answer in alone.answer([request])], together)


def answers_of(world: World, url: str, requests: list[Request]) -> list[Answer]:
    job = Job.load(url)
    tokenizer = Tokenizer.load(job.input("tokenizer"))
    model = load(job, tokenizer.n_words, world)
    return TrainedModel(Scorer(model, SEEN, 200, world), tokenizer, 4).answer(requests)


def test_answers_do_not_depend_on_the_ranks_that_share_the_model_and_the_work(
    trained: Trained, store: Store
) -> None:
    step = Step(trained.store, "evaluate", 1, {"test": store.url}, trained.inputs)
    url = Job(step, trained.recipe).publish()
    requests = [*scored(), *written()[:7]]
    expected = model_of(trained).answer(requests)
    for found in ranks.call(2, answers_of, url, requests):
        same(found, expected)
    few = written()[:1]  # one rank has nothing to write
    for found in ranks.call(2, answers_of, url, few):
        same(found, expected[len(scored()) : len(scored()) + 1])


def test_samples_differ_and_follow_from_the_item_and_their_number(trained: Trained) -> None:
    model = model_of(trained)
    asked = Generation("def main(self):", 20, samples=4, temperature=1.0)
    (texts,) = model.answer([asked], ["an item"])
    assert isinstance(texts, list) and len(set(texts)) == 4
    assert model.answer([written()[1], asked], ["x", "an item"])[1] == texts
    assert model.answer([asked], ["another"]) != [texts]
    engine = Engine(trained.model(), trained.tokenizer, SEEN)
    assert texts[2] == engine.complete([asked.prompt], Sampling(20, 1.0, 1.0, seed=seed("an item", 2)))[0]
    greedy = Generation("def main(self):", 12, samples=3)
    assert len({*model.answer([greedy])[0]}) == 1


def test_texts_end_before_their_stop_strings(trained: Trained) -> None:
    model = model_of(trained)
    ((free,),) = model.answer([Generation("def main(self):", 12)])  # type: ignore[misc]
    stop = free[3:5]
    assert model.answer([Generation("def main(self):", 12, ("nowhere", stop))]) == [[free.split(stop)[0]]]


def test_a_text_is_scored_with_all_of_its_tokens_however_long_it_is(trained: Trained) -> None:
    tokenizer, text = trained.tokenizer, words(3, 60)
    (whole,) = model_of(trained, seen=512).answer([Continuation("x =", f" {text}")])
    (pieces,) = model_of(trained).answer([Continuation("x =", f" {text}")])
    assert isinstance(whole, Likelihood) and isinstance(pieces, Likelihood)
    assert (
        whole.tokens == pieces.tokens == len(tokenizer.encode(f"x = {text}")) - len(tokenizer.encode("x ="))
    )
    assert whole.tokens > SEEN and pieces.nats == pytest.approx(whole.nats, rel=0.2)


def test_what_was_cut_is_counted(trained: Trained) -> None:
    model = model_of(trained)
    model.answer([Continuation("x =", " 1"), Generation("x =", 8), Whole(words(1, 200))])
    assert model.cut == 0
    model.answer([Continuation(words(1, 90), " 1"), Generation(words(1, 90), 8), Generation("x", 8)])
    assert model.cut == 2


def test_a_context_and_its_continuation_are_encoded_together_as_lm_eval_does_it(trained: Trained) -> None:
    from lm_eval.api.model import TemplateLM

    model, tokenizer = model_of(trained), trained.tokenizer

    class Theirs(TemplateLM):
        backend = "causal"
        eot_token_id = tokenizer.eos_id

        def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: object) -> list[int]:
            return tokenizer.encode(string, bos=True)

        def _loglikelihood_tokens(self, requests: list[object], **_: object) -> list[tuple[float, bool]]:
            raise NotImplementedError

        loglikelihood_rolling = generate_until = _loglikelihood_tokens

    pairs = [("a b", " c"), ("a b ", "c d"), ("a\n", "b"), ("a  ", " b"), (" ", "x"), ("def mai", "n(self)")]
    found = model.encode([Continuation(*pair) for pair in pairs])
    assert found == [Theirs()._encode_pair(*pair) for pair in pairs]
    assert model.encode([Continuation("", "x y")]) == [([tokenizer.bos_id], tokenizer.encode("x y"))]


def test_a_text_that_joins_the_last_token_of_its_context_is_scored_with_it(trained: Trained) -> None:
    model, tokenizer = model_of(trained), trained.tokenizer
    joined = next(w for w in ("def", "self", "return") if len(tokenizer.encode(w)) == 1)
    ((context, text),) = model.encode([Continuation(joined[:-1], joined[-1])])
    assert text == tokenizer.encode(joined)[-1:] and context[0] == tokenizer.bos_id


def test_a_model_that_gives_no_probabilities_is_said(trained: Trained) -> None:
    broken = trained.model()
    broken.output.weight.data[:] = float("nan")
    model = TrainedModel(Scorer(broken, SEEN, 512, ALONE), trained.tokenizer)
    for request in (Continuation("a", " b"), Generation("a", 3)):
        with pytest.raises(InputError, match="no probabilities"):
            model.answer([request])
