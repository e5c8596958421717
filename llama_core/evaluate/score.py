"""Log-likelihoods of token sequences, in batches, over any number of ranks.

Every rank holds the same list of requests and works through the same number of batches, so a model that
is sharded over the ranks runs its collectives in lockstep. Each rank scores its share, and then all ranks get
all scores.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llama_core.errors import InputError
from llama_core.model.llama import Llama
from llama_core.tokens.heldout import Pair, windows
from llama_core.train.distributed import World


@dataclass(frozen=True)
class Score:
    """The score of a continuation."""

    loglikelihood: float
    """In nats, summed over the continuation."""
    greedy: bool
    """True if the model's most likely tokens are the same continuation."""


class Scorer:
    """Scores continuations with a model, which maps tokens, int64 (B, S), to logits (B, S, V).

    `seq_len`: how many tokens the model sees at once. `batch_tokens`: how many, padding included, one forward
    pass on one rank has. `progress(done, total)` is called after each batch.
    """

    def __init__(
        self,
        model: nn.Module,
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
        scored = [len(continuation) for _, continuation in pairs]
        assert all(n < len(s) for n, s in zip(scored, sequences)), "a continuation has no context"
        batches = self._batches([len(s) - 1 for s in sequences])
        results = torch.zeros(len(pairs), 2, dtype=torch.float64)
        for first in range(0, len(batches), self.world.size):
            rows = batches[first + self.world.rank]
            if rows:
                results[rows] = self._forward([sequences[i] for i in rows], [scored[i] for i in rows])
            else:
                self._forward([[0, 0]], [1])  # the other ranks need this one in their collectives
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

    def _batches(self, lengths: list[int]) -> list[list[int]]:
        """Return batches of rows of similar length, the longest first.

        Empty batches at the end give every rank the same number of batches.
        """
        order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
        batches: list[list[int]] = []
        start = 0
        while start < len(order):
            rows = max(1, self.batch_tokens // lengths[order[start]])
            batches.append(order[start : start + rows])
            start += rows
        return batches + [[] for _ in range(-len(batches) % self.world.size)]

    @torch.no_grad()
    def _forward(self, sequences: list[list[int]], scored: list[int]) -> Tensor:
        """Return (log-likelihood, greedy) of the last `scored` tokens of each sequence: float64 (B, 2)."""
        width, device = max(len(s) for s in sequences), self.world.device
        padded = torch.tensor([s + [0] * (width - len(s)) for s in sequences])  # (B, S + 1)
        spans = [(row, len(s) - n, len(s)) for row, (s, n) in enumerate(zip(sequences, scored, strict=True))]
        rows = torch.tensor([row for row, start, end in spans for _ in range(start, end)], dtype=torch.int64)
        at = torch.tensor(
            [i for _, start, end in spans for i in range(start, end)], dtype=torch.int64
        )  # (N,)
        targets, rows, before = padded[rows, at].to(device), rows.to(device), (at - 1).to(device)
        seen = padded[:, :-1].to(device)  # (B, S); padding is to the right of what is scored
        if isinstance(self.model, Llama):  # it need not make the logits of other tokens

            def head(hidden: Tensor, output: nn.Linear) -> Tensor:
                return output(hidden[rows, before])

            logits = self.model(seen, head=head).float()  # (N, V)
        else:
            logits = self.model(seen)[rows, before].float()
        nats = -F.cross_entropy(logits, targets, reduction="none").double().cpu()
        hits = (logits.argmax(-1) == targets).cpu()
        found = zip(nats.split(scored), hits.split(scored), strict=True)
        return torch.tensor([[float(row.sum()), float(hit.all())] for row, hit in found], dtype=torch.float64)
