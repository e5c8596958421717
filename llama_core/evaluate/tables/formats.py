"""Tables as Markdown, HTML and LaTeX. All text in them is shown as it is."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from llama_core import html
from llama_core.evaluate.tables.grid import Cell, Grid, Heading
from llama_core.evaluate.tables.paper import MISSING
from llama_core.html import Html
from llama_core.markdown import Markdown, bullets, escape, table

STYLE = """
table.paper { border-top: 2px solid #1b1f24; border-bottom: 2px solid #1b1f24 }
table.paper th, table.paper td { border: 0; text-align: right; padding: 2px 8px }
table.paper .label { text-align: left } table.paper .group { text-align: center }
table.paper .rule td, table.paper thead { border-bottom: 1px solid #8c959f }
table.paper .rule td { border-top: 1px solid #8c959f; border-bottom: 0 }
.notes { font-size: 12px; color: #57606a } figure { margin: 1em 0 }
"""
_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "%": r"\%", "#": r"\#",
        "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
        ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}", "[": "{[}", "]": "{]}",
        "*": "{*}", "`": r"\textasciigrave{}", "\N{REPLACEMENT CHARACTER}": "?",
    }
)  # fmt: skip


def markdown(grids: Iterable[Grid], level: int = 2) -> str:
    """Return the tables as Markdown, each below a title of this level."""
    parts: list[str] = []
    for grid in grids:
        parts.append(f"{'#' * level} {escape(f'{grid.name}: {grid.title}')}")
        columns = [f"{h.group} {h.text}".strip() for h in grid.headings]
        align = "l" * grid.labels + "r" * (len(columns) - grid.labels)
        parts.append(table(columns, [map(_in_markdown, row) for row in grid.rows], align))
        said = [f"{escape(f'[{i}]')} {escape(note)}" for i, note in enumerate(grid.notes, 1)]
        if lines := [*map(escape, grid.remarks), *said]:
            parts.append(bullets(lines))
    return "\n\n".join(parts)


def _in_markdown(cell: Cell) -> Markdown:
    text = Markdown(MISSING) if cell.text == MISSING else escape(cell.text)
    marks = escape("".join(f" [{n}]" for n in cell.notes).strip())
    return Markdown(f"{f'**{text}**' if cell.bold else text}{f' {marks}' if marks else ''}")


def in_html(grid: Grid) -> Html:
    """Return a table as a part of a page whose style has STYLE."""
    rows = "".join(
        f"<tr{' class=rule' if i in grid.rules else ''}>{_cells_in_html(row, grid.labels)}</tr>"
        for i, row in enumerate(grid.rows)
    )
    said = "".join(f"<div>{html.escape(remark)}</div>" for remark in grid.remarks)
    said += "".join(f"<div><sup>{n}</sup> {html.escape(note)}</div>" for n, note in enumerate(grid.notes, 1))
    return Html(
        f"<h3>{html.escape(f'{grid.name}: {grid.title}')}</h3><table class=paper>"
        f"<thead>{_head_in_html(grid)}</thead><tbody>{rows}</tbody></table><div class=notes>{said}</div>"
    )


def _head_in_html(grid: Grid) -> str:
    title = "".join(f"<th>{html.escape(heading.text)}</th>" for heading in grid.headings)
    above = "".join(
        f"<th class=group colspan={span}>{html.escape(group)}</th>" for group, span in _groups(grid.headings)
    )
    return f"<tr>{above}</tr><tr>{title}</tr>" if _has_groups(grid) else f"<tr>{title}</tr>"


def _cells_in_html(row: Sequence[Cell], labels: int) -> str:
    cells = []
    for i, cell in enumerate(row):
        text = html.escape(cell.text)
        shown = f"<b>{text}</b>" if cell.bold else text
        marks = ",".join(map(str, cell.notes))
        cells.append(
            f"<td{' class=label' if i < labels else ''}>{shown}{f'<sup>{marks}</sup>' if marks else ''}</td>"
        )
    return "".join(cells)


def latex(grids: Iterable[Grid]) -> str:
    """Return the tables as LaTeX, to be included in a document that uses the package booktabs."""
    parts = ["% \\usepackage[T1]{fontenc} and \\usepackage{booktabs} in the preamble"]
    for grid in grids:
        lines = [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_in_latex(f'{grid.title} ({grid.name} of the paper)')}}}",
            rf"\begin{{tabular}}{{{'l' * grid.labels}{'r' * (len(grid.headings) - grid.labels)}}}",
            r"\toprule",
            *_head_in_latex(grid),
            r"\midrule",
        ]
        for i, row in enumerate(grid.rows):
            lines += [r"\midrule"] if i in grid.rules else []
            lines.append(" & ".join(map(_cell_in_latex, row)) + r" \\")
        lines += [r"\bottomrule", r"\end{tabular}"]
        lines += [rf"\par\footnotesize {_in_latex(remark)}" for remark in grid.remarks]
        lines += [
            rf"\par\footnotesize\textsuperscript{{{n}}}{_in_latex(note)}"
            for n, note in enumerate(grid.notes, 1)
        ]
        parts.append("\n".join([*lines, r"\end{table}"]))
    return "\n\n".join(parts) + "\n"


def _head_in_latex(grid: Grid) -> list[str]:
    titles = " & ".join(_in_latex(heading.text) for heading in grid.headings) + r" \\"
    if not _has_groups(grid):
        return [titles]
    above, rules, at = [], "", 1
    for group, span in _groups(grid.headings):
        above.append(rf"\multicolumn{{{span}}}{{c}}{{{_in_latex(group)}}}" if span > 1 else _in_latex(group))
        rules += rf"\cmidrule(lr){{{at}-{at + span - 1}}}" if group else ""
        at += span
    return [" & ".join(above) + r" \\", rules, titles]


def _cell_in_latex(cell: Cell) -> str:
    text = _in_latex(cell.text)
    marks = rf"\textsuperscript{{{','.join(map(str, cell.notes))}}}" if cell.notes else ""
    shown = rf"\textbf{{{text}}}" if cell.bold else text
    return f"{shown}{marks}"


def _in_latex(text: str) -> str:
    return html.visible(" ".join(text.split())).translate(_LATEX)


def _groups(headings: Sequence[Heading]) -> list[tuple[str, int]]:
    """Return what stands above the headings, and above how many of them."""
    return [(group, len(list(some))) for group, some in groupby(headings, key=lambda h: h.group)]


def _has_groups(grid: Grid) -> bool:
    return any(heading.group for heading in grid.headings)
