"""A continuation as text, while its tokens come one by one."""

from collections.abc import Sequence

from llama_core.tokenizer.model import Tokenizer

UNKNOWN = "\ufffd"  # what the decoder gives for bytes that are no character, or not yet
LONGEST_PENDING = 3  # bytes of a character that may lack its last one
WINDOW = 16  # tokens that are decoded together before the first of them are let go


class Continuation:
    """The text after a prompt's tokens.

    What `push` and `flush` return together is what decoding all tokens at once gives after the prompt's text,
    up to a stop string; and what was returned is final.
    """

    def __init__(self, tokenizer: Tokenizer, context: Sequence[int], stop: Sequence[str] = ()):
        self._tokenizer, self._stop = tokenizer, [s for s in stop if s]
        self.n_tokens = 0
        # Tokens are decoded after others, because the space before a text belongs to its first piece.
        self._ids = list(context[-WINDOW:])
        self._decoded = tokenizer.decode(self._ids)  # the text of `_ids` that has been taken over
        self._held = ""  # text that may be the beginning of a stop string

    def push(self, token: int) -> tuple[str, bool]:
        """Add a token. Return the text that is final now, and whether it ended at a stop string."""
        self._ids.append(token)
        self.n_tokens += 1
        whole = self._tokenizer.decode(self._ids)
        known = whole.rstrip(UNKNOWN)
        if len(whole) - len(known) > LONGEST_PENDING:
            known = whole[:-LONGEST_PENDING]
        return self._take(known)

    def flush(self) -> str:
        """Return what is left of the text when it ends here."""
        text, stopped = self._take(self._tokenizer.decode(self._ids))
        held, self._held = self._held, ""
        return text if stopped else text + held

    def _take(self, known: str) -> tuple[str, bool]:
        """Take over what is new in `known`, the text of `_ids` or its beginning."""
        if len(known) <= len(self._decoded):
            return "", False
        self._held += known[len(self._decoded) :]
        self._decoded = known
        self._shorten()
        # The stop string that is whole first counts, so that it is the same however tokens cut the text.
        found = ((self._held.find(s), len(s)) for s in self._stop)
        if ends := [(at + length, at) for at, length in found if at >= 0]:
            text, self._held = self._held[: min(ends)[1]], ""
            return text, True
        kept = max((_overlap(self._held, s) for s in self._stop), default=0)
        text, self._held = self._held[: len(self._held) - kept], self._held[len(self._held) - kept :]
        return text, False

    def _shorten(self) -> None:
        """Let go of the first tokens, where the others are decoded alike without them."""
        if len(self._ids) < 2 * WINDOW:
            return
        rest = self._ids[-WINDOW:]
        text = self._tokenizer.decode(rest)
        if text and self._tokenizer.decode(self._ids) == self._decoded and UNKNOWN not in text:
            self._ids, self._decoded = rest, text


def _overlap(text: str, stop: str) -> int:
    """Return the length of the longest end of `text` that is a beginning of `stop`, but not all of it."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)
