"""Published quality filters: whether a text stays, why not, and which of its lines do not."""

from llama_core.corpus.clean.filters import c4, fineweb, gopher
from llama_core.corpus.clean.recipe import Filters
from llama_core.corpus.decisions import Cut, apply_cuts


def judge(text: str, cfg: Filters) -> tuple[str, list[Cut]]:
    """Return the reason to drop a text, empty if it is kept, and what C4 cuts out of a text that is kept.

    The order is FineWeb's: Gopher's repetition and quality on the text as it came, then C4, the only one that
    cuts, and then FineWeb's filters on what C4 left. The first filter that refuses the text gives the reason.
    """
    if reason := _gopher(text, cfg):
        return reason, []
    cuts: list[Cut] = []
    if cfg.c4:
        refused, cuts = c4.clean(text, cfg.c4)
        if refused:
            return refused, []
    if cfg.fineweb and (reason := fineweb.reason(apply_cuts(text, cuts))):
        return reason, []
    return "", cuts


def _gopher(text: str, cfg: Filters) -> str | None:
    if not (cfg.gopher_repetition or cfg.gopher_quality):
        return None
    words = gopher.Words(text)
    if cfg.gopher_repetition and (reason := gopher.repetition_reason(text, words)):
        return reason
    return gopher.quality_reason(text, words) if cfg.gopher_quality else None
