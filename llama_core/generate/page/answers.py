"""The text of one model, or of two side by side, as it grows.

Two models take turns, a token each, so that neither waits for the other. Where the one who asked is gone, the
iterator is closed, and with it the work of the engines.
"""

import contextlib
import random
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

from llama_core.generate.engine import Piece, Sampling
from llama_core.generate.page.models import Found, Models
from llama_core.generate.page.settings import Settings
from llama_core.generate.page.templates import Turn

LIKELY = 5  # tokens that are shown for each place
SHOWN_EVERY = 0.06  # seconds between two looks at a text that grows
MOST_DRAWN = 1 << 31  # a seed that a person can type


@dataclass
class Answer:
    """What one model has written so far."""

    name: str
    url: str
    prompt: str
    tokens: int
    """Those of the prompt."""
    read: int
    """The tokens at its end that fit into the model's context, and are all that the model has read."""
    seed: int
    pieces: list[Piece] = field(default_factory=list)
    finish: str | None = None
    seconds: float = 0.0

    @property
    def text(self) -> str:
        """The text of all pieces."""
        return "".join(piece.text for piece in self.pieces)


def answers(
    models: Models, settings: Settings, said: Sequence[Sequence[Turn]] = ((), ())
) -> Iterator[list[Answer]]:
    """Yield the answers of the chosen models each time that they have grown, and once when all have ended.

    `said`: what was said before with the first model, and with the second. Raises LlamaErrors.
    """
    settings.check()
    names = [settings.model, settings.other] if settings.other else [settings.model]
    found = [models.find(name) for name in names]
    seed = random.randrange(MOST_DRAWN) if settings.seed is None else settings.seed
    with contextlib.ExitStack() as stack:
        growing = []
        for name, model, turns in zip(names, found, said):
            answer, stream = _begin(name, model, settings, seed, turns)
            growing.append((answer, stack.enter_context(contextlib.closing(stream))))
        everything = [answer for answer, _ in growing]
        yield everything
        began = looked = time.monotonic()
        showing = 0.0
        while growing:
            for answer, stream in list(growing):
                piece = next(stream, None)
                answer.seconds = time.monotonic() - began
                if piece is not None:
                    answer.pieces.append(piece)
                    answer.finish = piece.finish
                if piece is None or piece.finish:
                    growing.remove((answer, stream))
            if (before := time.monotonic()) - looked > max(SHOWN_EVERY, showing):
                yield everything
                looked = time.monotonic()
                showing = looked - before  # a long text takes long to show: no more than half of the time
        yield everything


def _begin(
    name: str, model: Found, settings: Settings, seed: int, said: Sequence[Turn]
) -> tuple[Answer, Generator[Piece, None, None]]:
    """Return the answer of a model, still empty, and the stream of its pieces."""
    engine, length = model.engine, settings.max_new_tokens
    prompt, stop = settings.asked(said)
    tokens = len(engine.tokenizer.encode(prompt, bos=True))
    room = max(engine.seq_len - length, engine.seq_len // 2)
    sampling = Sampling(length, settings.temperature, settings.top_p, stop, seed)
    stream = cast("Generator[Piece, None, None]", engine.stream([prompt], sampling, likely=LIKELY))
    return Answer(name, model.url, prompt, tokens, min(tokens, room), seed), stream
