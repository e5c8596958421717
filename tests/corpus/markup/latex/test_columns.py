"""What a table has between two columns is printed there."""

import pytest
from corpus.papers import of_section as text

from llama_core.corpus.markup.latex.columns import table_of


@pytest.mark.parametrize(
    ("columns", "joints"),
    [
        ("lcr", {}),
        (r"l r@{.}l", {1: "."}),
        (r"@{}r@{\,$\pm$\,}l@{\hspace{0.5em}}c@{\extracolsep{4.5pt}}c!{\vrule width 1pt}", {0: r"\,$\pm$\,"}),
        (r"*{2}{r@{--}l}|p{3.5cm}", {0: "--", 2: "--"}),
        (r">{\bfseries}l<{:}m{1cm}@{/}S[table-format=1.2]@{:}r", {1: "/", 2: ":"}),
        ("*{99}{*{99}{" * 900, {}),
        ("l@{" + "1" * 100_000, {}),
    ],
)
def test_what_only_parts_two_columns_is_not_printed(columns: str, joints: dict[int, str]) -> None:
    assert table_of(columns).joints == joints


def test_columns_of_formulas_are_formulas() -> None:
    table = (
        r"\begin{tabular}{l>{$}c<{$}M}\hline a & x^2 & \alpha\\\cline{2-3} b & \multicolumn{1}{c}{c} & \\"
        r" d & $e$ & \frac{f}{g}\\\bottomrule\end{tabular}"
    )
    lines = text(table, r"\newcolumntype{M}{>{$}l<{$}}").split("\n")
    assert lines == [r"a | $x^2$ | $\alpha$", "b | c |", r"d | $e$ | $\frac{f}{g}$"]
    first = r"\begin{tabular}{>{$}l<{$}r}\toprule\beta & 1\\\midrule\cmidrule(l){1-2}\gamma & 2\end{tabular}"
    assert text(first) == "$\\beta$ | 1\n$\\gamma$ | 2"


@pytest.mark.parametrize(
    ("rows", "printed"),
    [
        (r"a & 1 & 5 & x", "a | 1.5 | x"),
        (r"\multicolumn{1}{c}{a} & \multicolumn{2}{c}{b} & x \\ a & 1&5 & x", "a | b | x|a | 1.5 | x"),
        (r"a & \multicolumn{1}{c}{--} & 5 & x", "a | – | 5 | x"),
        ("a & 1\n& 5 & \\begin{tabular}{ll}y & z\\end{tabular}", "a | 1.5 | y | z"),
    ],
)
def test_cells_are_parted_by_what_the_table_has_there(rows: str, printed: str) -> None:
    assert text(rf"\begin{{tabular}}{{l r@{{.}}l c}}{rows}\end{{tabular}}").replace("\n", "|") == printed
