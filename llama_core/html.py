"""Web pages: one look, one escape and one table for every page that the pipeline writes."""

import html
import re
from collections.abc import Sequence
from typing import Any

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Html(str):
    """Text that is HTML already, so that `escape` leaves it as it is."""


def page(title: str, body: str, style: str = "") -> str:
    """Return a whole HTML file.

    `title`: plain text. `body`: HTML. `style`: CSS for what only this page has.
    """
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title>"
        f"<meta name=viewport content='width=device-width'><style>{STYLE}{style}</style>"
        f"<body>{body}</body></html>\n"
    )


def escape(value: object) -> Html:
    """Return the value as HTML that shows it as it is."""
    return value if isinstance(value, Html) else Html(html.escape(visible(str(value))))


def code(text: str) -> Html:
    """Return text to be shown in the type of code."""
    return Html(f"<code>{escape(text)}</code>")


def table(rows: Sequence[dict[str, Any]], style: str = "", head: bool = True) -> Html:
    """Return a table with a column for each name that a row has.

    `style`: the CSS class of the table. `head`: whether the names stand above the columns.
    """
    if not rows:
        return Html("<p>None.</p>")
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = ["".join(f"<th>{escape(name.replace('_', ' '))}</th>" for name in names)] if head else []
    lines += ["".join(f"<td>{escape(row.get(name, ''))}</td>" for name in names) for row in rows]
    shown = "".join(f"<tr>{line}</tr>" for line in lines)
    return Html(f"<table class={style}>{shown}</table>" if style else f"<table>{shown}</table>")


def visible(text: str) -> str:
    """Return the text with a visible sign for every control character, which HTML forbids."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


# A table is a block, so that one that is wider than the page scrolls in its own box.
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1b1f24; max-width: 1080px; margin: 2em auto }
body { padding: 0 1em }
h2 { margin-top: 2em; border-bottom: 1px solid #d8dee4 } h3 { margin: 1em 0 .3em; font-size: 15px }
table { display: block; width: max-content; max-width: 100%; overflow-x: auto; margin: 1em 0 }
table { border-collapse: collapse; font-size: 13px }
td, th { border-bottom: 1px solid #d8dee4; padding: 4px 14px 4px 0; text-align: left; vertical-align: top }
p, li, td code { overflow-wrap: anywhere }
code, pre { background: #f6f8fa; font-size: 12px } code { padding: 1px 3px }
pre code, td code { padding: 0; background: none }
pre { padding: 8px; margin: 0 0 1em; white-space: pre-wrap; overflow-wrap: anywhere }
svg text { font-size: 13px; fill: #1b1f24 }
"""
