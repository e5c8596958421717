"""Papers in plain TeX, and in the formats that are made of it: harvmac, phyzzx, AMS-TeX."""

import pytest
from corpus.papers import read_one as plain

from llama_core.corpus.markup.latex.paper import read_paper


def harvmac(body: str) -> str:
    """The text after the heading of a paper's only section."""
    read = plain("\\input harvmac\n\\Title{1}{T}\n\\Date{1/99}\n\\newsec{S}\n" + body + "\n\\bye").text
    assert read.startswith("S\n\n"), read
    return read[3:]


def test_a_paper_without_sections_begins_after_its_title() -> None:
    source = "\\input harvmac\n\\Title{1}\n{\\vbox{\\centerline{T}}}\n\\centerline{X}\n\nAbs.\n\n"
    source += "\\Date{1/99}\nOne.\n\\bye"
    assert plain(source).text == "One."
    assert plain(source).title == "T"
    ams = "\\documentstyle{amsppt}\\topmatter\\author X\\endauthor\\endtopmatter\\document One."
    assert plain(ams).text == "One."


def test_plain_tex_is_read() -> None:
    read = plain(
        "\\magnification=1200 \\baselineskip=14pt\n\\centerline{\\bf Title}\n\\beginsection 1. Start\n\n"
        "Text\\footnote{$^1$}{A note.} \\hbox to 3cm{boxed}.\n$$x\\eqno(1)$$\n\\vfill\\eject\n\\bye\nnever"
    )
    assert read.text == "1. Start\n\nText boxed.\n$$x\\eqno(1)$$\n\nA note."


def test_ams_tex_is_read() -> None:
    read = plain(
        "\\input amstex\n\\documentstyle{amsppt}\n\\topmatter\\title The Title\\endtitle\\endtopmatter\n"
        "\\document\n\\head 1. Start\\endhead\n\\proclaim{Theorem 1} All.\\endproclaim\n"
        "\\demo{Proof} Clear.\\qed\\enddemo\n"
        "See \\cite{7}.\n\\Refs\\ref\\no 7\\by A. Author\\endref\\endRefs\n\\enddocument"
    )
    assert read.text == "1. Start\n\nTheorem 1. All.\n\nProof. Clear.\n\nSee [7]."
    assert read.title == "The Title"


def test_a_document_that_begins_with_a_space_is_latex() -> None:
    source = (
        "\\documentclass{a}\\title{T}\\begin {document}\\section{S}One\\footnote{Note.}. \\end {document}"
    )
    assert plain(source).text == "S\n\nOne.\n\nNote."


def test_harvmacs_equations_are_displays_and_their_names_print_their_numbers() -> None:
    body = "From\n\\eqn\\one{\\eqalign{a &= b\\cr c &= d}}\nand \\eqn\\two{x=1} we get \\one, \\two."
    assert harvmac(body) == (
        "From\n$$\\eqalign{a &= b\\cr c &= d}\\eqno(1.1)$$\nand\n$$x=1\\eqno(1.2)$$\nwe get (1.1), (1.2)."
    )
    lettered = "\\eqna\\two\n$$a\\eqno\\two a$$\nSee \\two b. \\eqnn\\three $$b\\eqno\\three$$"
    assert harvmac(lettered) == "$$a\\eqno(1.1a)$$\nSee (1.1b).\n$$b\\eqno(1.2)$$"


def test_harvmacs_appendices_are_sections() -> None:
    body = "A.\n\\appendix{A}{First}\n\\eqn\\one{x}\n\\appendix{B}{Second}\n\\eqn\\two{y}\n"
    assert plain("\\beginsection S\n\nA.\n\\appendix{Title} In it.\\bye").text == "S\n\nA. Title In it."
    assert harvmac(body) == "A.\n\nFirst\n\n$$x\\eqno(A.1)$$\n\nSecond\n\n$$y\\eqno(B.1)$$"


@pytest.mark.parametrize("line", ["centerline", "leftline", "rightline"])
def test_a_line_of_its_own_is_a_line(line: str) -> None:
    assert harvmac(f"One\n\\{line}{{\\bf Two}}\nthree.") == "One\nTwo\nthree."


@pytest.mark.parametrize("broken", ["eqnn", "eqn", "eqna", "ref", "lref", "fig", "refs"])
def test_a_name_that_is_missing_is_no_name(broken: str) -> None:
    assert harvmac(f"One \\{broken}\\end{{x}}{{y}} two.\n\n\\{broken}").endswith("two.")


def test_text_after_the_bibliography_of_ams_tex_stays() -> None:
    body = "Text.\n\\Refs\\ref\\key{a}\\by A\\endref\\endRefs\n\\ref\\key{B}\\by A\\endref End."
    assert harvmac(body).endswith("End.")
    assert harvmac(body).startswith("Text.")


def test_headings_of_astronomy_and_astrophysics() -> None:
    read = plain("\\titlea{One}A.\n\n\\titleb{Two}B.\n\n\\begref{References}{9}\\ref A 1990\\endref\\bye")
    assert read.text == "One\n\nA.\n\nTwo\n\nB."


def test_harvmacs_references_are_numbers() -> None:
    body = (
        "\\lref\\late{L. Ate, {\\it J.} (1990).}\\nref\\now{N. Ow.}\nSee \\ref\\own{O. Wn.}, "
        "\\refs{\\late,\\now}, \\refs{\\now{--}\\own}, \\refs{\\now\\own}, \\late, \\refs{\\lost}.\\listrefs"
    )
    assert harvmac(body) == "See [2], [3,1], [1–2], [1, 2], [3],."


