"""The HTML of a text and its tokens. All that a person or a model has written is escaped here.

Each token is a `<span class=token>` with its probability and the likely tokens of its place as JSON, which
`page.js` shows where a pointer or the keyboard's cursor is.
"""

import json
import math
from collections.abc import Sequence

from llama_core.generate.engine import Piece
from llama_core.generate.page.templates import Turn
from llama_core.html import Html, escape

MOST_SHOWN = 2000  # characters of a prompt that are shown at each end
BANDS = (0.5, 0.2, 0.05, 0.01)  # probabilities between which tokens are shaded alike


def tokens(pieces: Sequence[Piece]) -> Html:
    """Return the tokens of a text, each with what the model thought of it."""
    return Html("".join(_token(piece) for piece in pieces if piece.text))


def _token(piece: Piece) -> str:
    probability = math.exp(piece.logprob)
    band = sum(probability < least for least in BANDS)
    likely = [[text, _rounded(math.exp(logprob))] for text, logprob in piece.likely]
    hover = escape(json.dumps({"p": _rounded(probability), "likely": likely}, allow_nan=False))
    return f'<span class="token b{band}" data-hover="{hover}">{escape(piece.text)}</span>'


def _rounded(probability: float) -> float:
    return float(f"{min(probability, 1.0):.3g}") if probability == probability else 0.0


def text_before(text: str) -> Html:
    """Return the text that a continuation follows, or its end."""
    shown = text if len(text) <= MOST_SHOWN else f"… {text[-MOST_SHOWN:]}"
    return Html(f"<span class=before>{escape(shown)}</span>")


def said(turns: Sequence[Turn]) -> Html:
    """Return what was said in a conversation."""
    return Html("".join(f"{_line('You', turn.text)}{_line('Model', turn.answer)}" for turn in turns))


def _line(who: str, text: str) -> str:
    return f"<p class=turn><b>{escape(who)}</b> {escape(text)}</p>"


def answering(text: str, pieces: Sequence[Piece]) -> Html:
    """Return the last turn of a conversation, as it grows."""
    return Html(f"{_line('You', text)}<p class=turn><b>Model</b> {tokens(pieces)}")


def panel(title: str, where: str, body: Html) -> Html:
    """Return the box of a model's text. Its last `div` is left open: what a stream adds goes to its end."""
    return Html(
        f"<header><b>{escape(title)}</b> <button type=button class=copy>Copy the text</button>"
        f"<small>{escape(where)}</small></header><div class=answer tabindex=0 role=group "
        f'aria-label="Text of {escape(title)}; the arrow keys go from token to token">{body}'
    )


def prompt_read(name: str, prompt: str, tokens: int, read: int) -> Html:
    """Return the prompt as it was given to the model, to be opened by a click; how much of it was read."""
    cut = f"{prompt[:MOST_SHOWN]}\n[…]\n{prompt[-MOST_SHOWN:]}" if len(prompt) > 2 * MOST_SHOWN else prompt
    note = f"the last {read:,} of {tokens:,} tokens" if read < tokens else f"{tokens:,} tokens"
    return Html(
        f"<details><summary>What {escape(name)} was given to read: {note}</summary>"
        f"<pre>{escape(cut)}</pre></details>"
    )


def notice(*lines: str) -> Html:
    """Return what there is to say of the work, for below the buttons."""
    return Html("".join(f"<p class=note>{escape(line)}</p>" for line in lines))


def error(text: str) -> Html:
    """Return what a person has to mend, for the same place."""
    return Html(f"<p class=error role=alert>{escape(text[:1].upper() + text[1:])}.</p>")
