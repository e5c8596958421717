"""The paper's tables as a report shows them: first those that have a value of ours."""

from collections.abc import Sequence

from llama_core.evaluate.tables.fill import grids
from llama_core.evaluate.tables.formats import in_html, markdown
from llama_core.evaluate.tables.ours import Ours
from llama_core.html import Html


def with_ours(models: Sequence[Ours]) -> str:
    """Return the tables that have a value of ours, as Markdown, and the names of the others."""
    found = grids(models)
    others = ", ".join(grid.name for grid in found if not grid.has_ours)
    shown = markdown([grid for grid in found if grid.has_ours], level=3) or "None."
    return f"{shown}\n\nWithout a value: {others}." if others else shown


def without_ours(models: Sequence[Ours]) -> Html:
    """Return the other tables as a part of a page that is folded up."""
    others = [grid for grid in grids(models) if not grid.has_ours]
    if not others:
        return Html("")
    tables = "".join(map(in_html, others))
    return Html(f"<details><summary>The paper's tables without a value</summary>{tables}</details>")
