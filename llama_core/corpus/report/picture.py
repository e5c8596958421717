"""The picture of a source's way through the stages: what goes on, and what leaves it where."""

from collections.abc import Sequence

from llama_core.corpus.report.balance import StageBalance, named, size
from llama_core.html import escape

REASONS = 6  # that are named in the picture of a stage
WIDTH, COLUMN, LINE = 1080, 240, 15  # pixels of the picture; a column is this at most
TOP, BAND, TEXT = 34, 80, 48  # where the band of documents begins; how high both bands are at most
NODE, TAIL = 9, 45  # what a stage's node and what leaves it measure
LABELS = TOP + BAND + 40  # where the reasons begin
STYLE = """
svg .small { font-size: 11px; fill: #57606a } .tail { opacity: .45 }
.on { fill: #b6e3ff } .node { fill: #54aeff } .left-out { fill: #ff8182 } .held-out { fill: #94c973 }
"""


def picture(balances: Sequence[StageBalance]) -> str:
    """Draw a Sankey diagram as SVG: the band that goes on from stage to stage, and what leaves it at each.

    The band's height is the share that is left of what came in, stage upon stage, since the unit changes
    from records to documents on the way. Below it stands the same for the bytes of text: a stage may cut much
    text out of documents that all go on.
    """
    column = min(COLUMN, (WIDTH - 90) / max(1, len(balances)))
    shapes: list[str] = []
    height = _documents(shapes, balances, column)
    if any(b.bytes_out for b in balances):
        height = _text(shapes, balances, column, height + LINE)
    return (
        f"<svg viewBox='0 0 {WIDTH} {height}' width='100%' role=img aria-label='what is kept'>"
        f"{''.join(shapes)}</svg>"
    )


def _documents(shapes: list[str], balances: Sequence[StageBalance], column: float) -> int:
    """Draw the band of documents, and the reasons by name. Return where it ends."""
    share, lines = 1.0, 0
    for i, b in enumerate(balances):
        x, scale = i * column, BAND * share / max(1, b.into)
        leaving = [("held-out", "held out", b.held_out)] if b.held_out else []
        leaving += [("left-out", named(reason), count) for reason, count in b.lost.items()]
        _words(shapes, x, 12, b.stage, "")
        _words(shapes, x, 26, f"{b.into:,} {b.unit}")
        tails = [(kind, f"{what}: {count:,}", max(0.7, scale * count)) for kind, what, count in leaving]
        told = f"{b.stage}: {b.out:,} of {b.into:,} {b.unit} go on"
        _flow(shapes, (x, TOP), column, (told, scale * b.out), tails)
        _reasons(shapes, x, column, leaving)
        share *= b.out / max(1, b.into)
        lines = max(lines, min(len(leaving), REASONS + 1))
    if balances:
        _end(shapes, len(balances) * column, TOP, f"{balances[-1].passed_on:,}")
    return LABELS + lines * LINE


def _text(shapes: list[str], balances: Sequence[StageBalance], column: float, top: int) -> int:
    """Draw the band of text from `top` on. Return where it ends."""
    scale = TEXT / max(b.bytes_out or 0 for b in balances)
    before: int | None = None
    band = top + LINE // 2
    for i, b in enumerate(balances):
        # A stage that counts no text has cut none: it sees keys, or passes on what it is given.
        after = b.bytes_out if b.bytes_out is not None else before or 0
        lost = max(0, before - after) if before is not None else 0
        kind, what = ("held-out", "held out") if b.held_out else ("left-out", "left out or cut")
        tails = [(kind, f"{what}: {size(lost)}", max(0.7, scale * lost))] if lost else []
        change = f"{size(before or 0)} → {size(after)}" if lost else f"{size(after)} of text"
        _words(shapes, i * column, top, change)
        told = f"{b.stage}: {size(after)} of text go on"
        _flow(shapes, (i * column, band), column, (told, scale * after), tails)
        before = after
    _end(shapes, len(balances) * column, band, size(before or 0))
    return band + TEXT + TAIL // 2


def _flow(
    shapes: list[str],
    at: tuple[float, float],
    column: float,
    on: tuple[str, float],
    leaving: Sequence[tuple[str, str, float]],
) -> None:
    """Draw a node, the band that goes on from it and the tails that leave it.

    `on`: words and pixels. `leaving`: class, words and pixels of each tail.
    """
    (x, y), (told, high) = at, on
    shapes.append(
        f"<rect class=node x='{x:.1f}' y='{y}' width='{NODE}' height='{high:.1f}' />"
        f"<rect class=on x='{x + NODE:.1f}' y='{y}' width='{column - NODE:.1f}' height='{high:.1f}'>"
        f"<title>{escape(told)}</title></rect>"
    )
    y += high
    for kind, what, thick in leaving:
        title = f"<title>{escape(what)}</title>"
        tail = _band(x + NODE, y, thick, x + NODE + TAIL, y + TAIL / 3, thick)
        shapes.append(
            f"<rect class={kind} x='{x:.1f}' y='{y:.1f}' width='{NODE}' height='{thick:.1f}'>{title}</rect>"
            f"<path class='{kind} tail' d='{tail}'>{title}</path>"
        )
        y += thick


def _reasons(shapes: list[str], x: float, column: float, leaving: Sequence[tuple[str, str, int]]) -> None:
    for line, (kind, what, count) in enumerate(leaving[:REASONS]):
        at = LABELS + line * LINE
        shapes.append(f"<circle class={kind} cx='{x + 4:.1f}' cy='{at - 4}' r=4 />")
        _words(shapes, x + 13, at, _short(what, count, column), title=f"{what}: {count:,}")
    if more := leaving[REASONS:]:
        rest = sum(count for _, _, count in more)
        _words(shapes, x + 13, LABELS + REASONS * LINE, f"{len(more)} more: {rest:,}")


def _words(
    shapes: list[str], x: float, y: float, words: str, style: str = "class=small ", title: str = ""
) -> None:
    said = f"<title>{escape(title)}</title>" if title else ""
    shapes.append(f"<text {style}x='{x:.1f}' y='{y}'>{escape(words)}{said}</text>")


def _end(shapes: list[str], x: float, y: float, what: str) -> None:
    _words(shapes, x + 6, y + 12, what, "")
    _words(shapes, x + 6, y + 26, "for training")


def _band(x0: float, y0: float, high: float, x1: float, y1: float, low: float) -> str:
    """Return the path of a band from (x0, y0), `high` thick, to (x1, y1), `low` thick."""
    middle = (x0 + x1) / 2
    return (
        f"M{x0:.1f},{y0:.1f} C{middle:.1f},{y0:.1f} {middle:.1f},{y1:.1f} {x1:.1f},{y1:.1f} V{y1 + low:.1f} "
        f"C{middle:.1f},{y1 + low:.1f} {middle:.1f},{y0 + high:.1f} {x0:.1f},{y0 + high:.1f} Z"
    )


def _short(reason: str, count: int, column: float) -> str:
    number = f"{count:,}"
    room = int((column - 17) / 6.5) - len(number) - 1  # pixels of a character
    return f"{reason if len(reason) <= room else reason[: room - 1] + '…'} {number}"
