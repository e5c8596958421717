"""Curves as SVG: the one way in which the pipeline's pages draw what was measured along a training."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from llama_core.html import Html, escape

COLORS = ("#0969da", "#cf222e", "#1a7f37", "#8250df", "#bf8700", "#0a7ea4", "#bc4c00", "#57606a")
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 26, 26  # pixels around the field of a panel
LINE = 18  # pixels of a line of the legend
WIDE = 50  # a field whose curves end so many times further than each other has a logarithmic scale


@dataclass(frozen=True)
class Curve:
    """Values, by what they lie above, from the smallest to the largest."""

    name: str
    points: Sequence[tuple[float, float]]
    joined: bool = True
    """True if a line is drawn through the points."""


@dataclass(frozen=True)
class Panel:
    """A field with its own curves."""

    title: str
    curves: Sequence[Curve]


def draw(panels: Sequence[Panel], columns: int = 1, width: int = 1080, height: int = 260) -> Html:
    """Return the panels as one picture, row by row, with a legend of all names below them.

    `width`: of the picture, in pixels; `height`: of a panel. Curves of one name have one colour, and all
    panels one scale of what lies below the values, which is counted in tokens.
    """
    scale = _Scale.of(panels)
    names = list(dict.fromkeys(curve.name for panel in panels for curve in panel.curves if curve.points))
    colors = {name: COLORS[i % len(COLORS)] for i, name in enumerate(names)}
    each = width / columns
    shapes = [
        f'<g transform="translate({i % columns * each:.1f},{i // columns * height})">'
        f"{_panel(panel, colors, scale, each, height)}</g>"
        for i, panel in enumerate(panels)
    ]
    bottom = -(-len(panels) // columns) * height
    at, line = LEFT, bottom + LINE // 2
    for name in names if len(names) > 1 else ():
        room = 24 + 7 * len(name)
        if at > LEFT and at + room > width:
            at, line = LEFT, line + LINE
        shapes.append(f'<circle cx="{at}" cy="{line}" r="4" fill="{colors[name]}"/>')
        shapes.append(_text(at + 9, line + 4, name))
        at += room
    total = line + LINE if len(names) > 1 else bottom
    label = escape(", ".join(panel.title for panel in panels))
    return Html(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {total}" width="100%" role="img" '
        f'aria-label="{label}" font-family="system-ui, sans-serif" font-size="12">{"".join(shapes)}</svg>'
    )


@dataclass(frozen=True)
class _Scale:
    """What lies below the values: from where to where, and whether its logarithm is shown."""

    first: float
    last: float
    logarithmic: bool

    @classmethod
    def of(cls, panels: Sequence[Panel]) -> "_Scale":
        points = [curve.points for panel in panels for curve in panel.curves if curve.points]
        ends = [some[-1][0] for some in points] or [1.0]
        if max(ends) <= WIDE * max(1.0, min(ends)):
            return cls(0.0, max(1.0, *ends), False)
        return cls(max(1.0, min(some[0][0] for some in points)), max(ends), True)

    def share(self, x: float) -> float:
        """Return how far from the left a value lies, as a share of the width."""
        if not self.logarithmic:
            return x / self.last
        return math.log(max(x, self.first) / self.first) / math.log(self.last / self.first)

    def ticks(self) -> list[float]:
        """Return the values that are named."""
        if not self.logarithmic:
            return _ticks(0, self.last)
        decades = range(math.ceil(math.log10(self.first)), math.floor(math.log10(self.last)) + 1)
        return [10.0**n for n in decades]


def _panel(panel: Panel, colors: dict[str, str], scale: _Scale, width: float, height: float) -> str:
    shapes = [_text(LEFT, 16, panel.title)]
    points = [point for curve in panel.curves for point in curve.points]
    if not points:
        return "".join([*shapes, _text(LEFT, height / 2, "no values")])
    low, high = _range([y for _, y in points])

    def across(x: float) -> float:
        return LEFT + scale.share(x) * (width - LEFT - RIGHT)

    def up(y: float) -> float:
        return height - BOTTOM - (y - low) / (high - low) * (height - TOP - BOTTOM)

    for y in _ticks(low, high):
        shapes.append(f'<path d="M{LEFT},{up(y):.1f} H{width - RIGHT:.1f}" stroke="#d8dee4"/>')
        shapes.append(_text(LEFT - 6, up(y) + 4, f"{y:g}", "end"))
    for x in scale.ticks():
        shapes.append(
            f'<path d="M{across(x):.1f},{height - BOTTOM:.1f} v4" stroke="#8c959f"/>'
            f"{_text(across(x), height - BOTTOM + 18, _tokens(x), 'middle')}"
        )
    shapes.append(f'<path d="M{LEFT},{TOP} V{height - BOTTOM:.1f} H{width - RIGHT:.1f}" {_LINE}="#8c959f"/>')
    for curve in panel.curves:
        color = colors.get(curve.name, COLORS[0])
        places = [f"{across(x):.1f},{up(y):.1f}" for x, y in curve.points]
        if curve.joined and len(places) > 1:
            shapes.append(f'<path d="M{" L".join(places)}" {_LINE}="{color}" stroke-width="1.5"/>')
        if not curve.joined or len(places) < 50:
            shapes += [
                f'<circle cx="{place.partition(",")[0]}" cy="{place.partition(",")[2]}" r="3" '
                f'fill="{color if curve.joined else "#fff"}" stroke="{color}"/>'
                for place in places
            ]
    return "".join(shapes)


_LINE = 'fill="none" stroke'


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#1b1f24">{escape(text)}</text>'


def _range(values: Sequence[float]) -> tuple[float, float]:
    """Return where a scale begins and ends, somewhat beyond the values."""
    low, high = min(values), max(values)
    room = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
    return low - room, high + room


def _ticks(low: float, high: float) -> list[float]:
    """Return four to nine round numbers between two."""
    rough = (high - low) / 5
    unit = 10 ** math.floor(math.log10(rough))
    step = next(unit * k for k in (1, 2, 5, 10) if unit * k >= rough)
    first = math.ceil(low / step)
    return [round(step * n, 12) for n in range(first, math.floor(high / step) + 1)]


def _tokens(count: float) -> str:
    for unit, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if count >= unit:
            return f"{count / unit:g}{letter}"
    return f"{count:g}"
