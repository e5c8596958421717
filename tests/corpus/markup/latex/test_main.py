"""The main files of a bundle are found, each of which begins a paper."""

import json

import pytest
from corpus.helpers import documents_in, left_out
from corpus.papers import BODY, PAPER

from llama_core.corpus.document import Outcome
from llama_core.corpus.recipe import Arxiv
from llama_core.corpus.sources.arxiv_paper import Bundle, BundlePlace

CLASS, BEGIN, END = "\\documentclass{article}\n", "\\begin{document}\n", "\\end{document}\n"


def read(files: dict[str, str]) -> list[Outcome]:
    source = Arxiv.model_validate({"kind": "arxiv", "urls": ["a"], "license": "arXiv"})
    bundle = Bundle(BundlePlace("arxiv", source, "2001.00001.tar"))
    taken = [o for name, text in files.items() for o in bundle.take(name, [text.encode()], 0)]
    return [*taken, *bundle.papers()]


def mains(outcomes: list[Outcome]) -> list[str]:
    return [json.loads(d.meta)["main"] for d in documents_in(outcomes)]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"head.tex": CLASS + BEGIN, "z.tex": "\\input head\n" + BODY + END}, ["z.tex"]),
        ({"in/head.tex": CLASS + BEGIN, "z.tex": "\\input{in/head}\n" + BODY + END}, ["z.tex"]),
        ({"head.tex": CLASS + BEGIN, "z.tex": "\\include{head}\n" + BODY + END}, ["z.tex"]),
        ({"a.tex": "\\input{b}" + BODY, "b.tex": "\\input{c}", "c.tex": CLASS + BEGIN}, ["a.tex"]),
        (
            {"head.tex": CLASS, "ms.tex": "\\input{head}" + BEGIN + BODY + END, "supp.tex": PAPER},
            ["ms.tex", "supp.tex"],
        ),
        (
            {
                "head.tex": CLASS,
                "ms.tex": "\\input{head}" + BEGIN + BODY + END,
                "supp.tex": "\\input{head}" + BEGIN + BODY + END,
            },
            ["ms.tex", "supp.tex"],
        ),
        ({"one.tex": "\\input{ms}", "two.tex": "\\input{ms}", "ms.tex": PAPER}, ["ms.tex"]),
        ({"note.tex": "See \\input{main} and more", "main.tex": PAPER}, ["main.tex"]),
        ({"ms.tex": PAPER, "z.txt": "As in \\input{ms}"}, ["ms.tex"]),
        ({"ms.tex": PAPER, "z.tex": "%auto-ignore\n\\input{ms}"}, ["ms.tex"]),
        ({"ms.tex": PAPER, "z.tex": "\\emph{x} % \\input{ms}"}, ["ms.tex"]),
    ],
)
def test_a_paper_begins_in_the_file_that_inputs_the_others(
    files: dict[str, str], expected: list[str]
) -> None:
    outcomes = read(files)
    assert mains(outcomes) == expected
    assert all(d.text.startswith("Introduction\n\nThe text") for d in documents_in(outcomes))


@pytest.mark.parametrize("name", ["a", "z"])
def test_files_that_input_one_another_are_one_paper(name: str) -> None:
    main = PAPER.replace("\\section", "\\input{m}\\section")
    files = {f"{name}.tex": main, "m.tex": f"\\input{{{name}}}\\input{{m}} In \\emph{{m}}."}
    (paper,) = documents_in(read(files))
    assert json.loads(paper.meta)["files"] == [f"{name}.tex", "m.tex"]


def test_a_readme_decides_against_what_files_input() -> None:
    files = {"a.tex": "\\input{ms}\\emph{x}", "ms.tex": PAPER, "00README": "ms.tex toplevelfile\n"}
    assert mains(read(files)) == ["ms.tex"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("00README.XXX", "ms.tex toplevelfile\nb.tex ignore\n"),
        ("00README.json", '{"sources": [{"filename": "ms.tex", "usage": "toplevel"}, '
         '{"filename": "b.tex", "usage": "ignore"}]}'),
    ],
)  # fmt: skip
def test_a_file_that_a_readme_ignores_is_no_paper(name: str, text: str) -> None:
    assert mains(read({"ms.tex": PAPER, "b.tex": PAPER, name: text})) == ["ms.tex"]


LETTERS = [
    "cover", "Cover_Letter", "coverletter", "response", "response_to_referees", "rebuttal", "reply_to_editor",
    "replies", "reply2",
]  # fmt: skip
EXAMPLES = ["template", "template-12", "sample631", "sample-sigconf", "elsarticle-template"]
LONG = PAPER.replace(BODY, BODY * 3)


@pytest.mark.parametrize("name", LETTERS + EXAMPLES)
def test_letters_and_examples_beside_a_longer_paper_are_no_papers(name: str) -> None:
    outcomes = read({f"{name}.tex": PAPER, "z.tex": LONG, "z.bbl": "\\emph{x}"})
    assert mains(outcomes) == ["z.tex"]
    assert left_out(outcomes) == {"unused_file": 1, "bibliography": 1}


@pytest.mark.parametrize("name", LETTERS + EXAMPLES)
@pytest.mark.parametrize("beside", ["supplement", "SI", "SM", "notes"])
def test_a_paper_of_any_name_stays_where_no_longer_one_is(name: str, beside: str) -> None:
    text = PAPER if beside == "notes" else LONG
    found = mains(read({f"{name}.tex": PAPER, f"{beside}.tex": text}))
    assert sorted(found) == sorted([f"{name}.tex", f"{beside}.tex"])


@pytest.mark.parametrize(
    "name", ["supplement", "appendix", "coverage", "sampling", "response_theory", "cover_time", "part2"]
)
def test_what_is_no_letter_by_its_name_stays(name: str) -> None:
    assert mains(read({"main.tex": LONG, f"{name}.tex": PAPER})) == ["main.tex", f"{name}.tex"]


def test_a_paper_that_is_written_into_the_example_stays() -> None:
    files = {"template.tex": PAPER, "template.bbl": "\\emph{x}", "notes.tex": LONG, "cover.tex": PAPER}
    assert mains(read(files)) == ["template.tex", "notes.tex"]
