"""Macros, their arguments, counters and conditionals do what they do in LaTeX."""

import pytest
from corpus.papers import of_section as text

XPARSE = (
    r"\NewDocumentCommand{\lead}{s o m}{\IfBooleanTF{#1}{big}{small} \IfNoValueTF{#2}{no}{#2} #3}"
    r"\NewDocumentCommand{\both}{O{one} m O{#2}}{#1/#2/#3}"
    r"\NewDocumentCommand{\round}{d() m}{\IfValueTF{#1}{(#1)}{none} #2}"
    r"\NewDocumentCommand{\sharp}{r<> m}{#1=#2}\NewDocumentCommand{\dflt}{D(){0} +m}{#1,#2}"
    r"\NewDocumentCommand{\more}{m g}{#1\IfNoValueF{#2}{+#2}}"
    r"\NewDocumentCommand{\plus}{t+ m}{\IfBooleanTF{#1}{yes}{no} #2}"
    r"\NewDocumentCommand{\up}{e{^_} m}{\IfValueT{#1}{up #1 }\IfValueT{#2}{down #2 }#3}"
    r"\NewDocumentCommand{\pair}{>{\SplitArgument{2}{,}} m}{\three#1}"
    r"\NewDocumentCommand{\three}{m m m}{#1;#2\IfValueT{#3}{;#3}}"
    r"\NewDocumentCommand{\each}{>{\SplitList{/}} m}{\ProcessList{#1}{\quick}}"
    r"\NewDocumentCommand{\trim}{>{\ReverseBoolean} s >{\TrimSpaces} m}{\IfBooleanTF{#1}{no}{yes}(#2)}"
    r"\NewDocumentCommand{\index}{E{^_}{{a}{b}} m}{#1 #2 #3}"
    r"\NewExpandableDocumentCommand{\quick}{m}{<#1>}"
    r"\NewDocumentEnvironment{boxed}{o m}{Box #2: }{ End}"
)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (r"\lead{x}; \lead*{x}; \lead[y]{x}", "small no x; big no x; small y x"),
        (r"\both{2}; \both[3]{4}[5]", "one/2/2; 3/4/5"),
        (r"\NewDocumentCommand{\nest}{O{\textbf{d}e} m}{#1#2}\nest{x}; \nest[y]{x}", "dex; yx"),
        (r"\round(a){b}; \round{b}; \sharp<a>{b}", "(a) b; none b; a=b"),
        (r"\dflt(1){2}; \dflt{2}; \more{a}{b}; \more{a}", "1,2; 0,2; a+b; a"),
        (r"\plus+{x}; \plus{x}; \up^{a}{c}; \up_b{c}; \quick{q}", "yes x; no x; up a c; down b c; <q>"),
        (r"\pair{1, 2 ,{3,4},5}; \pair{1,{2,3}}", "1;2;3,4,5; 1;2,3"),
        (
            r"\each{a / b/c}; \trim{ x }; \trim*{y}; \index_{z}{c}; \index{c}",
            "<a><b><c>; no(x); yes(y); a z c; a b c",
        ),
        (r"\begin{boxed}[o]{T}text\end{boxed}", "Box T: text End"),
    ],
)
def test_all_kinds_of_xparses_arguments_are_read(body: str, expected: str) -> None:
    assert text(body, XPARSE) == expected


AT = r"\makeatletter %s \makeatother"


