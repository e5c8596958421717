"""Generation by tokens: a bounded batch of texts, in which a new one takes the place of one that is done.

A forward pass takes one token of each text that is being continued, and beside them the next tokens of
prompts that are not read yet. The continuations of one prompt share its reading, and prompts that begin alike
that of their beginning. A continuation depends on its prompt, its settings and its seed, and not on what else
is in the batch.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn

from llama_core.errors import InputError
from llama_core.generate import draw
from llama_core.model.cache import Cache, Span
from llama_core.model.llama import Llama
from llama_core.model.trees import alike
from llama_core.train.distributed import World

ROWS = 32  # texts that are continued at once
READ_AT_ONCE = 2048  # tokens of prompts in one forward pass
ALIKE = 32  # tokens that two prompts begin with for which it is worth to copy what is kept of them
NO_PROBABILITIES = "the model gives no probabilities: its weights hold infinities, or what is no number"


@dataclass(frozen=True)
class Request:
    """A prompt, and how it is to be continued: once for each of `seeds`."""

    ids: Sequence[int]
    """The prompt, at least one token."""
    max_new_tokens: int
    """With the prompt, no more than the model can see."""
    temperature: float = 0.0
    top_p: float = 1.0
    seeds: Sequence[int] = (1,)


class Token(NamedTuple):
    """One new token."""

    request: int
    """The number of its request, from 0."""
    sample: int
    """The number of its seed among those of the request, from 0."""
    id: int
    logprob: float
    """The natural logarithm of the model's probability at temperature 1; 0 unless it was asked for."""
    likely: tuple[tuple[int, float], ...]
    """The most likely tokens in its place, with their logprobs, best first: as many as were asked for."""


@dataclass(eq=False)
class _Reading:
    """A request in work: its prompt is read once for all of its continuations."""

    number: int
    request: Request
    started: int = 0  # continuations that have a place
    first: Tensor | None = None  # the logits after the prompt, (1, V), once it is read

    @property
    def pending(self) -> int:
        return len(self.request.seeds) - self.started


@dataclass(eq=False)
class _Row:
    """A continuation that has a slot in the cache: its number in the list of rows."""

    reading: _Reading
    sample: int
    length: int = 0  # tokens in the cache
    new: list[int] = field(default_factory=list)
    done: bool = False

    @property
    def unread(self) -> int:
        return len(self.reading.request.ids) - self.length

    def next_tokens(self, most: int) -> Sequence[int]:
        """Return the tokens that the next forward pass takes, of the prompt no more than `most`."""
        if self.unread > 0:
            return self.reading.request.ids[self.length : self.length + most]
        return self.new[-1:]


def generate(
    model: Llama,
    requests: Iterable[Request],
    *,
    ends: Callable[[int, int, int], bool],
    rows: int = ROWS,
    logprobs: bool = False,
    likely: int = 0,
    world: World | None = None,
) -> Generator[Token, None, None]:
    """Yield the tokens of all continuations as they are made; closing the iterator ends the work.

    `requests` are taken when there is room for them: `rows` continuations at once. `ends(request, sample,
    id)` is called once with each new token, before it is yielded, and tells whether it is the last one of its
    continuation; so is the one that makes `max_new_tokens`. `world`: the processes that the model is spread
    over, each of which calls this with the same arguments; the tokens are those of the first of them, and
    when it closes its iterator, the others end as well. Raises InputError where the model gives no
    probabilities.
    """
    batch = _Batch(model, iter(requests), rows, logprobs, likely, world)
    while batch.admit():
        if not batch.goes_on(True):
            return
        made = batch.step()
        for row, token in made:
            last = ends(token.request, token.sample, token.id)
            row.done = last or len(row.new) == row.reading.request.max_new_tokens
        try:
            yield from (token for _, token in made)
        except GeneratorExit:
            if batch.admit():  # the others go on to the next pass
                batch.goes_on(False)
            raise


