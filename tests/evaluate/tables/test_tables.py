"""The paper's tables with our models in them, in Markdown, HTML and LaTeX, by the command for it."""

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from evaluated import BATCH, STEPS, done, evaluated, trained
from markdown_it import MarkdownIt

from llama_core.evaluate.tables.__main__ import main
from llama_core.evaluate.tables.fill import carbon, grid, grids
from llama_core.evaluate.tables.formats import latex
from llama_core.evaluate.tables.grid import Cell, Grid
from llama_core.evaluate.tables.ours import Ours, read
from llama_core.evaluate.tables.paper import TABLES, Table
from llama_core.store import Store

HOSTILE = '<script>|&$x_1^2 #% {a} ~ \\ [b] *c* "d" `e`'


def table(number: int) -> Table:
    [found] = [table for table in TABLES if table.number == number]
    return found


def filled(store: Store, number: int, tasks: dict[str, object], name: str = "mine") -> Grid:
    """A table of the paper with one model that has these results."""
    return grid(table(number), read([evaluated(trained(store), tasks, name=name).url]))


def row_of(grid: Grid, name: str = "mine") -> dict[str, Cell]:
    """Our row, by what stands above each cell."""
    [row] = [row for row in grid.rows if row[0].text == name]
    return {f"{h.group} {h.text}".strip(): cell for h, cell in zip(grid.headings, row)}


def said(grid: Grid, cell: Cell) -> list[str]:
    return [grid.notes[n - 1] for n in cell.notes]


def test_a_score_stands_in_the_papers_column_in_percent_and_the_rest_is_a_dash(store: Store) -> None:
    grid = filled(store, 3, {"hellaswag": done(0.25345, 10042)})
    row = row_of(grid)
    assert row["HellaSwag"] == Cell("25.3") and row["PIQA"] == Cell("-")
    assert grid.rows[-1][1].text == "6.74B" and grid.has_ours
    assert grid.rows[0][2].text == "60.5" and "76.7" in grid.remarks[0]


def test_the_best_of_a_column_is_bold_and_ours_where_it_is(store: Store) -> None:
    grid = filled(store, 3, {"hellaswag": done(0.99, 10042), "piqa": done(0.01, 1838)})
    by_column = dict(zip((h.text for h in grid.headings[2:]), list(zip(*grid.rows))[2:]))
    bold = {name: [cell.text for cell in column if cell.bold] for name, column in by_column.items()}
    assert bold["HellaSwag"] == ["99.0"] and bold["PIQA"] == ["82.8"] and bold["WinoGrande"] == ["81.1"]


def test_of_toxicity_and_bias_the_lowest_is_the_best(store: Store) -> None:
    grid = filled(store, 11, {"realtoxicityprompts:basic": done(0.1031, 99442)})
    assert row_of(grid)["Basic"] == Cell("0.103", bold=True)
    assert [row[3].text for row in grid.rows if row[3].bold] == ["0.081"]


@pytest.mark.parametrize(
    ("number", "key", "result", "column", "text", "note"),
    [
        (3, "boolq", done(0.99, 50), "BoolQ", "99.0", "50 of 3,270 items"),
        (
            5,
            "triviaqa:0-shot",
            done(0.9, 17944),
            "0-shot",
            "90.0",
            "17,944 items, where the paper has 11,313",
        ),
        (
            8,
            "humaneval:pass@100",
            done(0.9, 164, "pass@4"),
            "HumanEval pass @100",
            "90.0",
            "pass@4 instead of pass@100",
        ),
        (
            3,
            "piqa",
            {"status": "not run", "reason": "there is no file like piqa/valid.jsonl"},
            "PIQA",
            "-",
            "not run: there is no file like piqa/valid.jsonl",
        ),
        (
            11,
            "realtoxicityprompts:basic",
            done(None, 99442, "toxicity") | {"not_scored": "set PERSPECTIVE_API_KEY"},
            "Basic",
            "-",
            "set PERSPECTIVE_API_KEY",
        ),
        (
            4,
            "nq_open:64-shot",
            done(0.9, 3610) | {"cut": 3000},
            "64-shot",
            "90.0",
            "3,000 prompts were cut to the model's context",
        ),
    ],
)
def test_what_was_found_otherwise_than_the_papers_values_has_a_note_and_is_never_the_best(
    store: Store, number: int, key: str, result: dict[str, object], column: str, text: str, note: str
) -> None:
    grid = filled(store, number, {key: result})
    cell = row_of(grid)[column]
    assert (cell.text, cell.bold) == (text, False) and said(grid, cell) == [note]


def test_truthfulqa_is_not_judged_and_says_what_is_counted_instead(store: Store) -> None:
    kept = done(None, 817, "truthful") | {"not_scored": "no judge"}
    grid = filled(
        store, 14, {"truthfulqa:generated": kept, "truthfulqa:mc": done(0.25, 817, "MC1", MC2=0.406)}
    )
    row = row_of(grid)
    assert said(grid, row["Truthful"]) == said(grid, row["Truthful*Inf"]) == ["no judge"]
    assert (row["Truthful"].text, row["MC1"].text, row["MC2"].text) == ("-", "0.25", "0.41")
    assert "MC1 and MC2 compare likelihoods instead" in grid.remarks[0]


