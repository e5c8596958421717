"""Algorithms of other packages than algorithm2e, and keywords that papers define, are lines with keywords."""

import pytest
from corpus.papers import of_section as text


def lines(steps: str, preamble: str = "") -> str:
    return text(f"\\begin{{algorithmic}}{steps}\\end{{algorithmic}}", preamble).replace("\n", "|")


@pytest.mark.parametrize(
    ("preamble", "steps", "expected"),
    [
        (r"\algnewcommand\algorithmicinput{Given:}\algnewcommand\Input{\item[\algorithmicinput]}",
         r"\Input a graph\State x", "Given: a graph|x"),
        (r"\renewcommand{\algorithmicrequire}{\textbf{Input:}}", r"\REQUIRE x\STATE y", "Input: x|y"),
        (r"\algrenewcommand\algorithmicwhile{solange}", r"\While{$x$}\State y\EndWhile",
         "solange $x$|y|end while"),
        (r"\algblockdefx{Par}{EndPar}[1]{par #1}{end par}", r"\Par{$i$}\State x\EndPar", "par $i$|x|end par"),
        (r"\algblockdefx{Par}{EndPar}[]{par}{end par}", r"\Par\State x\EndPar", "par|x|end par"),
        (r"\algblock{Begin}{End}", r"\Begin\State x\End", "Begin|x|End"),
        (r"\algdef{SE}[D]{Do}{Til}{do}[1]{\algorithmicwhile\ #1}", r"\Do\State x\Til{$p$}", "do|x|while $p$"),
        (r"\algrenewtext{If}[1]{wenn #1}\algtext*{EndIf}", r"\If{a}\State b\EndIf\State c", "wenn a|b|c"),
        (r"\algloopdefx{Twice}[1]{twice #1}", r"\Twice{k}\State w", "twice k|w"),
        ("", r"\State $x=\Call{F}{$a$}$\Switch{s}\Case{1}\State y\EndCase\EndSwitch",
         r"$x=\mathrm{F}(a)$|switch s|case 1|y|end case|end switch"),
        ("", r"\INPUTS a\ENDINPUTS\GLOBALS g\BODY\STATE x\ENDBODY", "Inputs: a|Globals: g|x"),
    ],
)  # fmt: skip
def test_keywords_are_those_of_the_paper(preamble: str, steps: str, expected: str) -> None:
    assert lines(steps, preamble) == expected


@pytest.mark.parametrize(
    ("package", "body", "expected"),
    [
        ("clrscode3e", r"\li \For $j \gets 2$ \To $\attrib{A}{length}$ \li \Do $\id{key}$ \End",
         r"for $j \gets 2$ to ${A.\mathit{length}}$|${\mathit{key}}$"),
        ("clrscode", r"\li \If $x$ \Then \li \Return $y$ \li \Else \li z \End", "if $x$|return $y$|else|z"),
        ("program", r"\IF x \THEN y \FI \WHILE z \DO w \OD", "if x then y fi|while z do w od"),
        ("pseudocode", r"\FOR i \TO n \DO \CALL{Next}{i} \RETURN{x}", "for i to n do Next(i)|return x"),
    ],
)  # fmt: skip
def test_packages_whose_commands_are_words_print_them(package: str, body: str, expected: str) -> None:
    read = text(f"\\begin{{codebox}}{body}\\end{{codebox}}", f"\\usepackage{{{package}}}")
    assert read.replace("\n", "|") == expected


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (r"\SetKwBlock{On}{upon}{end}\On(message $m$){send\;}", "upon|message $m$|send"),
        (r"\SetKwFor{Par}{parfor}{do}{}\Par(\tcp*[f]{why}){$i$}{x\;}", "parfor $i$|why|x"),
        (r"\SetKwIF{Wenn}{S}{Sonst}{wenn}{}{s}{sonst}{}\eWenn{a}{b\;}{c\;}\leWenn{d}{e}{f}",
         "wenn a|b|sonst|c|wenn d e sonst f"),
        (r"\lIf{$b$}{\Return{$a$}}\KwRet $c$\;", "if $b$ return $a$|return $c$"),
        (r"\KwIn{a}text\;", "Input: a|text"),
        (r"\SetKwProg{Fn}{def}{:}{}\SetKwFunction{S}{Sum}\Fn(\tcc*[h]{why}){\S{$a$}}{x\;}",
         "def Sum($a$):|why|x"),
        (r"\SetKwComment{tcc}{/* }{ */}x\;\tcc{why}", "x|why"),
        (r"\lIf*{a}{b}\lElse*{c}", "if a b|else c"),
        (r"\SetKwSwitch{W}{F}{A}{wähle}{}{fall}{sonst}{}{}\W{x}{\F{1}{a\;}\A{b\;}}", 
         "wähle x|fall 1|a|sonst|b"),
        (r"\SetKwFunction{R}{range}\R($n$)\;", "range($n$)"),
        (r"\lIf(\tcp*[f]{why}){$a$}{b}$x$ \gets $y$\;", "if $a$ b|why|$x$ ← $y$"),
    ],
)  # fmt: skip
def test_keywords_of_a_paper_take_what_those_of_algorithm2e_take(steps: str, expected: str) -> None:
    assert text(f"\\begin{{algorithm}}{steps}\\end{{algorithm}}").replace("\n", "|") == expected


def test_steps_of_algorithmic_have_comments_in_brackets() -> None:
    steps = r"\IF[why]{$a$}\STATE b\ELSE[or]\STATE c\ENDIF"
    assert text(f"\\begin{{algorithmic}}{steps}\\end{{algorithmic}}").split("\n") == [
        "if $a$", "why", "b", "else", "or", "c", "end if",
    ]  # fmt: skip


def test_algorithm2e_has_french_keywords() -> None:
    steps = r"\Donnees{$G$}\Pour{$i$ \KwA $n$}{\eSi{$a$}{b\;}{c\;}}\Retour $x$\;"
    read = text(
        f"\\begin{{algorithm}}{steps}\\end{{algorithm}}",
        r"\usepackage[french]{babel}\usepackage{algorithm2e}",
    )
    assert read.replace("\n", "|") == "Données: $G$|pour $i$ à $n$|si $a$|b|sinon|c|retourner $x$"


def test_margins_of_algorithms_are_no_text() -> None:
    assert text(r"\IncMargin{1em}\begin{algorithm}x\;\end{algorithm}\DecMargin{1em}") == "x"


def test_captions_of_algorithm2e_have_numbers() -> None:
    assert text(r"\begin{algorithm2e}x\;\caption{C}\end{algorithm2e}") == "x\n\nAlgorithm 1: C"