@pytest.mark.parametrize(
    ("definitions", "body", "expected"),
    [
        (
            r"\newcommand\hi{\@ifstar{\hi@star}{\hi@}}\def\hi@star#1{S#1}\def\hi@#1{P#1}",
            r"\hi*{a} \hi{b}",
            "Sa Pb",
        ),
        (r"\def\o{\@ifnextchar[{\o@o}{\o@o[d]}}\def\o@o[#1]#2{#1-#2}", r"\o[a]{b} \o{c}", "a-b d-c"),
        (r"\newcommand\q{\@testopt{\q@}{x}}\def\q@[#1]{<#1>}", r"\q[y] \q{}", "<y> <x>"),
        (r"\newcommand\d{\@dblarg\d@}\def\d@[#1]#2{#1=#2}", r"\d[a]{b} \d{c}", "a=b c=c"),
        (r"\newcommand\f{\@firstoftwo{a}{b}\@secondoftwo{c}{d}\@gobble{e}}", r"\f", "ad"),
        (r"\def\f#1{\f@#1\@nil}\def\f@#1-#2\@nil{#2-#1}", r"\f{a-b}", "b-a"),
        (r"\newcommand\R[1]{\expandafter\@slowromancap\romannumeral #1@}", r"\R{4}", "IV"),
        (r"\def\a{b}\g@addto@macro\a{c}\appto\a{d}\preto\a{a}\csdef{e}{f}", r"\a\csuse{e}", "abcdf"),
        (r"\@namedef{my name}{N}\newcommand\n{\@nameuse{my name}}", r"\n", "N"),
        (r"\newcommand\unknown[1]{\@somewhere{else}#1}", r"a \unknown{kept} z", "a kept z"),
    ],
)
def test_latexs_internal_commands_are_obeyed_in_a_papers_macros(
    definitions: str, body: str, expected: str
) -> None:
    assert text(body, AT % definitions) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (r"\expandafter\def\csname a b\endcsname{named}\csname a b\endcsname", "named"),
        (r"\def\a{b}\def\first#1#2.{#1|#2}\expandafter\first\a c.", "b|c"),
        (r"\def\para#1. #2\par{<#1: #2>}\para Head. Text here." + "\n\nNext.", "<Head: Text here.>Next."),
        (r"\def\o#1{\if\relax\detokenize{#1}\relax none\else some\fi}\o{} \o{x}", "none some"),
        (r"\ifx\undefined\foo a\else b\fi \def\foo{}\ifx\foo\undefined a\else b\fi", "ab"),
        (r"\romannumeral 14 ", "xiv"),
        (r"\string\foo, \string_x", r"\foo, _x"),
        (r"\def\star#1*{[#1]}\star a*b", "[a]b"),
        (r"a \ExplSyntaxOn \int_new:N \l_x_int {junk} \ExplSyntaxOff z", "a z"),
        (r"a \loop\ifnum1<2 x\repeat z", "a z"),
    ],
)
def test_what_tex_does_while_it_reads_is_done(body: str, expected: str) -> None:
    assert text(body).replace("\n\n", "") == expected


def test_paired_delimiters_become_brackets() -> None:
    preamble = (
        r"\DeclarePairedDelimiter{\abs}{\lvert}{\rvert}"
        r"\DeclarePairedDelimiterX\inner[2]{\langle}{\rangle}{#1\delimsize|#2}"
    )
    assert text(r"$\abs{x}$ $\abs*{y}$", preamble) == r"$\lvert x\rvert$ $\left \lvert y\right \rvert$"
    assert text(r"$\inner{a}{b}$ $\abs[\big]{z}$", preamble) == (
        r"$\langle a|b\rangle$ $\big\lvert z\big\rvert$"
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (r"\newcount\n \n=3 \advance\n by 2 \the\n{} \number\n{} \romannumeral\n", "5 5 v"),
        (r"\newcounter{c}\setcounter{c}{3}\stepcounter{c}\arabic{c} \Roman{c} \alph{c} \thec", "4 IV d 4"),
        (r"\newcounter{c}\addtocounter{c}{7}\ifnum\value{c}>6 more\else less\fi", "more"),
        (r"\newcounter{c}\setcounter{c}{2}\ifthenelse{\value{c}=2}{two}{other}", "two"),
        (r"\newcount\n \n=4 \ifnumgreater{\n}{3}{yes}{no} \ifodd\n odd\else even\fi", "yes even"),
        (r"\newcount\n \n=1 \edef\x{\the\n}\n=2 \x", "1"),
        (r"\newcount\n \n=1 \ifcase\n none\or one\else many\fi", "one"),
        (r"\ifthenelse{\lengthtest{1pt<2pt}}{a}{b} \ifdimcomp{1in}{>}{1cm}{a}{b}", "a a"),
        (r"\unless\ifnum1=2 a\else b\fi{} \def\e{}\ifx\e\empty c\else d\fi", "a c"),
    ],
)
def test_counters_have_values_that_tests_compare(body: str, expected: str) -> None:
    assert text(body) == expected


def test_a_branch_without_an_end_hides_no_text() -> None:
    assert text(r"one \ifnum1>2 two" + "\n\nthree") == "one two\n\nthree"


def test_macros_that_never_end_are_left_out_of_a_second_reading() -> None:
    assert text(r"Before. \def\again{x\expandafter\again\fi}\again{} After.") == "Before. After."
