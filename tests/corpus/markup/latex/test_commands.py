"""Commands of LaTeX and of plain TeX whose arguments are easily taken for text."""

import pytest
from corpus.papers import read_one as plain

from llama_core.corpus.markup.latex.main import top_files
from llama_core.corpus.markup.latex.paper import read_paper


def text(body: str, preamble: str = "") -> str:
    head = f"\\documentclass{{article}}\n{preamble}\n\\begin{{document}}\n\\section{{S}}\n"
    main = f"{head}{body}\n\\end{{document}}\n"
    return read_paper({"main.tex": main}, "main.tex").text.removeprefix("S").lstrip("\n")


ENTRIES = (
    r"\begin{thebibliography}{9}\bibitem[{Young et~al.()Young, Xu, and Woo}]{y} x\bibitem[Vogt(????)]{v} x"
    r"\bibitem[{Ueda(in press)}]{u} x\bibitem[Tran(1999)]{t} x\bibitem[{Sato()}]{s} x\end{thebibliography}"
)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (r"\citep{y}, \citet{y}", "(Young et al.), Young et al."),
        (r"\citep{v,t}", "(Vogt; Tran, 1999)"),
        (r"\citet{u} and \citep{u}", "Ueda (in press) and (Ueda, in press)"),
        (r"\citep[see][p.~2]{s}", "(see Sato, p. 2)"),
        (r"\citealt{v}, \citeauthor{y}, \citeyear{t}", "Vogt, Young et al., 1999"),
        (r"as said (\citeyear{y}).", "as said."),
    ],
)
def test_a_label_without_a_year_prints_its_authors(body: str, expected: str) -> None:
    assert text(body + ENTRIES, r"\usepackage{natbib}") == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (r"\href[pdfnewwindow=true]{http://x.org/a_b%20c}{a link}", "a link"),
        (r"\href [page=3] {a.pdf#x}{\emph{a} link}", "a link"),
        (r"\href{http://x.org/\%7E}{a link}", "a link"),
        (r"\href[a=1]{\base/c}{a link}", "a link"),
    ],
)
def test_the_options_and_the_target_of_a_link_are_no_text(body: str, expected: str) -> None:
    assert text(body, r"\newcommand{\base}{http://b.org}") == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (r"$x\index{a!b|see{c}}=y$", "$x=y$"),
        (r"$v\nomenclature[a]{$v$}{speed}$ is small", "$v$ is small"),
        (
            r"\begin{align}a&=b\index[sym]{x}\\c&=d\glossary{e}\end{align}",
            "\\begin{align}\na&=b\\\\c&=d\n\\end{align}",
        ),
        (r"\[a=\todo[inline]{sure?}b\]", "\\[a=b\\]"),
        (r"word\index{w@\emph{w}} and\index[n]{m} more", "word and more"),
    ],
)
def test_entries_of_an_index_are_left_out_of_text_and_formulas(body: str, expected: str) -> None:
    assert text(body) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (r"$a\mathchoice{1}{2}{3}{4}b$", "$a2b$"),
        (r"\[\mathchoice{1}{2}{3}{4}\]", "\\[2\\]"),
        (r"$a\mathchoice{1}{\raisebox}{3}{4}b$ c", "$a\\raisebox b$ c"),
        (r"$a \x b$", "$a \\mathrel{\\sim}b$"),
        (r"$a \y b$", "$a \\mathbin{\\scriptstyle\\bullet}b$"),
    ],
)
def test_one_of_the_four_forms_of_a_choice_stays_without_boxes(body: str, expected: str) -> None:
    preamble = (
        r"\newcommand{\x}{\mathrel{\mathchoice{\mbox{$\sim$}}{\raise2pt\hbox{$\sim$}}{}{}}}"
        r"\def\y{\mathbin{\mathchoice{}{\vcenter{\hbox{$\scriptstyle\bullet$}}}{}{}}}"
    )
    assert text(body, preamble) == expected


