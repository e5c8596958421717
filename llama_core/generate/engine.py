"""The engine that continues texts: for the commands, the page, the evaluation and the report.

It takes any number of prompts of any lengths, streams their continuations, and ends them at stop strings.
Below it, `tokens` does the same with ids.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from llama_core.generate import tokens
from llama_core.generate.sampling import LARGEST_SEED, check_sampling
from llama_core.generate.text import Continuation
from llama_core.model.llama import Llama
from llama_core.tokenizer.model import Tokenizer
from llama_core.train.distributed import World


@dataclass(frozen=True)
class Sampling:
    """How a text goes on. The same seed gives the same text."""

    max_new_tokens: int = 128
    temperature: float = 0.8
    """0 always takes the most likely token."""
    top_p: float = 0.95
    """A token is drawn from the most likely ones that hold this probability together."""
    stop: tuple[str, ...] = ()
    """Strings before which a text ends, wherever the borders of its tokens are."""
    seed: int = 1


class Asked(NamedTuple):
    """A prompt, and how it is to be continued: once for each of `seeds`, whatever that of `sampling`."""

    prompt: str
    sampling: Sampling
    seeds: Sequence[int]


class Piece(NamedTuple):
    """One new token of one continuation."""

    row: int
    """Which of the prompts it continues, from 0."""
    id: int
    text: str
    """The text that is final with this token: empty while a character lacks bytes, or while the end of the
    text may be the beginning of a stop string. All pieces of a row together are its continuation."""
    logprob: float
    """The natural logarithm of the probability that the model gave this token, at temperature 1."""
    likely: tuple[tuple[str, float], ...]
    """The most likely tokens in its place, as they are written, each with its logprob; best first."""
    finish: str | None
    """Why the row ends with this token: `stop` at the end token or a stop string, `length` where it has as
    many tokens as were asked for or the model can see, or None where it goes on."""
    sample: int = 0
    """Which of the prompt's continuations it belongs to, from 0."""


class Engine:
    """A model that continues texts, at most `rows` of them at once.

    `world`: the processes that the model is spread over. Each of them makes the same calls, and gets what the
    first one gets.
    """

    def __init__(
        self,
        model: Llama,
        tokenizer: Tokenizer,
        seq_len: int,
        rows: int = tokens.ROWS,
        world: World | None = None,
    ) -> None:
        self.model, self.tokenizer, self.seq_len = model, tokenizer, seq_len
        self.rows, self.world = rows, world
        self.cut = 0
        """The number of prompts so far that were too long."""

    def stream(
        self,
        prompts: Sequence[str],
        sampling: Sampling,
        likely: int = 0,
        samples: int = 1,
        logprobs: bool = True,
    ) -> Generator[Piece, None, None]:
        """Yield the tokens of all continuations as they are made. Closing the iterator ends the work.

        `likely`: how many alternatives each piece tells. `samples`: the number of continuations of each
        prompt; the seed of the first one is that of `sampling`, and each other's is one more. `logprobs`:
        false to leave out the logprob of each piece. A continuation does not depend on its neighbours. Of a
        prompt that leaves too little room, only the last tokens are kept, at least half of `seq_len`.
        Raises InputError.
        """
        seeds = [(sampling.seed + n) % (LARGEST_SEED + 1) for n in range(samples)]
        return self._stream([Asked(prompt, sampling, seeds) for prompt in prompts], likely, logprobs)

    def _stream(
        self, asked: Sequence[Asked], likely: int = 0, logprobs: bool = False
    ) -> Generator[Piece, None, None]:
        for sampling in {one.sampling for one in asked}:
            check_sampling(sampling.max_new_tokens, sampling.temperature, sampling.top_p, sampling.seed)
        requests = [self._request(*one) for one in asked]
        texts: dict[tuple[int, int], Continuation] = {}  # those that are being continued
        found: dict[tuple[int, int], tuple[str, str | None]] = {}  # what the last token of each has given

        def ends(row: int, sample: int, token: int) -> bool:
            key, request = (row, sample), requests[row]
            if (continued := texts.get(key)) is None:
                continued = texts[key] = Continuation(self.tokenizer, request.ids, asked[row].sampling.stop)
            finish: str | None
            if token == self.tokenizer.eos_id:
                text, finish = continued.flush(), "stop"
            else:
                text, stopped = continued.push(token)
                finish = "stop" if stopped else None
                if finish is None and continued.n_tokens == request.max_new_tokens:
                    text, finish = text + continued.flush(), "length"
            if finish:
                del texts[key]
            found[key] = text, finish
            return finish is not None

        made = tokens.generate(
            self.model,
            requests,
            ends=ends,
            rows=self.rows,
            logprobs=logprobs,
            likely=likely,
            world=self.world,
        )
        try:
            for token in made:
                text, finish = found.pop((token.request, token.sample))
                others = tuple((self.tokenizer.piece(i), logprob) for i, logprob in token.likely)
                yield Piece(token.request, token.id, text, token.logprob, others, finish, token.sample)
        finally:
            made.close()

    def complete(self, prompts: Sequence[str], sampling: Sampling) -> list[str]:
        """Return the continuation of each prompt, without the prompt. See `stream`."""
        return [texts[0] for texts in self.samples(prompts, sampling, 1)]

    def samples(self, prompts: Sequence[str], sampling: Sampling, samples: int) -> list[list[str]]:
        """Return some continuations of each prompt, without the prompt. See `stream`."""
        seeds = [(sampling.seed + n) % (LARGEST_SEED + 1) for n in range(samples)]
        return self.texts([Asked(prompt, sampling, seeds) for prompt in prompts])

    def texts(
        self, asked: Sequence[Asked], done: Callable[[int], None] = lambda texts: None
    ) -> list[list[str]]:
        """Return the continuations of each prompt, without the prompt, one for each of its seeds.

        All of them are in one batch, whatever their settings. `done` is called with the number of texts that
        are whole. See `stream`.
        """
        texts, whole = [[""] * len(one.seeds) for one in asked], 0
        for piece in self._stream(asked):
            texts[piece.row][piece.sample] += piece.text
            if piece.finish:
                whole += 1
                done(whole)
        return texts

    def _request(self, prompt: str, sampling: Sampling, seeds: Sequence[int]) -> tokens.Request:
        """Return what is asked of the model for a prompt, with as much of it as there is room for."""
        ids = self.tokenizer.encode(prompt, bos=True)
        room = max(self.seq_len - sampling.max_new_tokens, self.seq_len // 2, 1)
        if len(ids) > room:
            ids = [ids[0], *ids[len(ids) - room + 1 :]]
            self.cut += 1
        most = min(sampling.max_new_tokens, max(self.seq_len - len(ids), 1))
        return tokens.Request(ids, most, sampling.temperature, sampling.top_p, seeds)
