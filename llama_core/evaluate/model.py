"""The trained model, as a benchmark asks it: likelihoods by the scorer, texts by the engine.

Texts are encoded as lm-eval does it. Every rank asks the same, and gets all answers.
"""

import hashlib
import math
from collections.abc import Callable, Sequence

from llama_core.errors import InputError
from llama_core.evaluate.benchmark import Answer, Continuation, Generation, Likelihood, Request, Whole
from llama_core.evaluate.score import Scorer
from llama_core.generate import tokens
from llama_core.generate.engine import Asked, Engine, Sampling
from llama_core.generate.lockstep import lockstep
from llama_core.tokenizer.model import Tokenizer
from llama_core.tokens.heldout import Pair, windows

Shown = Callable[[int, int], None]


class TrainedModel:
    """A model that answers requests (see `benchmark.Model`).

    `rows`: how many texts each rank continues at once.
    """

    def __init__(self, scorer: Scorer, tokenizer: Tokenizer, rows: int = tokens.ROWS):
        self.model, self.scorer, self.tokenizer, self.world = scorer.model, scorer, tokenizer, scorer.world
        self.engine = Engine(self.model, tokenizer, scorer.seq_len, rows)
        self._cut = 0

    @property
    def cut(self) -> int:
        """How many requests so far had a beginning that the model did not see; the ranks' add up to all."""
        return self._cut + self.engine.cut

    def answer(
        self,
        requests: Sequence[Request],
        ids: Sequence[str] | None = None,
        progress: Shown = lambda done, total: None,
    ) -> list[Answer]:
        """Return the answer to each request, which does not depend on the others, nor on their order.

        `ids`: what the draws of each request's texts depend on beside its settings; None: its prompt.
        `progress` is called with how many of how many answers this rank knows. Raises InputError where the
        model gives no probabilities.
        """
        texts = [(n, r) for n, r in enumerate(requests) if isinstance(r, Generation)]
        scored = [(n, r) for n, r in enumerate(requests) if not isinstance(r, Generation)]
        answers: dict[int, Answer] = {}
        if scored:
            found = self._likelihoods([r for _, r in scored], progress)
            answers |= zip((n for n, _ in scored), found, strict=True)
        if texts:
            names = [r.prompt if ids is None else ids[n] for n, r in texts]
            written = self._texts([r for _, r in texts], names, progress)
            answers |= zip((n for n, _ in texts), written, strict=True)
        return [answers[n] for n in range(len(requests))]

    def _likelihoods(self, requests: Sequence[Continuation | Whole], progress: Shown) -> list[Likelihood]:
        """Return the likelihoods of texts, each scored in as many windows as the model needs to see it."""
        continued = [r for r in requests if isinstance(r, Continuation)]
        encoded = iter(self.encode(continued))
        pairs: list[Pair] = []
        owners: list[int] = []
        for number, request in enumerate(requests):
            found = self._whole(request) if isinstance(request, Whole) else self._seen(*next(encoded))
            pairs += found
            owners += [number] * len(found)
        nats, counts, greedy = [0.0] * len(requests), [0] * len(requests), [True] * len(requests)
        self.scorer.progress = progress
        for owner, pair, score in zip(owners, pairs, self.scorer.score(pairs), strict=True):
            nats[owner] += score.loglikelihood
            counts[owner] += len(pair[1])
            greedy[owner] &= score.greedy
        if not all(map(math.isfinite, nats)):
            raise InputError(tokens.NO_PROBABILITIES)
        return [Likelihood(*values) for values in zip(nats, counts, greedy, strict=True)]

    def _whole(self, request: Whole) -> list[Pair]:
        ids = self.tokenizer.encode(request.text)
        return windows(ids, self.tokenizer.bos_id, self.scorer.seq_len)

    def _seen(self, context: list[int], text: list[int]) -> list[Pair]:
        """Return what is scored after what: the text at once, or in pieces that the model can see."""
        seq_len = self.scorer.seq_len
        if self.world.rank == 0:  # all ranks look at all of them
            self._cut += len(context) + len(text) > seq_len + 1
        starts = range(0, max(len(text), 1), seq_len)
        return [((context + text[:start])[-seq_len:], text[start : start + seq_len]) for start in starts]

    def encode(self, requests: Sequence[Continuation]) -> list[Pair]:
        """Return the ids of contexts and of their continuations, as lm-eval has them.

        Both are encoded together, and white space at the end of a context is part of the continuation.
        """
        contexts = {r.context: r.context.rstrip() for r in requests}
        encode = self.tokenizer.encode_batch
        found = encode(list(contexts.values()), bos=True)
        befores = {context: ids.tolist() for context, ids in zip(contexts, found, strict=True)}
        wholes = encode([r.context + r.text for r in requests], bos=True)
        pairs = []
        for request, whole in zip(requests, wholes, strict=True):
            before = befores[request.context]
            # A text that joins the last token of its context is scored with it.
            at = max(1, min(len(before), len(whole) - 1)) if request.text else len(before)
            pairs.append((before[:at], whole[at:].tolist()))
        return pairs

    def _texts(self, requests: Sequence[Generation], ids: Sequence[str], progress: Shown) -> list[list[str]]:
        """Return the continuations of prompts, of which each rank makes its share."""
        rank, size = self.world.rank, self.world.size
        asked = [
            Asked(
                r.prompt,
                Sampling(r.max_new_tokens, r.temperature, r.top_p, tuple(r.stop)),
                [seed(name, sample) for sample in range(r.samples)],
            )
            for r, name in zip(requests[rank::size], ids[rank::size], strict=True)
        ]
        total = sum(len(one.seeds) for one in asked)
        with lockstep(self.model, self.world):
            mine = self.engine.texts(asked, lambda done: progress(done, total))
        shares = self.world.gather(mine)
        shares = self.world.agree(lambda: shares)
        return [shares[n % size][n // size] for n in range(len(requests))]


def seed(name: str, sample: int) -> int:
    """Return the seed of a text that is drawn: of some item of a benchmark, and the number of its sample."""
    digest = hashlib.sha256(f"{sample} {name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