@pytest.mark.parametrize(
    "source",
    [
        r"\write16{log} \immediate\write-1{log} \message{log} \wlog{log} \errmessage{log} \typeout{log}",
        r"\newwrite\aux \immediate\openout\aux=a.aux \write\aux{log} \immediate\closeout\aux \openout1=b.c ",
        r"\newread\in \openin\in=file \read\in to\line \closein\in",
        r"\hsize=5in \vsize=7.5truein\parskip 3pt plus 1pt \parindent=0pt \baselineskip=2\normalbaselineskip",
        r"\count0=1 \count9=\pageno \dimen0=3pt \skip1=1pt plus 2pt minus 3pt\toks0={abc}\global\count9=3 ",
        r"\newcount\n \n=3 \advance\n by 1 \advance\count0 by -1 \advance\hsize by -2cm \multiply\n by2 ",
        r"\newdimen\full \full=6.5truein \newskip\gap \gap=3pt plus1fil minus.5pt \advance\pageno by\count1 ",
        r"\hoffset-.2in\voffset = 0.1truein \tolerance=1000 \hbadness 10000 \overfullrule0pt",
        r"\mathcode`\*="
        r'"2203 \chardef\pc=`\% \mathchardef\x="1354 \countdef\c=5 \lccode`\a=`\b \sfcode`\.=1000 ',
        r"\font\big=cmr10 scaled\magstep2 \font\rm=cmr10 at 12pt \fontdimen2\big=3pt \hyphenchar\big=-1 ",
        r"\def\high{24truecm}\vskip\high plus 0pt minus\high",
        r"\def\gap#1#2{\vskip #1#2 plus 2pt}\gap{12}{pt}\vskip 0pt plus.1\vsize\penalty-250 \vskip-\lastskip",
        r"\everypar={\hskip1em} \headline={\hfil x} \footline{\hss} \errhelp{z} \output={\plainoutput}",
        r"\unknown=5in \another = 12 \third=\hsize ",
        r"\catcode`\@=11 \def\a@b{x}\catcode`\@=12 ",
    ],
)
def test_what_plain_tex_assigns_and_writes_is_no_text(source: str) -> None:
    assert plain(f"{source} The text.\n\n\\bye").text == "The text."


def test_lengths_are_left_out_between_words_and_words_stay() -> None:
    body = (
        r"a \hskip 2em plus 1em minus .5em b \kern-.1em c \hskip\parindent d \kern\wd0 e, \hskip 3pt plus f"
    )
    assert plain(body + r" \catcode`\@=11 \def\f@o{f}\f@o \bye").text == "a b c d e, plus f f"


PROSE = "Words of a part of the book. " * 30
MACROS = "\\def\\name#1{\\hbox{this is what a macro prints #1}}\n" * 300


@pytest.mark.parametrize(
    ("files", "main"),
    [
        (
            {
                "top.tex": "\\input a\n\\input b\n\\bye",
                "a.tex": PROSE,
                "b.tex": PROSE,
                "z.tex": f"\\centerline{{Z}}{PROSE * 9}",
            },
            "top.tex",
        ),
        (
            {
                "top.tex": "\\input a \\input b \\end",
                "a.tex": PROSE,
                "b.tex": PROSE,
                "old.tex": f"{PROSE * 9}\\bye",
            },
            "top.tex",
        ),
        (
            {
                "book": "\\input m\n\\input a\n\\bye",
                "m.tex": MACROS,
                "a.tex": f"\\beginsection 1. A\n\n{PROSE}",
            },
            "book",
        ),
        (
            {
                "paper.tex": f"\\input defs.mac\n\\centerline{{T}}{PROSE}\\bye",
                "defs.mac": MACROS + "\\hsize=5in",
            },
            "paper.tex",
        ),
        ({"z.macros": f"\\centerline{{T}}\n{PROSE}\\bye", "a.tex": MACROS + "\\parindent=0pt"}, "z.macros"),
        (
            {"p.tex": f"\\centerline{{T}}\n{PROSE}\\bye", "q.tex": MACROS * 9 + "\\magnification=1200"},
            "p.tex",
        ),
    ],
)
def test_a_paper_in_plain_tex_begins_in_the_file_of_its_text(files: dict[str, str], main: str) -> None:
    assert top_files(files) == [main]