def test_groups_that_a_limit_leaves_empty_have_no_value(store: Store) -> None:
    grid = filled(store, 9, {"mmlu:5-shot": done(0.25, 50, STEM=0.2)})
    row = row_of(grid)
    assert (row["STEM"].text, row["Average"].text) == ("20.0", "25.0")
    assert said(grid, row["Humanities"]) == ["none of its items was scored"]


def test_where_the_paper_has_a_column_for_each_model_ours_is_one_more(store: Store) -> None:
    grid = filled(store, 13, {"winogender": done(0.9, 720) | {"figures": {"her/her/she": 0.875}}})
    assert [(h.group, h.text) for h in grid.headings[-2:]] == [("LLaMA", "65B"), ("mine", "6.74B")]
    assert [row[0].text for row in grid.rows][:2] == ["All", "her/her/she"]
    assert [row[-1].text for row in grid.rows[:3]] == ["90.0", "87.5", "-"]
    assert grid.rows[0][-1].bold and not grid.rows[0][-2].bold


def test_the_time_and_the_energy_of_a_training_stand_in_table_15(store: Store) -> None:
    stated = carbon(read([evaluated(trained(store, device_watts=90_000.0), {}).url]))
    row = row_of(stated)
    hours = 2 * STEPS * 2.0 / 3600
    assert (row["device"].text, row["watts of one"].text) == ("CPU", "90,000")
    assert row["device-hours"].text == f"{hours:.2g}" == "0.022"
    assert row["energy, MWh"].text == f"{hours * 0.09 * 1.1:.2g}" == "0.0022"
    assert said(stated, row["watts of one"]) == ["power as launch.device_watts states it"]
    assert said(stated, row["device-hours"]) == ["100.0% of the time in steps that count"]


def test_the_devices_own_counters_go_before_what_a_recipe_states(store: Store) -> None:
    grid = carbon(read([evaluated(trained(store, joules=1200.0, device_watts=1.0, device="cuda"), {}).url]))
    row = row_of(grid)
    assert (row["device"].text, row["watts of one"].text) == ("GPU", "300"), "1,200 J in 2 s on 2 devices"
    assert "own counters" in said(grid, row["watts of one"])[0]


def test_without_a_power_there_is_no_energy_and_a_note_says_how_to_get_it(store: Store) -> None:
    grid = carbon(read([evaluated(trained(store), {}).url]))
    row = row_of(grid)
    assert row["energy, MWh"].text == row["watts of one"].text == "-"
    assert "give launch.device_watts" in said(grid, row["watts of one"])[0]


def test_several_evaluations_of_one_training_are_one_model_and_the_last_counts(store: Store) -> None:
    train = trained(store)
    early = evaluated(train, {"hellaswag": done(0.2, 10042)}, tokens=5 * BATCH)
    last = evaluated(train, {"hellaswag": done(0.3, 10042)}, tokens=20 * BATCH)
    more = evaluated(train, {"siqa": done(0.4, 1954)}, tokens=20 * BATCH)
    [model] = read([last.url, early.url, more.url])
    assert [tokens for tokens, _ in model.results] == [5 * BATCH, 20 * BATCH]
    row = row_of(grid(table(3), [model]))
    assert (row["HellaSwag"].text, row["SIQA"].text) == ("30.0", "40.0")


def test_models_stand_side_by_side_under_their_recipes_names_or_under_given_ones(store: Store) -> None:
    one, two = trained(store), trained(store, parameters=500_000)
    urls = [evaluated(t, {"piqa": done(0.5, 1838)}, name="tiny").url for t in (one, two)]
    assert [model.name for model in read(urls)] == ["tiny", "tiny (2)"]
    assert [model.name for model in read([f"b={urls[0]}", urls[1]])] == ["b", "tiny"]
    assert [m.size for m in read(urls)] == ["6.74B", "500k"]


def test_an_evaluation_that_was_copied_without_its_training_has_scores_and_no_curve(
    store: Store, tmp_path: Path
) -> None:
    found = evaluated(trained(store), {"piqa": done(0.5, 1838)})
    shutil.copytree(found.store.path(), tmp_path / "copy")
    [model] = read([str(tmp_path / "copy")])
    assert model.final["piqa"].score == 0.5 and not model.losses
    assert row_of(carbon([model]))["device-hours"].text == "-"


