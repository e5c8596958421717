"""Texts as a tree: beginnings that several have in common are computed once.

All are laid in a single sequence, so no product of the model computes padding, and nothing is stored from one
layer to the next.
"""

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

from llama_core.model.attention import attention, backend_for

SHORTEST = 16  # tokens that a branch has before it branches again: each costs calls of attention
GATHERED = 1 << 16  # keys that are laid side by side for one call of attention


class Tree:
    """What `Llama.forward` takes as a cache for `tokens`, which are those of some texts, without repetitions.

    `texts` are sorted. `attention`: one of the values of `layout.attention`.
    """

    def __init__(self, texts: Sequence[Sequence[int]], attention: str, device: torch.device):
        self.backend = backend_for(attention, device.type)
        self.places: list[list[int]] = []
        """Where in `tokens` the tokens of each text are."""
        self._texts, self._tokens, self._positions = texts, list[int](), list[int]()
        self._alike = defaultdict[tuple[int, int], list[tuple[range, list[int]]]](list)
        self._branch(0, len(texts), [])
        self.tokens = torch.tensor([self._tokens], device=device)  # (1, N)
        self.positions = torch.tensor(self._positions, device=device)  # (N,)
        self._groups: list[tuple[Tensor, Tensor]] = []  # (B, S) and (B, T): the places of queries and keys
        for (_, length), group in self._alike.items():
            rows = max(1, GATHERED // length)
            for first in range(0, len(group), rows):
                queries, keys = zip(*group[first : first + rows])
                places = torch.tensor([list(q) for q in queries]), torch.tensor(keys)
                self._groups.append((places[0].to(device), places[1].to(device)))

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return what the queries take from their texts up to them. All are (1, N, H, D)."""
        q, k, v = q[0], k[0], v[0]
        out = torch.empty_like(q)
        for queries, keys in self._groups:
            out[queries] = attention(q[queries], k[keys], v[keys], None, self.backend)
        return out[None]

    def _branch(self, first: int, last: int, before: list[int]) -> None:
        """Lay out the texts from `first` to before `last`, whose first tokens are at `before` already."""
        while first < last:
            until, depth = first + 1, len(self._texts[first])
            while until < last:
                common = shared(self._texts[first], self._texts[until])
                if common < len(before) + SHORTEST:
                    break
                until, depth = until + 1, min(depth, common)
            places = self._lay(self._texts[first][len(before) : depth], before)
            if until == first + 1:
                self.places.append(places)
            else:
                self._branch(first, until, places)
            first = until

    def _lay(self, tokens: Sequence[int], before: list[int]) -> list[int]:
        """Lay out tokens that follow those at `before`, and return where all of them are."""
        if not tokens:
            return before
        own = range(len(self._tokens), len(self._tokens) + len(tokens))
        places = [*before, *own]
        self._tokens += tokens
        self._positions += range(len(before), len(places))
        self._alike[len(own), len(places)].append((own, places))
        return places


def shared(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many tokens two texts have in common at their beginnings."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