class _Batch:
    def __init__(
        self,
        model: Llama,
        requests: Iterator[Request],
        size: int,
        logprobs: bool,
        likely: int,
        world: World | None,
    ):
        self.model, self.requests, self.size, self.likely = model, requests, size, likely
        self.logprobs = logprobs or likely > 0
        self.world = world if world is not None and world.size > 1 else None
        self.device = world.device if world is not None else next(model.parameters()).device
        self.cache = Cache(len(model.layers), self.device)
        self.readings: deque[_Reading] = deque()  # those with continuations that have no place yet
        self.rows: list[_Row] = []
        self.taken = 0

    def goes_on(self, value: bool) -> bool:
        """Tell the other processes that the first one goes on, or not; return what it has said."""
        if self.world is None:
            return value
        said = torch.tensor([value], dtype=torch.int64, device=self.device)
        dist.broadcast(said, src=0)
        return bool(said.item())

    def admit(self) -> bool:
        """Give free places to continuations, and return whether there is any work."""
        free = self.size - sum(not row.done for row in self.rows)
        for reading in self.readings:
            if reading.first is not None:
                for _ in range(min(free, reading.pending)):
                    self._fork(reading)
                    free -= 1
            else:
                free -= min(free, reading.pending)  # the others follow when the prompt is read
        new = []
        while free > 0 and (request := next(self.requests, None)) is not None:
            if not request.ids or request.max_new_tokens < 1:
                raise ValueError("a request has a prompt of at least one token, and wants one or more")
            reading = _Reading(self.taken, request)
            self.taken += 1
            if request.seeds:
                new.append(reading)
                free -= min(free, reading.pending)
        # Texts of like lengths lie side by side in the cache.
        for reading in sorted(new, key=lambda reading: len(reading.request.ids)):
            self._place(_Row(reading, 0))
            reading.started = 1
        self.readings = deque(reading for reading in [*self.readings, *new] if reading.pending)
        self._close_ranks()
        return bool(self.rows)

    def _fork(self, reading: _Reading) -> None:
        """Begin a further continuation of a prompt that is read: where one of them was, or with a copy."""
        length = len(reading.request.ids)
        slots = [slot for slot, row in enumerate(self.rows) if row.reading is reading and row.unread <= 0]
        row = _Row(reading, reading.started, length if slots else 0)
        reading.started += 1
        if over := [slot for slot in slots if self.rows[slot].done]:
            self.rows[over[0]] = row
            return
        slot = self._place(row)
        if slots:
            self.cache.copy(slots[0], slot, length)

    def _place(self, row: _Row) -> int:
        """Give a row the slot of one that is done, or a new one. Return its number."""
        for slot, old in enumerate(self.rows):
            if old.done and (not old.reading.pending or old.reading is row.reading):
                row.length = row.length or _shared(old, row)  # that is in this slot already
                self.rows[slot] = row
                return slot
        self.rows.append(row)
        return len(self.rows) - 1

    def _close_ranks(self) -> None:
        """Move rows from the end to the slots of those that are done."""
        for slot in range(len(self.rows)):
            while self.rows and self.rows[-1].done:
                self.rows.pop()
            if slot >= len(self.rows):
                return
            if self.rows[slot].done:
                self.rows[slot] = self.rows.pop()
                self.cache.copy(len(self.rows), slot, self.rows[slot].length)

    def step(self) -> list[tuple[_Row, Token]]:
        """Take one forward pass, and return the new tokens with their rows."""
        forked = [row for row in self.rows if row.unread == 0 and not row.new]
        following = self._read()
        ready = following[0] + forked
        if not ready:
            return []
        firsts = [row.reading.first for row in forked if row.reading.first is not None]
        logits = torch.cat([following[1], *firsts]).float()  # (R, V)
        ids = self._choose(ready, logits)
        if self.world is not None:
            dist.broadcast(ids, src=0)
        likely: list[tuple[tuple[int, float], ...]] = [()] * len(ready)
        logprobs = [0.0] * len(ready)
        if self.logprobs:
            normed = logits.log_softmax(-1)
            logprobs = normed.gather(-1, ids.clamp_min(0)[:, None])[:, 0].tolist()
            top = normed.topk(min(self.likely, normed.shape[-1]))
            pairs = zip(top.indices.tolist(), top.values.tolist(), strict=True)
            likely = [tuple(zip(indices, values, strict=True)) for indices, values in pairs]
        found = []
        for row, token, logprob, others in zip(ready, ids.tolist(), logprobs, likely, strict=True):
            if token < 0:
                raise InputError(NO_PROBABILITIES)
            row.new.append(token)
            found.append((row, Token(row.reading.number, row.sample, token, logprob, others)))
        return found

    def _read(self) -> tuple[list[_Row], Tensor]:
        """Pass the next tokens of all rows through the model.

        Returns the rows that a token of follows now, and the logits of that, (rows, V).
        """
        taken: list[tuple[Span, Sequence[int], _Row]] = []
        reading: list[_Row] = []
        budget = READ_AT_ONCE
        for slot, row in enumerate(self.rows):
            if row.unread > 0:
                self._borrow(slot, row)
                if any(_common(other, row) >= row.length + ALIKE for other in reading):
                    continue  # it takes that over when the other one has read it
            tokens = row.next_tokens(budget) if row.unread > 0 or row.new else ()
            if tokens:
                if row.unread > 0:
                    budget -= len(tokens)
                    reading.append(row)
                taken.append((Span(slot, row.length, len(tokens)), tokens, row))
        if not taken:
            return [], torch.empty(0, self.model.vocab_size, device=self.device)
        taken.sort(key=lambda piece: piece[0].length > 1)
        self.cache.prepare([span for span, _, _ in taken], max(self._most(row) for row in self.rows))
        ready, last, end = [], [], 0
        for span, _, row in taken:
            end += span.length
            row.length += span.length
            if row.unread <= 0:
                ready.append(row)
                last.append(end - 1)
        ids = torch.tensor([[i for _, tokens, _ in taken for i in tokens]], device=self.device)
        at = torch.tensor(last, dtype=torch.int64, device=self.device)

        def head(hidden: Tensor, output: nn.Linear) -> Tensor:
            return output(hidden[0, at])

        with torch.no_grad():
            logits = self.model(ids, cache=self.cache, head=head)
        for place, row in enumerate(ready):
            if row.reading.pending and row.reading.first is None:
                row.reading.first = logits[place : place + 1].clone()
        return ready, logits

    def _borrow(self, slot: int, row: _Row) -> None:
        """Take over what another text has read of a beginning that both have, such as some examples."""
        best, source = row.length, None
        for other, lender in enumerate(self.rows):
            if other != slot and lender.length >= best + ALIKE:
                shared = _shared(lender, row)
                if shared >= best + ALIKE:
                    best, source = shared, other
        if source is not None:
            self.cache.copy(source, slot, best)
            row.length = best

    def _choose(self, ready: list[_Row], logits: Tensor) -> Tensor:
        settings = [(r.reading.request.temperature, r.reading.request.top_p) for r in ready]
        if not any(temperature for temperature, _ in settings):
            best, ids = logits.max(-1)
            return torch.where(best.isfinite(), ids, -1)
        temperatures, top_ps = torch.tensor(settings, dtype=torch.float64).clamp_max(1e30).float().T
        numbers = [(r.reading.request.seeds[r.sample], len(r.new)) for r in ready]
        seeds, steps = torch.tensor(numbers, dtype=torch.int64).T
        return draw.choose(logits, *(x.to(self.device) for x in (temperatures, top_ps, seeds, steps)))

    @staticmethod
    def _most(row: _Row) -> int:
        return len(row.reading.request.ids) + row.reading.request.max_new_tokens


def _common(lender: _Row, row: _Row) -> int:
    """Return how many tokens of a row's prompt another row begins with, but for one that is left to read."""
    ids = row.reading.request.ids
    return min(alike(lender.reading.request.ids, ids, ALIKE), len(ids) - 1)


def _shared(lender: _Row, row: _Row) -> int:
    """Return how many of these tokens are in the cache."""
    return min(_common(lender, row), lender.length)