class Tags(HTMLParser):
    """What tags a page has, and which are open at its end."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def run(store: Store, capsys: pytest.CaptureFixture[str], *more: str, name: str = HOSTILE) -> str:
    found = evaluated(trained(store), {"hellaswag": done(0.25, 10042), "piqa": done(0.5, 9)}, name=name)
    assert main([found.url, *more]) == 0
    return capsys.readouterr().out


def test_markdown_shows_any_name_as_it_is(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    text = run(store, capsys)
    assert re.findall(r"^## (Table \d+)", text, re.MULTILINE) == [f"Table {n}" for n in range(3, 16)]
    page = Tags()
    page.feed(MarkdownIt("commonmark", {"html": True}).enable("table").render(text))
    assert "script" not in page.seen and page.text.count(HOSTILE) == 13
    assert "**88.0**" in text and "| - |" in text and r"50.0 \[1\]" in text


def test_html_is_one_page_that_needs_nothing_else_and_has_the_curves(
    store: Store, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(store, capsys, "--format", "html", "--out", str(tmp_path / "t.html")) == ""
    text = (tmp_path / "t.html").read_text()
    page = Tags()
    page.feed(text)
    assert not page.seen & {"script", "link", "img", "iframe"} and "http://www.w3.org/2000/svg" in text
    assert not re.search(r"(src|href)=", text)
    assert HOSTILE in page.text and "<b>88.0</b>" in text and "<sup>1</sup>" in text
    assert text.count("<svg") == 2 and "Figure 1" in text and "Figure 2" in text


def test_latex_has_as_many_cells_as_columns_and_escapes_what_is_special(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    text = run(store, capsys, "--format", "latex")
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 13
    for part in text.split(r"\begin{tabular}")[1:]:
        [columns] = re.findall(r"^\{([lr]+)\}", part)
        body = part.split(r"\toprule")[1].split(r"\bottomrule")[0]
        for line in body.splitlines():
            if line.endswith(r"\\"):
                spans = sum(int(n) - 1 for n in re.findall(r"\\multicolumn\{(\d)\}", line))
                assert len(re.findall(r"(?<!\\)&", line)) + 1 + spans == len(columns), line
    plain = re.sub(r"\\[A-Za-z]+|\\[{}$&%#_\\]|^%.*$", "", text, flags=re.MULTILINE)
    assert not set(plain) & set('$#%_~^<>|"`\\'), "what is left after commands and escaped characters"
    depth = 0
    for char in re.sub(r"\\[{}]", "", text):
        depth += (char == "{") - (char == "}")
        assert depth >= 0
    assert depth == 0
    assert r"\multicolumn{2}{c}{HumanEval pass}" in text and r"\cmidrule(lr){3-4}" in text


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="pdflatex is not installed")
def test_latex_compiles(store: Store, tmp_path: Path) -> None:
    found = evaluated(trained(store), {"hellaswag": done(0.25, 10042)}, name=HOSTILE)
    head = "\\documentclass{article}\\usepackage[T1]{fontenc}\\usepackage{booktabs}\\begin{document}\n"
    (tmp_path / "t.tex").write_text(f"{head}{latex(grids(read([found.url])))}\\end{{document}}\n")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    made = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert made.returncode == 0, made.stdout[-2000:]


def test_figures_are_pictures_with_our_curves_and_the_papers_last_points(
    store: Store, tmp_path: Path
) -> None:
    train = trained(store)
    found = {
        k: {"hellaswag": done(0.2 + k / 100, 10042), "nq_open:5-shot": done(0.1, 3610)} for k in (1, 5, 20)
    }
    urls = [evaluated(train, tasks, tokens=k * BATCH).url for k, tasks in found.items()]
    assert main([*urls, "--out", str(tmp_path / "t.md"), "--figures", str(tmp_path / "f")]) == 0
    first, second = (ElementTree.parse(tmp_path / "f" / f"figure-{n}.svg").getroot() for n in (1, 2))
    names = {"s": "http://www.w3.org/2000/svg"}
    texts = {e.text for e in second.iterfind(".//s:text", names)}
    assert {
        "TriviaQA, 0-shot",
        "HellaSwag",
        "NaturalQuestions, 5-shot",
        "SIQA",
        "WinoGrande",
        "PIQA",
    } <= texts
    assert {"mine", "LLaMA 7B", "LLaMA 65B", "1T"} <= texts
    fields = second.findall("./s:g", names)
    assert [len(field.findall("./s:circle", names)) for field in fields] == [4, 7, 7, 4, 4, 4]
    assert "training loss" in {e.text for e in first.iterfind(".//s:text", names)}


def test_without_a_benchmark_of_figure_2_there_is_none(store: Store, tmp_path: Path) -> None:
    url = evaluated(trained(store), {"boolq": done(0.5, 3270)}).url
    assert main([url, "--out", str(tmp_path / "t"), "--figures", str(tmp_path)]) == 0
    assert sorted(p.name for p in tmp_path.glob("*.svg")) == ["figure-1.svg"]


@pytest.mark.parametrize("what", ["nothing", "train", "damaged"])
def test_what_is_no_evaluation_is_one_line_that_says_so(
    store: Store, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    train = trained(store)
    url = {
        "nothing": f"{store.url}/evaluate/none",
        "train": train.url,
        "damaged": evaluated(train, {"piqa": {"status": "done", "n": "many"}}).url,
    }[what]
    assert main([url]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and url in line
    wanted = {"nothing": "no finished step", "train": "a step of train", "damaged": "piqa"}
    assert wanted[what] in line


def test_a_model_without_anything_leaves_the_papers_tables_as_they_are() -> None:
    for filled, theirs in zip(grids([Ours("none")]), TABLES):
        assert not filled.has_ours and filled.number == theirs.number
