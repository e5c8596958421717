"""Published quality filters: whether a text stays, why not, and which of its lines do not."""

from collections.abc import Callable, Iterator

from llama_core.corpus.clean.filters import c4, fineweb, gopher
from llama_core.corpus.decisions import Cut, apply_cuts
from llama_core.corpus.recipe import Filters


def judge(text: str, cfg: Filters) -> tuple[str, list[Cut]]:
    """The reason to drop a text, empty where it is kept, and what C4 cuts out of a text that is kept.

    In FineWeb's order: Gopher's repetition and quality on the text as it came, then C4, whose cuts
    are the only ones, then FineWeb's filters on what C4 left. The first that refuses is the reason.
    """
    if reason := next(filter(None, _gopher(text, cfg)), None):
        return reason, []
    cuts: list[Cut] = []
    if cfg.c4:
        refused, cuts = c4.clean(text, cfg.c4)
        if refused:
            return refused, []
    if cfg.fineweb and (reason := fineweb.reason(apply_cuts(text, cuts))):
        return reason, []
    return "", cuts


def _gopher(text: str, cfg: Filters) -> Iterator[str | None]:
    rules: list[Callable[[str, gopher.Words], str | None]] = []
    if cfg.gopher_repetition:
        rules.append(gopher.repetition_reason)
    if cfg.gopher_quality:
        rules.append(gopher.quality_reason)
    if rules:
        words = gopher.Words(text)
        yield from (rule(text, words) for rule in rules)
