"""How a tokenizer segments text: bytes per token by source and language, and how the released one differs.

In the released model a word takes the space before it, even out of a run of spaces, because whitespace-only
pieces have the score -1e9. A model trained with the same flags but without that step joins the spaces first,
and the word gets none. Which of the two a tokenizer does shows in its segmentation, whatever its vocabulary.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sentencepiece
from numpy.typing import NDArray

PROBE = 1 << 20  # bytes of each source, and of each of its languages, that are encoded
SPACE = "▁"  # U+2581: how SentencePiece writes a space

# Texts on which the released model and one without its last step differ, and some that both split.
PROBES = (" hello", "a  b", "x = 1  # the\n", "    return value", "12345 of 678", "a\tb\n\n  c", "naïve 日本")


@dataclass(frozen=True, slots=True)
class Text:
    """A text of a source."""

    source: str
    """The source's name."""
    language: str
    """The text's language; empty where it is not known."""
    text: str


class Segmentation:
    """A SentencePiece model as a report looks at it: how it segments text."""

    def __init__(self, processor: sentencepiece.SentencePieceProcessor):
        self._processor = processor
        self.pieces: list[str] = [processor.id_to_piece(i) for i in range(processor.get_piece_size())]

    def encode(self, text: str) -> NDArray[np.int32]:
        """Return the ids of a text, int32 (tokens,)."""
        return self._processor.encode(text, out_type="numpy")

    def of(self, text: str) -> list[str]:
        """Return the pieces of a text."""
        return [self.pieces[i] for i in self.encode(text)]

    def faults(self, ids: NDArray[np.int32]) -> dict[str, int]:
        """Count where the released model would have segmented otherwise. `ids`: int32 (tokens,).

        `spaces_taken` counts whitespace before a piece that could have had the space, `digits_joined` pieces
        that hold a digit and more.
        """
        taken = self._is_blank[ids[:-1]] & self._may_have_space[ids[1:]]
        return {"spaces_taken": int(taken.sum()), "digits_joined": int(self._joins_digits[ids].sum())}

    @cached_property
    def _is_blank(self) -> NDArray[np.bool_]:
        """bool (pieces,): true for whitespace-only pieces."""
        return np.array([is_whitespace(piece) for piece in self.pieces])

    @cached_property
    def _may_have_space(self) -> NDArray[np.bool_]:
        """bool (pieces,): true for pieces that are in the vocabulary with a space in front, too."""
        known = set(self.pieces)
        return np.array([not piece.startswith(SPACE) and SPACE + piece in known for piece in self.pieces])

    @cached_property
    def _joins_digits(self) -> NDArray[np.bool_]:
        """bool (pieces,): true for pieces that hold a digit and more."""
        joined = [len(piece) > 1 and any(map(str.isdigit, piece)) for piece in self.pieces]
        is_byte = [self._processor.is_byte(i) for i in range(len(self.pieces))]
        return np.array(joined) & ~np.array(is_byte)


def is_whitespace(piece: str) -> bool:
    """Tell whether a piece holds nothing but spaces."""
    return not piece.strip(SPACE)


def report(model: Segmentation, texts: Iterable[Text]) -> dict[str, Any]:
    """Return the facts about how a model segments.

    They are the bytes per token of each source and of each of its languages, measured on their first PROBE
    bytes in `texts`; the faults in all that was encoded; and the pieces of the PROBES.
    """
    sizes: Counter[tuple[str, ...]] = Counter()
    tokens: Counter[tuple[str, ...]] = Counter()
    found = Counter(tokens=0, spaces_taken=0, digits_joined=0)
    for text in texts:
        both: list[tuple[str, ...]] = [(text.source,), (text.source, text.language)]
        keys = [key for key in both if sizes[key] < PROBE]
        if not keys:
            continue
        ids = model.encode(text.text)
        found.update(tokens=len(ids), **model.faults(ids))
        for key in keys:
            sizes[key] += len(text.text.encode())
            tokens[key] += len(ids)
    by_source: dict[str, float] = {}
    by_language: dict[str, dict[str, float]] = {}
    for (source, *language), size in sorted(sizes.items()):
        ratio = round(size / max(1, tokens[source, *language]), 4)
        if language:
            by_language.setdefault(source, {})[language[0] or "unknown"] = ratio
        else:
            by_source[source] = ratio
    return {
        "bytes_per_token": by_source,
        "bytes_per_token_by_language": by_language,
        "segmentation": dict(found),
        "probes": {text: model.of(text) for text in PROBES},
    }


def comparison(ours: Segmentation, theirs: Segmentation, texts: Iterable[Text]) -> dict[str, Any]:
    """Return the facts about another tokenizer on the same texts.

    They are those of `report`, but only the probes that it segments otherwise, and the share of our pieces
    that it has too.
    """
    other = report(theirs, texts)
    differ = {text: other["probes"][text] for text in PROBES if other["probes"][text] != ours.of(text)}
    common = len(set(ours.pieces) & set(theirs.pieces)) / len(ours.pieces)
    return other | {"probes": differ, "pieces_in_common": round(common, 4)}