def test_names_of_latex_are_a_papers_own_in_plain_tex() -> None:
    body = (
        "\\def\\cite#1{[#1]}\\def\\ref#1#2#3{#1, #2 #3\\par}\\def\\PL{Phys.}"
        "\\beginsection S\n\nAs \\cite{4}.\n\n"
        "\\bigskip\\everypar={\\global\\hangindent=20pt\\hangafter=1}\\par{\\bf References}\\par\n"
        "\\ref{[1] Author A 1982}\\PL{25}\n\\ref{[2] Other B}\\PL{7}\n\\bye"
    )
    assert plain(body).text == "S\n\nAs [4]."
    assert plain(body.replace("References", "Others")).text.endswith(
        "[1] Author A 1982, Phys. 25\n\n[2] Other B, Phys. 7"
    )


def test_a_format_in_the_bundle_is_not_read() -> None:
    files = {
        "main.tex": "\\input harvmac\n\\newsec{S}\n\\eqn\\a{x}\\bye",
        "harvmac.tex": "\\def\\eqn#1#2{(#2)} words",
    }
    read = read_paper(files, "main.tex")
    assert read.text == "S\n\n$$x\\eqno(1.1)$$"
    assert read.used == ["main.tex"] and not read.missing


def test_items_have_their_labels() -> None:
    body = '\\item{(a)} one\n\\itemitem{1.} two\n\\roster\\item"(i)" three\\item four\\endroster'
    assert harvmac(body) == "(a) one\n1. two\n(i) three\n- four"


def test_harvmacs_figures_are_captions() -> None:
    body = "See \\fig\\one{Cap one.} and \\one.\n\n"
    body += "\\ifig\\two{Cap two.}{\\epsfxsize3in\\epsfbox{f.eps}}Then \\two."
    assert (
        harvmac(body) == "See fig. 1 and fig. 1.\n\nFigure 1: Cap one.\n\nThen fig. 2.\n\nFigure 2: Cap two."
    )


def test_phyzzx_names_equations_from_inside_and_references_in_lists() -> None:
    body = (
        "\\input phyzzx\n\\chapter{C}\n\\section{S}Say\\Ref\\one{A. One.} and"
        "\\REFS\\two{B. Two.}\\REFSCON\\three{C.}\\refsend\\ "
        "by $$x=y\\eqn\\first$$ \\first, Ref.~\\one.\\refout\\bye"
    )
    assert plain(body).text.endswith("Say[1] and[2, 3] by\n$$x=y\\eqno(1.1)$$\n(1.1), Ref. 1.")


@pytest.mark.parametrize(
    ("note", "expected"),
    [
        ("\\footnote{The note is here.}", "Text goes.\n\nThe note is here."),
        (
            "\\footnote{This is a note of some length, and no mark.} {\\it then}",
            "Text then goes.\n\nThis is a note of some length, and no mark.",
        ),
        ("\\footnote{See it.} {\\it then}", "Text then goes.\n\nSee it."),
        ("\\footnote{$^1$} {The note.}", "Text goes.\n\nThe note."),
        ("\\footnote\\dag{The note.}", "Text goes.\n\nThe note."),
        ('\\footnote"*"{The note.}', "Text goes.\n\nThe note."),
        ("\\foot{The note.}", "Text goes.\n\nThe note."),
    ],
)
def test_a_footnote_has_a_mark_or_none(note: str, expected: str) -> None:
    assert plain(f"\\beginsection S\n\nText{note} goes.\n\\bye").text == "S\n\n" + expected


def test_definitions_and_comments_of_ams_tex() -> None:
    body = (
        "\\define\\R{\\Bbb R}\\redefine\\x#1{<#1>}\\predefine\\old{\\x}\\redefine\\x#1{(#1)}"
        "\\comment no\n\nmore of it\\endcomment $\\R$ \\x a \\old b"
    )
    assert plain(f"\\head S\\endhead\n{body}\n\\enddocument").text == "S\n\n$\\Bbb R$ (a) <b>"


@pytest.mark.parametrize(
    "title",
    [
        "\\beginsection References\n\n",
        "\\head References\\endhead",
        "\\begref{References}{9}",
        "\\centerline{REFERENCES}\n\n",
    ],
)
def test_bibliographies_of_plain_tex_go(title: str) -> None:
    body = "\\item{[1]} A. Author, J. 1 (1990).\n\n\\item{[2]} B. Other.\n\n"
    assert plain(f"\\beginsection S\n\nText.\n\n{title}{body}\\bye").text == "S\n\nText."


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            r"\newcount\e \e=0 \def\eq{\global\advance\e by 1 \eqno(\the\e)}$$a\eq$$ $$b\eq$$",
            "$$a\\eqno(1)$$|$$b\\eqno(2)$$",
        ),
        (r"\proclaim Theorem 1. It is so." + "\n\nText.", "Theorem 1. It is so.||Text."),
        (r"\settabs 3\columns \wd0=3pt \insert\footins{x}\vadjust{y}Text.", "Text."),
        (r"\tolerance=1000\emergencystretch=3em\hangafter=1\hbox to 2pt{a}", "a"),
        (r"\halign to\hsize{\hfil#&$#$\cr a&b\cr c&d\cr}", "a b|c d"),
        (r"left\hfil right", "left right"),
        (r"One.\vglue 3mm Two.", "One.||Two."),
    ],
)
def test_registers_count_and_primitives_print_nothing(body: str, expected: str) -> None:
    read = plain(f"\\beginsection S\n\n{body}\n\\bye").text
    assert read.removeprefix("S\n\n").replace("\n", "|") == expected


def test_headings_that_a_paper_defines_have_its_arguments() -> None:
    definitions = r"\outer\def\section#1. #2\par{\bigskip\noindent{\bf#1. #2}}"
    assert (
        plain(f"{definitions}\nTitle\n\n\\section 1. The Start\n\nText.\\bye").text == "1 The Start\n\nText."
    )
