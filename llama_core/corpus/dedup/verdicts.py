"""The verdict on each document of a piece, put together from the answers of the phases about it."""

import numpy as np
import numpy.typing as npt

from llama_core.corpus.dedup.scratch import HELDOUT, ID, KEPT, Piece
from llama_core.corpus.partition import Table

REASONS = ("", "exact", "near", "heldout_near", "book_overlap")  # a verdict holds the index
_KEEP, _EXACT, _NEAR, _HELDOUT, _BOOK = range(len(REASONS))

VERDICTS = np.dtype(
    [
        *ID,
        ("heldout", "?"),
        ("reason", "u1"),
        ("near", "?"),  # whether it gave way to a near text, which is in row `kept_row`
        *KEPT,
        ("kept_row", "<u8"),
        ("similarity", "<f8"),
        ("cluster", "<u8"),
    ]
)


def judge(piece: Piece, signed: Table, copies: Table, near: Table) -> Table:
    """Return the verdicts on a piece's documents, in order: VERDICTS.

    The verdict on a document that gives way names the one that stays and has the similarity of the two. The
    verdict on one that stays has the number of documents in its `cluster`, itself included. A held-out
    document that gives way to a training document is `heldout_near`, whether the two are equal or near.

    `copies`: the answers of `exact` about all documents of the piece. `near`: those of `near` about the ones
    that are in a cluster.
    """
    verdicts = np.zeros(len(signed), VERDICTS)
    verdicts["hi"], verdicts["lo"] = signed["hi"], signed["lo"]
    verdicts["heldout"] = signed["rank"] & HELDOUT != 0
    verdicts["cluster"] = copies["copies"]
    copied = np.flatnonzero(copies["copies"] == 0)
    verdicts["similarity"][copied] = 1.0
    _give_way(verdicts, copied, copies[copied], _EXACT)

    at = piece.within(near["row"])
    verdicts["cluster"][at] = near["cluster"]
    lost = near["cluster"] == 0
    at, near = at[lost], near[lost]
    verdicts["near"][at] = True
    for name in ("kept_row", "similarity"):
        verdicts[name][at] = near[name]
    _give_way(verdicts, at, near, _NEAR)
    return verdicts


def drop_books(piece: Piece, verdicts: Table, overlaps: Table) -> None:
    """Drop the books of a piece that are in another book. `overlaps`: those that are large enough."""
    at = piece.within(overlaps["row"])
    verdicts["similarity"][at] = overlaps["share"]
    verdicts["reason"][at] = _BOOK
    _name_kept(verdicts, at, overlaps)


def _give_way(verdicts: Table, at: npt.NDArray[np.int64], to: Table, reason: int) -> None:
    """Record that the documents at these places give way to those that `to` names as kept."""
    outside = verdicts["heldout"][at] & ~to["heldout"]
    verdicts["reason"][at] = np.where(outside, _HELDOUT, reason)
    _name_kept(verdicts, at, to)


def _name_kept(verdicts: Table, at: npt.NDArray[np.int64], to: Table) -> None:
    verdicts["kept_hi"][at], verdicts["kept_lo"][at] = to["kept_hi"], to["kept_lo"]
    verdicts["cluster"][at] = 0
