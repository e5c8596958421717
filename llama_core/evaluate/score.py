"""Log-likelihoods of token sequences, in batches, over any number of ranks.

Every rank holds the same list of requests and works through the same number of batches, so a model that
is sharded over the ranks runs its collectives in lockstep. Each rank scores its share, and then all ranks get
all scores. What requests have in common, the context of some choices or the examples before some questions,
passes the model once.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llama_core.errors import InputError
from llama_core.model.llama import Llama
from llama_core.model.trees import Branch, Tree, Trees, alike
from llama_core.tokens.heldout import Pair, windows
from llama_core.train.distributed import World

LOGITS = 1024  # tokens whose logits are in memory at once
BESIDE = 256  # tokens of texts after one context, of which each attends to a place for every other
ALIKE = 48  # tokens that contexts have in common where that is worth an attention of its own

Ids = tuple[int, ...]


@dataclass(frozen=True)
class Score:
    """The score of a continuation."""

    loglikelihood: float
    """In nats, summed over the continuation."""
    greedy: bool
    """True if the model's most likely tokens are the same continuation."""


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
        seen = [self._seen(context, tuple(continuation)) for context, continuation in pairs]
        texts: dict[Ids, list[Ids]] = {}
        for context, continuation in dict.fromkeys(seen):
            assert context, "a continuation has no context"
            texts.setdefault(context, []).append(continuation)
        batches = list(_batches(list(_branches(texts)), self.batch_tokens))
        batches += [[] for _ in range(-len(batches) % self.world.size)]
        places = _numbered(batches)
        results = torch.zeros(len(places), 2, dtype=torch.float64)
        first = 0
        for number, batch in enumerate(batches):
            count = sum(len(branch.texts) for tree in batch for branch in tree.branches)
            if number % self.world.size == self.world.rank:
                # The other ranks need this one in their collectives.
                found = self._forward(batch or [Tree((), [Branch((0,), [(0,)])])])
                results[first : first + count] = found[:count]
                self.progress(number + 1, len(batches))
            first += count
        flat = self.world.sum(*results.flatten().tolist())  # each row was filled by one rank
        scores = [Score(value, bool(greedy)) for value, greedy in zip(flat[::2], flat[1::2], strict=True)]
        return [scores[places[pair]] for pair in seen]

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
        for owner, score in zip(owners, self.score(pairs), strict=True):
            sums[owner] += score.loglikelihood
        return sums

    def _seen(self, context: Sequence[int], continuation: Ids) -> tuple[Ids, Ids]:
        """Return what the model sees of a context, and the continuation."""
        room = self.seq_len + 1 - len(continuation)
        return tuple(context[-room:]), continuation

    @torch.no_grad()
    def _forward(self, batch: Sequence[Tree]) -> Tensor:
        """Return (log-likelihood, greedy) of each text of the trees: float64 (texts, 2)."""
        trees = Trees(batch, self.world.device)
        ids = [i for tree in batch for branch in tree.branches for text in branch.texts for i in text]
        targets = torch.tensor(ids, dtype=torch.int64, device=self.world.device)  # (T,)
        at = [place for places in trees.places for place in places]
        before = torch.tensor(at, dtype=torch.int64, device=self.world.device)

        def head(hidden: Tensor, output: nn.Linear) -> Tensor:
            """Return the log-likelihoods of the targets, and which of them are the most likely: (T, 2)."""
            found = [torch.empty(0, 2, device=hidden.device)]
            for some, wanted in zip(before.split(LOGITS), targets.split(LOGITS), strict=True):
                logits = output(hidden[0, some]).float()  # (LOGITS, V)
                nats = -F.cross_entropy(logits, wanted, reduction="none")
                found.append(torch.stack([nats, (logits.argmax(-1) == wanted).float()], 1))
            return torch.cat(found)

        found = self.model(trees.ids, cache=trees, head=head).double().cpu()
        lengths = [len(places) for places in trees.places]
        rows = [(float(part[:, 0].sum()), float(part[:, 1].all())) for part in found.split(lengths)]
        return torch.tensor(rows, dtype=torch.float64)


def _branches(texts: dict[Ids, list[Ids]]) -> Iterator[Branch]:
    """Yield contexts in the order of their tokens, each with as many of its texts as attend together."""
    for context in sorted(texts):
        some: list[Ids] = []
        for text in texts[context]:
            if some and sum(map(len, some)) + len(text) > BESIDE:
                yield Branch(context, some)
                some = []
            some.append(text)
        yield Branch(context, some)


def _batches(branches: Sequence[Branch], size: int) -> Iterator[list[Tree]]:
    """Yield trees that have at most `size` tokens together, unless a single branch has more."""
    batch: list[Tree] = []
    for run in _runs(branches):
        shared = min((alike(a.context, b.context) for a, b in pairwise(run)), default=0)
        head = run[0].context[: min(shared, *(len(branch.context) - 1 for branch in run))]
        used, some = sum(tree.size for tree in batch), list[Branch]()
        for branch in run:
            new = Branch(branch.context[len(head) :], branch.texts)
            if used + (len(head) if not some else 0) + new.size > size and (batch or some):
                yield [*batch, *([Tree(head, some)] if some else [])]
                batch, some, used = [], [], 0
            used += new.size + (len(head) if not some else 0)
            some.append(new)
        batch.append(Tree(head, some))
    if batch:
        yield batch


def _runs(branches: Sequence[Branch]) -> Iterator[list[Branch]]:
    """Yield branches one after the other whose contexts begin alike."""
    run: list[Branch] = []
    for branch in branches:
        if run and not alike(run[-1].context, branch.context, ALIKE):
            yield run
            run = []
        run.append(branch)
    if run:
        yield run


def _numbered(batches: Sequence[Sequence[Tree]]) -> dict[tuple[Ids, Ids], int]:
    """Return the number of each text after its context, in the order of the batches."""
    found: dict[tuple[Ids, Ids], int] = {}
    for batch in batches:
        for tree in batch:
            for branch in tree.branches:
                for text in branch.texts:
                    found[(*tree.head, *branch.context), tuple(text)] = len(found)
    return found
