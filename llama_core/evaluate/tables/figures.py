"""The paper's Figures 1 and 2 with our models: training loss, and scores during training, over tokens."""

from collections.abc import Sequence

from llama_core.evaluate.tables.ours import Ours
from llama_core.evaluate.tables.paper import MISSING, PANELS, TRAINED, Quantity, Table
from llama_core.html import Html
from llama_core.train.metrics.curves import Curve, Panel, draw

LOSS = (
    "Figure 1: training loss over tokens. The paper has printed no value of its curves, "
    "so they are not drawn here."
)
SCORES = (
    "Figure 2: scores during training. Open circles are the paper's values at the end of training, of its "
    "Tables 3 to 5; the paper does not say of how many shots its curves of question answering are."
)


def loss(models: Sequence[Ours]) -> Html | None:
    """Return Figure 1, or None where no training's record is there."""
    curves = [Curve(model.name, model.losses) for model in models if model.losses]
    return draw([Panel("training loss", curves)]) if curves else None


def scores(models: Sequence[Ours]) -> Html | None:
    """Return Figure 2, or None where none of its benchmarks was run on a model of known tokens."""
    panels = [_panel(title, table, models) for title, table in PANELS]
    if not any(curve.joined and curve.points for panel in panels for curve in panel.curves):
        return None
    return draw(panels, columns=3)


def _panel(title: str, table: Table, models: Sequence[Ours]) -> Panel:
    """Return a panel. Of several shots it shows those, or the fewest of those, that our models were given."""
    quantities = [m for m in table.quantities if m.title == title] or list(table.quantities)
    quantity = next((m for m in quantities if any(_points(model, m) for model in models)), quantities[0])
    index = table.quantities.index(quantity)
    theirs = [
        Curve(f"LLaMA {row.size}", [(TRAINED[row.size], float(row.values[index]))], joined=False)
        for row in table.rows
        if row.model == "LLaMA" and row.values[index] != MISSING
    ]
    name = title if quantity.title == title else f"{title}, {quantity.title}"
    return Panel(name, [*(Curve(model.name, _points(model, quantity)) for model in models), *theirs])


def _points(model: Ours, quantity: Quantity) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for tokens, results in model.results:
        result = results.get(quantity.key)
        if tokens and result is not None and result.done and result.score is not None:
            found.append((tokens, 100 * result.score))
    return found
