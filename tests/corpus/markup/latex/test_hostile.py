"""TeX that is meant to hurt, or is broken: it ends, in steps and memory that its size bounds."""

import contextlib

import pytest
from corpus.papers import read_one as read
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llama_core.corpus.markup.latex.expansion.reader import MacroBomb, TokenReader
from llama_core.corpus.markup.latex.paper import read_paper

LAUGHS = "".join(f"\\def\\{b}{{{(chr(92) + a) * 10}}}" for a, b in zip("abcdefghi", "bcdefghij", strict=True))
BOMBS = [
    *r"""
\def\a{\a}\a
\def\a{\a\a}\a
\def\a{x\b}\def\b{y\a}\a
\def\a#1{\a{#1#1}}\a{x}
\newenvironment{e}{\begin{e}}{\end{e}}\begin{e}
\def\a{$\a$}\a
\def\a{\section{\a}}\a
\def\a{\footnote{\a}}\a
\def\a{\input{main}\a}\a
\def\a{\lstinputlisting{main.tex}\a}\a
\def\a{\eqn\b{x}\a}\a
\newcommand{\a}[1][\a]{\a}\a
\def\a{\a}\hskip\a
\acrodef{x}{\ac{x} \acf{x}\acf{x}}\ac{x}
\DeclareSIUnit\a{\b}\def\a{\SI{1}{\b}\a}\a
\SetKwFunction{A}{\A{\A}}\A{\A}
""".strip().split("\n"),
    LAUGHS + "\\def\\a{lol}\\j",
]

