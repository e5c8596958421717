"""The paper's tables with our models in them."""

from collections.abc import Sequence
from dataclasses import replace

from llama_core.evaluate.tables.grid import Cell, Grid, Heading
from llama_core.evaluate.tables.ours import Findings, Ours
from llama_core.evaluate.tables.paper import CARBON, CARBON_REMARKS, MISSING, TABLES, Quantity, Table
from llama_core.train.metrics.energy import megawatt_hours, tonnes

DEVICES = {"cuda": "GPU", "cpu": "CPU"}


class Notes:
    """The notes below a table, each of which stands there once."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def number(self, text: str) -> int:
        """Return the number of a note, from 1."""
        if text not in self.texts:
            self.texts.append(text)
        return self.texts.index(text) + 1


def grids(models: Sequence[Ours]) -> list[Grid]:
    """Return the paper's Tables 3 to 15 with the models."""
    return [*(grid(table, models) for table in TABLES), carbon(models)]


def grid(table: Table, models: Sequence[Ours]) -> Grid:
    """Return a table of the paper with the models below its own, or to the right of them.

    The best value of each quantity is bold. Ours takes part where it was found as the paper's were.
    """
    notes = Notes()
    names = [(row.model, row.size) for row in table.rows] + [(m.name, m.size) for m in models]
    rows = [[Cell(value) for value in row.values] for row in table.rows]
    rows += [
        [_cell(table, quantity, model.final, notes) for quantity in table.quantities] for model in models
    ]
    columns = [_best(list(column), table.lower_is_better) for column in zip(*rows, strict=True)]
    rows = [list(row) for row in zip(*columns, strict=True)]
    n_theirs = len(table.rows)
    first = next((i for i, row in enumerate(table.rows) if row.model.startswith("LLaMA")), 0)
    found = Grid(
        table.number,
        table.title,
        (Heading(""), Heading(""), *(Heading(m.title, m.group) for m in table.quantities)),
        tuple((Cell(name), Cell(size), *row) for (name, size), row in zip(names, rows, strict=True)),
        frozenset({first, n_theirs} - {0, len(rows)}),
        labels=2,
        notes=tuple(notes.texts),
        remarks=table.remarks,
        has_ours=any(cell.text != MISSING for row in rows[n_theirs:] for cell in row),
    )
    if not table.models_are_columns:
        return found
    headings = (Heading(""), *(Heading(size, name) for name, size in names))
    by_quantity = [
        (Cell(quantity.title), *column) for quantity, column in zip(table.quantities, columns, strict=True)
    ]
    return replace(found, headings=headings, rows=tuple(by_quantity), rules=frozenset(), labels=1)


def _cell(table: Table, quantity: Quantity, results: Findings, notes: Notes) -> Cell:
    """Return our value of a quantity, with a note on what makes it another than the paper's."""
    result = results.get(quantity.key)
    if result is None:
        return _missing("", notes)
    if not result.done:
        return _missing(f"not run: {result.reason}", notes)
    if result.score is None:
        return _missing(result.not_scored or f"not scored: {result.metric}", notes)
    value = result.figures.get(quantity.figure) if quantity.figure else result.score
    if value is None:
        return _missing("none of its items was scored", notes)
    said = []
    if quantity.n and result.n < quantity.n:
        said.append(f"{result.n:,} of {quantity.n:,} items")
    elif quantity.n and result.n != quantity.n:
        said.append(f"{result.n:,} items, where the paper has {quantity.n:,}")
    if result.cut:
        said.append(f"{result.cut:,} prompts were cut to the model's context")
    if quantity.metric and quantity.metric not in result.metric.split():
        said.append(f"{result.metric} instead of {quantity.metric}")
    numbers = (notes.number("; ".join(said)),) if said else ()
    return Cell(f"{table.scale * value:.{table.digits}f}", notes=numbers)


def _missing(why: str, notes: Notes) -> Cell:
    return Cell(MISSING, notes=(notes.number(why),) if why else ())


def _best(cells: list[Cell], lower: bool) -> list[Cell]:
    """Return the cells of one quantity, the best of at least two comparable ones in bold."""
    values = [None if c.notes or c.text == MISSING else float(c.text.rstrip("*")) for c in cells]
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return cells
    best = min(known) if lower else max(known)
    return [replace(cell, bold=value == best) for cell, value in zip(cells, values, strict=True)]


def carbon(models: Sequence[Ours]) -> Grid:
    """Return Table 15: what trainings took from their devices, and the carbon dioxide behind it."""
    notes = Notes()
    rows = [tuple(map(Cell, (row.model, row.size, *row.values))) for row in CARBON]
    for model in models:
        device = DEVICES.get(model.device, model.device)
        hours, watts = model.use.device_hours, model.use.watts
        if not hours:
            why = (notes.number("its training is not finished, or was not made here"),)
            rows.append((Cell(model.name), Cell(device), *(Cell(MISSING, notes=why) for _ in range(4))))
            continue
        how = "power by the devices' own counters"
        if watts is None:
            watts, how = model.watts, "power as launch.device_watts states it"
        if watts is None:
            how = "power not known: the devices tell none; give launch.device_watts in the recipe"
        power = Cell(MISSING if watts is None else f"{watts:,.0f}", notes=(notes.number(how),))
        number = (notes.number(f"{model.use.in_steps / hours:.1%} of the time in steps that count"),)
        mwh = None if watts is None else megawatt_hours(hours, watts)
        spent = [Cell(MISSING if x is None else _number(x)) for x in (mwh, mwh and tonnes(mwh))]
        rows.append((Cell(model.name), Cell(device), power, Cell(_number(hours), notes=number), *spent))
    return Grid(
        15,
        "Carbon footprint of training models of different sizes",
        tuple(
            map(Heading, ("", "device", "watts of one", "device-hours", "energy, MWh", "carbon, t CO2 eq."))
        ),
        tuple(rows),
        frozenset({2, len(CARBON)} - {len(rows)}),
        labels=2,
        notes=tuple(notes.texts),
        remarks=CARBON_REMARKS,
        has_ours=any(model.use.device_hours for model in models),
    )


def _number(value: float) -> str:
    """Return a number as the paper has it, or with two digits where it is small."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"
