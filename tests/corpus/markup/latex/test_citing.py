"""Citations, references and addresses print no keys."""

import pytest
from corpus.papers import of_section as text

from llama_core.corpus.markup.latex.paper import read_paper

BIBLIOGRAPHY = (
    r"\begin{thebibliography}{}\bibitem[Able et~al.(1999)]{a} A."
    r"\bibitem[Dean(2001)]{b} D.\end{thebibliography}"
)
SECTION = (
    r"\section{Two}\label{two}\begin{equation}\label{eq}a\end{equation}"
    r"\begin{equation}\label{eqq}b\end{equation}"
)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (r"\parencites{a}{b}; \textcites[1]{a}[2]{b}", "(Able et al., 1999) (Dean, 2001); "
         "Able et al. (1999, 1) Dean (2001, 2)"),
        (r"\cites(see)(end)[1]{a}", "(Able et al., 1999, 1)"),
        (r"\citefullauthor{a}, \citenum{b}, \mycite{b}, \citetext{see \citealp{a}}",
         "Able et al., 2, (Dean, 2001), (see Able et al., 1999)"),
        (r"\defcitealias{a}{Paper~I}\citetalias{a} and \citepalias{a}", "Paper I and (Paper I)"),
        (r"\setcitestyle{square}\citestyle{x}\citeyear{a}\shortcites{b}", "1999"),
    ],
)  # fmt: skip
def test_citations_print_names_and_numbers(body: str, expected: str) -> None:
    assert text(body + BIBLIOGRAPHY) == expected


@pytest.mark.parametrize(
    ("preamble", "body", "expected"),
    [
        (r"\usepackage{natbib}", r"\cite{a}, \cite[see][]{b}", "Able et al. (1999), (see Dean, 2001)"),
        (r"\usepackage{natbib}\let\cite\citep", r"\cite{a}", "(Able et al., 1999)"),
        (r"\PassOptionsToPackage{numbers,sort}{natbib}\usepackage{natbib}", r"\cite{b} \citet{b}",
         "[2] Dean [2]"),
        (r"\usepackage[style=authoryear]{biblatex}", r"\cite{a}; \cite*{a}; \parencite*{b}; \citedate{b}",
         "Able et al., 1999; 1999; (2001); 2001"),
    ],
)  # fmt: skip
def test_a_citation_is_what_its_package_makes_of_it(preamble: str, body: str, expected: str) -> None:
    assert text(body + BIBLIOGRAPHY, preamble) == expected


def test_biblatex_cites_titles() -> None:
    entry = r"\entry{k}{book}{}\field{title}{A {Title}}\field{year}{1999}\endentry"
    source = r"\documentclass{a}\begin{document}\section{S}On \citetitle{k}.\end{document}"
    assert read_paper({"p.tex": source, "p.bbl": entry}, "p.tex").text == "S\n\nOn A Title."


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (r"\begin{equation}a\tag{A}\label{x}\end{equation}\begin{equation}b\label{y}\end{equation}"
         r"\eqref{x}, \eqref{y}", "(A), (1)"),
        (r"\begin{equation*}a\tag*{$*$}\label{x}\end{equation*}\ref{x}", "$*$"),
        (r"\begin{equation}a\label{x}\end{equation}\[b\tag{\ref{x}'}\label{y}\]\eqref{y}", "(1')"),
    ],
)  # fmt: skip
def test_a_tag_stands_in_the_place_of_a_number(body: str, expected: str) -> None:
    assert text(body).split("\n")[-1] == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (r"\nameref{two} \Nameref{two}", "Two Two"),
        (r"\crefname{section}{sec.}{secs.}\Crefrange{eq}{eqq}", "Equation 1–2"),
        (r"\begin{proof}[Proof of \ref{eq}]It is.\end{proof}", "Proof of 1. It is."),
        (r"\crefrange{eq}{eqq}; \zcref{two}; \namecref{none}.", "Equation 1–2; Section 2;."),
        (r"$x$ by $\text{\eqref{eq}}$", r"$x$ by $\text{(1)}$"),
        (r"\hyperref[two]{that}, \hyperref{http://u}{c}{n}{this}", "that, this"),
    ],
)  # fmt: skip
def test_references_print_titles_and_numbers(body: str, expected: str) -> None:
    assert text(body + SECTION).partition("\n")[0] == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (r"\url|http://a.b/~c|; \path{/x_y}", "http://a.b/~c; /x_y"),
        (r"\url{http://a.b/\~{}c{d}}", "http://a.b/~c{d}"),
        (r"\urldef\home\url{http://h_x}See \home.", "See http://h_x."),
        (r"\href{http://a.b/{x}}{here}", "here"),
        (r"A \tikz \draw (0,0) -- (1,1); B \tikz[x]{\node{n};} C", "A B C"),
        (r"\unknown{one}{two} \unknown{three}x", "one two threex"),
        (r"\settings[x]{one}{two}text \lettrine[lines=2]{O}{nce}", "text Once"),
        (r"?`Qu\'e? !`No!", "¿Qué? ¡No!"),
    ],
)  # fmt: skip
def test_addresses_and_unknown_commands_print_what_a_reader_sees(body: str, expected: str) -> None:
    assert text(body) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (r"\begin{longtable}{l}\caption{C}\\a\\\endfirsthead a again\\\endhead next\\\endfoot sum\\"
         r"\endlastfoot x\\"
         r"\end{longtable}", "a|x|sum||Table 1: C"),
        (r"\begin{tabular}{l}\diagbox{p}{q} & \Block[l]{1-2}<\bf>{b}\\\rowcolor[gray]{.9}[2pt] r"
         r"\end{tabular}",
         "p / q | b|r"),
        (r"\begin{NiceTabular}{l}\CodeBefore \rowcolor{x}{1}\Body a\\\CodeAfter \line{1-1}{2-2}"
         r"\end{NiceTabular}z",
         "a|z"),
        (r"\begin{figure}\subfloat[One]{\includegraphics{x}}\caption{All}\end{figure}", "One|Figure 1: All"),
        (r"\begin{longtblr}[caption={C $x$},label=l]{colspec={l}}a\\\end{longtblr}", "a||Table 1: C $x$"),
        (r"\begin{tabular}{l}n\tnote{a}\\\tabucline[1pt]{-} m\end{tabular}", "n|m"),
        (r"\begin{tblr}{l}n\TblrNote{a}\\\cline[dashed]{1-1} \ding{51}\ding{55}\end{tblr}", "n|✓✗"),
        (r"\begin{longtable}{l}\caption{C}\\a\\\endfirsthead\caption[]{(more)}\\\endhead b\end{longtable}",
         "a|b||Table 1: C"),
        (r"\ctable[caption={C, \emph{d}},label=t]{lc}"
         r"{\tnote[a]{Note}}{\FL A & B\tmark[a]\ML 1 & 2\LL}Table \ref{t}",
         "Table 1||Table 1: C, d|A | B|1 | 2|a Note"),
        (r"\begin{deluxetable}{l}\startdata a\\ \cutinhead{Part} b\enddata\end{deluxetable}", "a|Part|b"),
    ],
)  # fmt: skip
def test_tables_print_their_cells_once(body: str, expected: str) -> None:
    assert text(body).replace("\n", "|") == expected


def test_polyglossia_has_no_shorthands_unless_it_is_told() -> None:
    german = r"\usepackage{polyglossia}\setmainlanguage%s{german}"
    assert text('Ein "so" Wort.', german % "") == 'Ein "so" Wort.'
    assert text('Ein "so" Wort.', german % "[babelshorthands=true]") == 'Ein ßo" Wort.'