PIECES = r"""
{ } $ $$ \[ \( [ \\[ \footnote{ \begin{x} \end{x} \begin{table} \begin{itemize}\item \begin{verbatim}
\url{ \verb| \cite[ \ref{ \section{ \if \iffalse \else \fi \def\a \def\a#1{ \newcommand{\a}[ \csname
\input{a} \begin{tabular}{ & \item[ \caption{ \' \frac # ## ~ ^ _ % \ \let\a
\newtheorem{a}{b}[section]\section{} \numberwithin{a}{section} \usepackage[ \bibitem[ \hskip=
\newenvironment{a}{ \excludecomment{a}\begin{a} \usepackage[numbers \title{ \begin{proof}[ \SI{
\ensuremath{ \xspace \advance\a \hbox\to \verb \begin{ \newif\ifa \begin{equation} \label{ \ifthenelse{
\unknown[ \unknown{ \makecell{ \multicolumn \IfValueTF \harvarditem[ - '
\eqn\a \eqn\a{ \eqna\a$$\eqn\a$$ \lref\a{ \refs{\a \ref\a{}\a \REFS\a{} \refsend \fig\a{} \ifig\a{
\footnote" \footnote{} \font\a= \font\a=b~scaled \catcode` \setbox \setbox0=\hbox \char` \char65
\hrule~height \count \headline= \begin{tabbing}\= \kill \lstinputlisting{main} \comment
\comment\endcomment \define\a{ \predefine \bibitem{ \Refs \beginsection \References \settoggle{
\iftoggle{a}{ \newtoggle{ \head \section{Methods}
\ifdefstring\a{ \ifboolexpr{( \ifthenelse{\not \ifthenelse{\equal{ \ifnumcomp{1}{ \IfSubStr{a}{
\newacronym{a}{b}{c}\gls{a} \acro{a}{ \DeclareAcronym{a}{short=,long= \ac{a}[ \glsreset{ \begin{acronym}
\begin{algorithm}\If{ \eIf{a}{ \SetKwFunction{a}{b}\a{ \SetKwIF{a}{b}{c} \SetKwProg{a}{b}{ \tcc*[ \lIf(
\replaced[ \change{ \alt<1>{ \item<1- \only<1>{ \temporal{ \DIFdel{ \begin{frame}<1>[ \begin{block}{
\begin{tabular}{*{99}{*{99}{r@{.}l}}} \multicolumn{9}{c}{ \ctable[caption= \markoverwith{ \IF[ \halign{
\NewDocumentCommand\a{>{\SplitList{,}}m}{\ProcessList{#1}\a}\a{,, \appto\a{\a} \romannumeral $\tag{ \ding{
\num{1+-1+- \documentclass{ \InputIfFileExists{main}{ \Fn(
\qty{1}{\per \SI{1}[ \si{\kilo\tothe{ \unit{(\per \DeclareSIUnit\a{\a}\si{\a} \SIlist{ \num{
$\mathchoice{ $\mathchoice{}{\raisebox{}{ $\index{ $\gls{ \href[a]{ \begin{tabu}~to\a{ \begin{longtabu}~to
\vskip\a~plus \write16{ \immediate\write\a \openin\a=
\mathchardef\a=" \fontdimen3\a= \count0=\count \read\a~to
\advance\count0by \catcode`\@=11 \the\the \hskip`\a \def\a{\a}\hskip\a \x=\x=
""".split()  # noqa: SIM905


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of tokens that were read so far."""
    count, raw = [0], TokenReader.raw

    def counted(reader: TokenReader) -> str | None:
        count[0] += 1
        return raw(reader)

    monkeypatch.setattr(TokenReader, "raw", counted)
    return count


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_macro_bomb_is_stopped(bomb: str, steps: list[int]) -> None:
    with pytest.raises(MacroBomb):
        read(f"\\begin{{document}}\\section{{S}}\n{bomb}\n\\end{{document}}")
    assert steps[0] < 2_000_000


@pytest.mark.parametrize("piece", PIECES)
def test_a_piece_repeated_takes_steps_in_proportion(piece: str, steps: list[int]) -> None:
    times = 20_000 // len(piece)
    with contextlib.suppress(MacroBomb):
        read("\\section{S}" + piece * times + " " * 10_000 + "x" * 10_000)
    assert steps[0] < 2_000_000


def test_text_between_broken_pieces_is_not_lost() -> None:
    source = (
        "\\begin{document}\\section{S}\nOne } two { three \\end{x} four $x\n\n"
        "five \\begin{y} six \\footnote{a\n\n\\section{T} seven"
    )
    text = read(source).text
    assert [word for word in ("One", "two", "three", "four", "five", "six", "seven") if word in text] == (
        ["One", "two", "three", "four", "five", "six", "seven"]
    )


def test_files_that_input_each_other_end() -> None:
    files = {"main.tex": "\\section{S}\\input{a}\\input{b}", "a.tex": "A\\input{b}", "b.tex": "B\\input{a}"}
    assert read_paper(files, "main.tex").text == "S\n\nAB BA"
    chain = {f"f{i}.tex": f"{i}\\input{{f{i + 1}}}" for i in range(500)}
    text = read_paper({"main.tex": "\\section{S}\\input{f0}"} | chain, "main.tex").text
    assert text.startswith("S\n\n0123456789")


def test_a_line_of_a_megabyte_is_read() -> None:
    text = read("\\section{S}\n" + "word \\emph{more} $x$ " * 50_000).text
    assert len(text) > 600_000


MORE = r"""
\a \b{x} \def\a{y} \def\b#1{#1\a} #1 \] \\ \verb|x| \begin{tabular}{ll} \end{tabular} \begin{figure}
\end{figure} \caption{c} \footnote{f} \section{s} \item \cite{k} \ref{r} \label{r} \end{equation}
\input{other} \iftrue \qtrue \newif\ifq \ifq \let\a\b \begin{e} \end{e} \newenvironment{e}{b}{c}
\begin{document} \end{document} \par \"o \@x \endcsname \hskip2pt \title{t} \end{verbatim} \url{u}
\appendix \newtheorem{t}{T} \begin{t} \end{t} é 3 \citet{k} \begin{thebibliography}{9}
\bibitem[A(2001)]{k} \refs{\a} References \end{thebibliography} \makeatletter \SI{3}{\meter}
""".split()  # noqa: SIM905
CONSTRUCTS = st.sampled_from([*PIECES, *MORE, "\x00", "\n\n"]).map(lambda piece: piece + "\n")


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(CONSTRUCTS | st.text(max_size=8), max_size=40), st.lists(CONSTRUCTS, max_size=5))
def test_any_tex_becomes_some_text(pieces: list[str], other: list[str]) -> None:
    source = "".join(pieces)
    try:
        paper = read_paper({"main.tex": source, "other.tex": "".join(other)}, "main.tex")
    except MacroBomb:
        return
    assert not [char for char in paper.text if "\ue000" <= char <= "\ue002" and char not in source]
    assert paper.used[0] == "main.tex"
