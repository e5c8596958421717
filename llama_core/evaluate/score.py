"""Log-likelihoods of token sequences, in batches, over any number of ranks.

Every rank holds the same list of requests and works through the same number of batches, so a model that
is sharded over the ranks runs its collectives in lockstep. Each rank scores its share, and then all ranks get
all scores. What texts of a batch have in common at their beginnings is computed once, be it the context of
several continuations or the examples before several questions, and logits for what is scored alone.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llama_core.errors import InputError
from llama_core.model.llama import Llama
from llama_core.model.tree import SHORTEST, Tree, shared
from llama_core.tokens.heldout import Pair, windows
from llama_core.train.distributed import World


@dataclass(frozen=True)
class Score:
    """The score of a continuation."""

    loglikelihood: float
    """In nats, summed over the continuation."""
    greedy: bool
    """True if the model's most likely tokens are the same continuation."""


LOSSES = 1024  # tokens whose losses are computed together, in float32
Text = tuple[int, ...]


class Scorer:
    """Scores continuations with a model.

    `seq_len`: how many tokens the model sees at once. `batch_tokens`: how many one forward pass on one rank
    has. `progress(done, total)` is called after each batch.
    """

    def __init__(
        self,
        model: Llama,
        seq_len: int,
        batch_tokens: int,
        world: World,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ):
        self.model, self.seq_len, self.batch_tokens = model, seq_len, batch_tokens
        self.world, self.progress = world, progress

    def score(self, pairs: Sequence[Pair]) -> list[Score]:
        """Return the score of each continuation after its context, which has at least one token.

        A context is cut on the left to what the model sees at once. Raises InputError where a continuation
        alone is longer than that.
        """
        if (longest := max((len(continuation) for _, continuation in pairs), default=0)) > self.seq_len:
            raise InputError(f"an answer has {longest} tokens, the model sees {self.seq_len} (train.seq_len)")
        sequences = [(context + continuation)[-(self.seq_len + 1) :] for context, continuation in pairs]
        targets = [continuation for _, continuation in pairs]
        assert all(len(t) < len(s) for t, s in zip(targets, sequences)), "a continuation has no context"
        scored_by = defaultdict[Text, list[int]](list)  # the pairs that differ in their last token alone
        for i, sequence in enumerate(sequences):
            scored_by[tuple(sequence[:-1])].append(i)
        batches = self._batches(sorted(scored_by))
        results = torch.zeros(len(pairs), 2, dtype=torch.float64)
        for first in range(0, len(batches), self.world.size):
            if texts := batches[first + self.world.rank]:
                rows = [i for text in texts for i in scored_by[text]]
                ends = [targets[i] for i in rows]
                results[rows] = self._forward(texts, [len(scored_by[text]) for text in texts], ends)
            else:  # the other ranks need this one in their collectives
                self._forward([(0,)], [1], [[0]])
            self.progress(first + self.world.size, len(batches))
        flat = self.world.sum(*results.flatten().tolist())  # each row was filled by one rank
        return [Score(value, bool(greedy)) for value, greedy in zip(flat[::2], flat[1::2])]

    def rolling(self, texts: Sequence[list[int]], bos_id: int) -> list[float]:
        """Return the log-likelihood of each whole text, in nats: every token is predicted once, BOS never.

        A text is scored in windows of `seq_len` tokens (see `tokens.heldout.windows`).
        """
        pairs, owners = [], []
        for owner, tokens in enumerate(texts):
            for pair in windows(tokens, bos_id, self.seq_len):
                pairs.append(pair)
                owners.append(owner)
        sums = [0.0] * len(texts)
        for owner, score in zip(owners, self.score(pairs)):
            sums[owner] += score.loglikelihood
        return sums

    def _batches(self, texts: list[Text]) -> list[list[Text]]:
        """Return batches of texts, which are sorted.

        Empty batches at the end give every rank the same number of batches.
        """
        batches: list[list[Text]] = []
        room = 0
        for text in texts:
            common = shared(batches[-1][-1], text) if batches else 0
            needed = len(text) - max(0, common - SHORTEST + 1)  # no fewer are shared
            if not batches or needed > room:
                batches.append([])
                room, needed = self.batch_tokens, len(text)
            batches[-1].append(text)
            room -= needed
        return batches + [[] for _ in range(-len(batches) % self.world.size)]

    @torch.no_grad()
    def _forward(self, texts: list[Text], counts: list[int], ends: list[list[int]]) -> Tensor:
        """Return (log-likelihood, greedy) of each of `ends`: float64 (N, 2).

        The first so many as `counts` says are ends of the first text, each without its last token there.
        """
        tree = Tree(texts, self.model.backend, self.world.device)
        places = [place for place, count in zip(tree.places, counts) for _ in range(count)]
        at = [i for place, end in zip(places, ends) for i in place[len(place) - len(end) :]]
        chosen = torch.tensor(at, device=self.world.device)
        wanted = torch.tensor([token for end in ends for token in end], device=self.world.device)

        def head(hidden: Tensor, output: nn.Linear) -> Tensor:
            return output(hidden[0, chosen])

        logits = self.model(tree.tokens, cache=tree, head=head)  # (N, V)
        found = [
            (-F.cross_entropy(some.float(), right, reduction="none").double(), some.argmax(-1) == right)
            for some, right in zip(logits.split(LOSSES), wanted.split(LOSSES))
        ]
        lengths = [len(end) for end in ends]
        nats, greedy = (torch.cat(column).cpu().split(lengths) for column in zip(*found))
        return torch.tensor(
            [[float(n.sum()), float(g.all())] for n, g in zip(nats, greedy)], dtype=torch.float64
        )
