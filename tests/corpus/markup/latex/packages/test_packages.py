"""What packages add prints what LaTeX would print, as running text."""

import pytest
from corpus.papers import of_section as text

from llama_core.corpus.markup.latex.paper import read_paper

# --- algorithms


@pytest.mark.parametrize(
    ("steps", "lines"),
    [
        (r"\For{$k=0$ \KwTo $9$}{look\; note\;}", "for $k=0$ to $9$|look|note"),
        (r"\ForEach{$v\in V$}{visit\;}", "for each $v\\in V$|visit"),
        (r"\ForAll{edges}{relax\;}", "for all edges|relax"),
        (r"\While{true}{wait\;}", "while true|wait"),
        (r"\If{$a$}{b\;}\ElseIf{$c$}{d\;}\Else{e\;}", "if $a$|b|else if $c$|d|else|e"),
        (r"\uIf{$a$}{b\;}\uElseIf{$c$}{d\;}\uElse{e\;}", "if $a$|b|else if $c$|d|else|e"),
        (r"\eIf{$a$}{b\;}{c\;}", "if $a$|b|else|c"),
        (r"\eIf{$a$}{\eIf{$x$}{y\;}{z\;}}{c\;}", "if $a$|if $x$|y|else|z|else|c"),
        (r"\lIf{$a$}{b}\lElse{c}", "if $a$ b|else c"),
        (r"\lForEach{row}{sum it}", "for each row sum it"),
        (r"\leIf{$a$}{b}{c}", "if $a$ b else c"),
        (r"\Repeat{done}{try\;}", "repeat|try|until done"),
        (r"\Switch{mode}{\Case{1}{one\;}\Other{none\;}}", "switch mode|case 1|one|otherwise|none"),
        (r"\KwRet{$x$}\;", "return $x$"),
        (r"\Return $x$\;", "return $x$"),
        (r"\KwIn{a graph}\KwOut{a tree}", "Input: a graph|Output: a tree"),
        (r"\KwData{words}\KwResult{counts}", "Data: words|Result: counts"),
        (r"x\; \tcp*[r]{why}y\;", "x|why|y"),
        (r"\If(\tcc*[f]{why}){$a$}{b\;}", "if $a$|why|b"),
        (r"\SetKwFunction{Find}{Find}\Find{$a$, $b$}\; \Find is called", "Find($a$, $b$)|Find is called"),
        (r"\SetKwFunction{F}{Sum}$x \gets \F{y}$\;", "$x \\gets \\mathrm{Sum}(y)$"),
        (r"\SetKwInOut{In}{Given}\In{$n$}", "Given: $n$"),
        (r"\SetKwInput{Par}{Parameter}\Par{$p$}", "Parameter: $p$"),
        (r"\SetKw{By}{by}step \By $2$\;", "step by $2$"),
        (r"\SetKwData{Low}{low}\Low $=1$\;", "low $=1$"),
        (r"\SetKwProg{Fn}{Function}{:}{end}\Fn{f($x$)}{y\;}", "Function f($x$):|y"),
        (r"\SetKwFor{Par}{parfor}{do}{end}\Par{$i$}{y\;}", "parfor $i$|y"),
        (r"\SetKwRepeat{Do}{do}{while}\Do{$i<9$}{y\;}", "do|y|while $i<9$"),
        (r"\SetKwBlock{Init}{init}{end}\Init{y\;}z\;", "init|y|z"),
        (r"\SetKwComment{Hint}{// }{}x\;\Hint*[r]{so}", "x|so"),
        (r"\SetKwIF{Wenn}{S}{Sonst}{wenn}{}{s}{sonst}{}\Wenn{a}{b\;}\Sonst{c\;}", "wenn a|b|sonst|c"),
        (r"\SetKwFor{Par}{parfor}{do}{end}\lPar{$i$}{y}\Begin{z\;}", "parfor $i$ y|begin|z"),
        (r"\SetKwIF{Wenn}{S}{Sonst}{wenn}{}{s}{sonst}{}\lWenn{a}{b}\lSonst{c}", "wenn a b|sonst c"),
        (r"\ForPar{rows}{sum\;}", "for rows|sum"),
        (r"\DontPrintSemicolon\SetAlgoLined\SetNlSty{textbf}{(}{)}\nllabel{l}x\;", "x"),
    ],
)
@pytest.mark.parametrize("environment", ["algorithm", "algorithm2e", "procedure"])
def test_algorithms_keep_their_keywords_a_line_a_step(steps: str, lines: str, environment: str) -> None:
    assert text(f"\\begin{{{environment}}}[H]\n{steps}\n\\end{{{environment}}}").split("\n") == lines.split(
        "|"
    )


@pytest.mark.parametrize(
    ("steps", "lines"),
    [
        (r"\State $x$\While{$y$}\State z\EndWhile", "$x$|while $y$|z|end while"),
        (r"\IF{a}\STATE b\ELSE\STATE c\ENDIF", "if a|b|else|c|end if"),
        (
            r"\Procedure{Gcd}{$a,b$}\State \Return $a$\EndProcedure",
            "procedure Gcd($a,b$)|return $a$|end procedure",
        ),
        (r"\Function{F}{x}\State y\EndFunction", "function F(x)|y|end function"),
        (r"\IF{a \AND \NOT b}\PRINT \TRUE\ENDIF", "if a and not b|print true|end if"),
        (r"\State \Call{Gcd}{$a$}", "Gcd($a$)"),
        (r"\Repeat\State x\Until{y}", "repeat|x|until y"),
    ],
)
def test_algorithms_of_the_other_packages_stay_as_they_are(steps: str, lines: str) -> None:
    inner = f"\\begin{{algorithmic}}[1]{steps}\\end{{algorithmic}}"
    assert text(f"\\begin{{algorithm}}{inner}\\end{{algorithm}}").split("\n") == lines.split("|")


# --- acronyms

GLOSSARIES = (
    r"\usepackage{glossaries}\newacronym{nn}{NN}{neural network}"
    r"\newacronym[longplural={data sets}]{ds}{DS}{data set}"
    r"\newglossaryentry{tree}{name={tree}, plural=trees, description={a graph, without circles}}"
)
ACRO = (
    r"\usepackage{acro}\DeclareAcronym{pcr}{short = PCR, long = polymerase chain reaction}"
    r"\DeclareAcronym{ox}{short=OX, long=ox, short-plural=EN, long-plural-form={oxen, all}}"
)
ACRONYM = r"\usepackage{acronym}\acrodef{SN}{supernova}\acrodefplural{SN}[SNe]{supernovae}"


@pytest.mark.parametrize(
    ("preamble", "body", "expected"),
    [
        (GLOSSARIES, r"\gls{nn}, \gls{nn}, \glspl{nn}", "neural network (NN), NN, NNs"),
        (GLOSSARIES, r"\Gls{nn}. \Glspl{ds}! \glspl{ds}", "Neural network (NN). Data sets (DSs)! DSs"),
        (GLOSSARIES, r"\acrshort{nn} \acrlong{nn} \acrfull{nn}", "NN neural network neural network (NN)"),
        (GLOSSARIES, r"\acrlongpl{ds}, \acrshortpl{nn}, \gls{nn}'s", "data sets, NNs, neural network (NN)'s"),
        (
            GLOSSARIES,
            r"\gls{nn} \glsreset{nn}\gls{nn} \glsunset{ds}\gls{ds}",
            "neural network (NN) " * 2 + "DS",
        ),
        (
            GLOSSARIES,
            r"\gls{tree}, \glspl{tree}, \glsdesc{tree}, \Gls{tree}",
            "tree, trees, a graph, without circles, Tree",
        ),
        (
            GLOSSARIES,
            r"\glsxtrshort{nn} \glsxtrlong{nn} \gls[hyper=false]{nn}[s]",
            "NN neural network neural network (NN)s",
        ),
        (GLOSSARIES, r"\gls{nn} and $\gls{nn}_1$ \printglossaries", "neural network (NN) and $\\text{NN}_1$"),
        (GLOSSARIES, r"\gls{other}", "other"),
        (
            ACRO,
            r"\ac{pcr}, \ac{pcr}; \acp{ox}, \acp{ox}",
            "polymerase chain reaction (PCR), PCR; oxen, all (OXEN), OXEN",
        ),
        (
            ACRO,
            r"\acs{pcr} \acl{pcr} \acf{pcr} \Ac{ox} \iac{ox}",
            "PCR polymerase chain reaction polymerase chain reaction (PCR) Ox (OX) an OX",
        ),
        (
            ACRONYM,
            r"\ac{SN}, \acp{SN}, \aclp{SN}, \acfp{SN}",
            "supernova (SN), SNe, supernovae, supernovae (SNe)",
        ),
        (ACRONYM, r"\acused{SN}\ac{SN} \acresetall\ac{SN}", "SN supernova (SN)"),
        (
            "",
            r"\ac{LHC} \ac{LHC}\begin{acronym}[LHC]\acro{LHC}{Large Collider}"
            r"\acro{pp}[$pp$]{two protons}\end{acronym}",
            "Large Collider (LHC) LHC\nLHC Large Collider\n$pp$ two protons",
        ),
        (r"\newcommand{\nn}{\gls{nn}\xspace}" + GLOSSARIES, r"\nn is \nn.", "neural network (NN) is NN."),
    ],
)
def test_acronyms_are_in_full_at_first_and_then_short(preamble: str, body: str, expected: str) -> None:
    assert text(body, preamble) == expected


def test_an_acronym_of_the_abstract_is_in_full_in_the_text_again() -> None:
    main = (
        r"\documentclass{article}\acrodef{SN}{supernova}\begin{document}\begin{abstract}\ac{SN}\end{abstract}"
        r"\section{S}\ac{SN}, \ac{SN}\end{document}"
    )
    assert read_paper({"main.tex": main}, "main.tex").text == "S\n\nsupernova (SN), SN"


# --- tracked changes


@pytest.mark.parametrize(
    ("preamble", "body", "expected"),
    [
        ("changes", r"a \added[id=X]{b} \deleted[id=X,comment={no}]{c} \replaced[id=X] {d} {e} f", "a b d f"),
        ("changes", r"\highlight[id=X]{a} \comment[id=X]{b}c \definechangesauthor[name={N}]{X}", "a c"),
        ("changes", r"\chadded{a} \chdeleted[id=X]{b} \chreplaced{c}{d} \chcomment{e}f", "a c f"),
        ("trackchanges", r"\add[E]{a} \remove[E]{b} \change[E]{c}{d} \note[E]{e}\annote[E]{f}{g}", "a d f"),
        ("easyReview", r"\add{a} \remove{b} \replace{c}{d} \alert{e}", "a d e"),
        ("amsmath", r"a \alt b, \ac c, \change d \value{page}", "a b, c, d"),
        ("ulem", r"a \sout{b} \uline{c} \st{d} \xout{e}f", "a c f"),
    ],
)
def test_what_was_deleted_is_not_printed(preamble: str, body: str, expected: str) -> None:
    assert " ".join(text(body, f"\\usepackage{{{preamble}}}").split()) == expected


def test_what_latexdiff_marks_as_deleted_is_not_printed() -> None:
    preamble = r"\providecommand{\DIFadd}[1]{{\uwave{#1}}}\providecommand{\DIFdel}[1]{{\color{red}\sout{#1}}}"
    assert text(r"a \DIFdel{b }\DIFadd{c} d", preamble) == "a c d"


# --- siunitx


@pytest.mark.parametrize(
    ("unit", "printed"),
    [
        (r"\metre\per\second", "m/s"),
        (r"\metre\per\second\squared", "m/s^2"),
        (r"\per\cubic\centi\metre", "1/cm^3"),
        (r"\per\second", "1/s"),
        (r"\kilo\gram\square\metre\per\second", "kg m^2/s"),
        (r"\watt\per\metre\squared\per\kelvin", "W/(m^2 K)"),
        (r"\raiseto{4}\kelvin\tothe{-2}", "K^-2"),
        (r"\metre\tothe{5}", "m^5"),
        (r"\milli\sievert", "mSv"),
        (r"\mega\becquerel", "MBq"),
        (r"\micro\farad", "µF"),
        (r"\lumen\per\watt", "lm/W"),
        (r"\astronomicalunit", "au"),
        (r"\kibi\byte", "KiB"),
        (r"\degreeCelsius", "°C"),
        (r"\kV", "kV"),
        (r"\uH", "µH"),
        (r"\Mohm", "MΩ"),
        (r"\fmol", "fmol"),
        (r"\GeV", "GeV"),
        (r"\kelvin\per\furlong", "K/furlong"),
        (r"\kilo\smoot", "kilosmoot"),
        (r"km/h", "km/h"),
        (r"kg.m.s^{-2}", "kg m s^-2"),
        (r"\electronvolt/c^2", "eV/c^2"),
        (r"\micro m", "µm"),
        (r"\gram\of{Fe}", "g_Fe"),
        (r"\kilo\bushel", "kbu"),
    ],
)
def test_units_by_name_are_their_signs_and_an_unknown_one_keeps_its_name(unit: str, printed: str) -> None:
    preamble = r"\usepackage{siunitx}\DeclareSIUnit\bushel{bu}"
    body = rf"\SI{{5}}{{{unit}}}; \qty[mode=text]{{5}}{{{unit}}}; \si{{{unit}}}; \unit{{{unit}}}"
    assert text(body, preamble) == f"5 {printed}; 5 {printed}; {printed}; {printed}"


@pytest.mark.parametrize(
    ("body", "printed"),
    [
        (r"\SI{3.50}[\$]{\per\litre} \SI{45}{\degree} \ang{1;2;3}", "$3.50/L 45° 1°2′3″"),
        (r"\SIrange{1}{2}{\mm} \numrange{1}{9} \qtyrange{3}{4}{\kelvin}", "1 to 2 mm 1 to 9 3 to 4 K"),
        (r"\SIlist{1;2}{\pc} \numlist{1;2;3} \qtylist{4;5}{\day}", "1 and 2 pc 1, 2 and 3 4 and 5 d"),
        (r"\num{1.5e-3} \SI{2E+4}{\metre} \num{3d2}", "1.5 × 10^-3 2 × 10^4 m 3 × 10^2"),
        (r"\num{1.5} \num{+-2} \qtyproduct{2 x 3}{\cm} \numproduct{4x5}", "1.5 ±2 2 × 3 cm 4 × 5"),
        (r"\SI{3}{\msol} \SI{1}{\nothing\metre} \SI{2}{\per\nothing} \SI{3}{}", "3 M_⊙ 1 m 2 3"),
    ],
)
def test_quantities_print_as_siunitx_prints_them(body: str, printed: str) -> None:
    assert text(body, r"\usepackage{siunitx}\newcommand{\msol}{M_\odot}\DeclareSIUnit\nothing{}") == printed


# --- tests


@pytest.mark.parametrize(
    ("test", "holds"),
    [
        (r"\ifthenelse{\equal{a}{a}}", True),
        (r"\ifthenelse{\equal{\x}{X}}", True),
        (r"\ifthenelse{\not\equal{a}{a}}", False),
        (r"\ifthenelse{\boolean{on} \and \not \boolean{off}}", True),
        (r"\ifthenelse{\boolean{off} \OR 1 < 2}", True),
        (r"\ifthenelse{\isodd{4}}", False),
        (r"\ifthenelse{\isundefined{\nothing}}", True),
        (r"\ifthenelse{\value{page} > 1}", False),
        (r"\ifdef{\x}", True),
        (r"\ifundef{\x}", False),
        (r"\ifcsdef{nothing}", False),
        (r"\ifdefempty{\x}", False),
        (r"\ifdefvoid{\nothing}", True),
        (r"\ifdefstring{\x}{X}", True),
        (r"\ifcsstring{x}{Y}", False),
        (r"\ifstrequal{a}{b}", False),
        (r"\ifstrempty{}", True),
        (r"\ifblank{ }", True),
        (r"\notblank{ }", False),
        (r"\ifnumcomp{3}{>}{2}", True),
        (r"\ifnumequal{3}{2}", False),
        (r"\ifnumless{3}{4}", True),
        (r"\ifnumodd{3}", True),
        (r"\ifbool{on}", True),
        (r"\notbool{on}", False),
        (r"\iftoggle{up}", True),
        (r"\nottoggle{up}", False),
        (r"\ifboolexpr{bool{on} and not bool{off}}", True),
        (r"\ifboolexpr{ not ( bool{on} or toggle{up} ) }", False),
        (r"\ifboolexpr{ test {\ifnumodd{2}} or test {\ifdefstring{\x}{X}} }", True),
        (r"\IfStrEq{a}{a}", True),
        (r"\IfSubStr{abc}{d}", False),
        (r"\IfFileExists{nowhere.tex}", False),
        (r"\ifthenelse{\equal{a}}", False),
        (r"\ifboolexpr{test{\ifnumcomp{1}} or bool}", False),
        (r"\ifdimgreater{2pt}{1pt}", True),
    ],
)
def test_a_test_prints_one_of_its_branches(test: str, holds: bool) -> None:
    preamble = (
        r"\usepackage{etoolbox,ifthen}\newcommand{\x}{X}\newbool{on}\booltrue{on}\newboolean{off}"
        r"\setboolean{off}{false}\newtoggle{up}\toggletrue{up}"
    )
    assert text(f"a {test}{{yes}}{{no}} z", preamble) == f"a {'yes' if holds else 'no'} z"


def test_of_cases_the_equal_one_is_read_or_else_the_last() -> None:
    cases = r"{b}{{a}{one}{b}{\emph{two}}}[other]"
    assert text(rf"\IfStrEqCase{cases} z") == "two z"
    assert text(rf"\IfStrEqCase{cases.replace('{b}', '{c}', 1)} z") == "other z"


# --- babel


@pytest.mark.parametrize(
    ("preamble", "body", "expected"),
    [
        (r"\usepackage[ngerman]{babel}", 'Gr"o"se, "Ubung "`so"\' "<da">', "Größe, Übung „so“ «da»"),
        (
            r"\usepackage[english,german]{babel}",
            'Eis"-zeit, auf"=ab, U"~Bahn, Auf"|lage',
            "Eiszeit, auf-ab, U-Bahn, Auflage",
        ),
        (r"\usepackage{ngerman}", 'Dru"cker Schi"ffahrt a""b', "Drucker Schiffahrt ab"),
        (r"\usepackage[ngerman]{babel}", r'$"a$ \verb|"a| \"a', '$"a$ "a ä'),
        (r"\usepackage[ngerman,english]{babel}", 'an "odd" word', 'an "odd" word'),
        (r"\usepackage[dutch]{babel}", 'co"operatie auto"-ongeluk', "coöperatie auto-ongeluk"),
        (r"\usepackage[polish]{babel}", ',,ale "`x"\' <<y>>', "„ale „x” «y»"),
        (r"\usepackage[portuguese]{babel}", 'o "<x"> e "y"', 'o «x» e "y"'),
        (r"\usepackage[french]{babel}", r"<<a>> \frquote{b} 20\degres", "«a» « b » 20°"),
        ("", r"a << b, \foreignquote{german}{c}, \textquote[D]{e}", 'a << b, "c", "e"'),
        ("", 'an "apple"', 'an "apple"'),
        (
            r"\usepackage[ngerman,english]{babel}",
            'an "odd" \\begin{otherlanguage}{ngerman}"Uber "`so"\'\\end{otherlanguage} "odd" '
            '\\foreignlanguage{german}{"Ol \\emph{f"ur}} "a" \\selectlanguage{ngerman}sch"on',
            'an "odd" Über „so“ "odd" Öl für "a" schön',
        ),
        ("", r"\glqq x\grqq{} \glq y\grq{} \flqq z\frqq{}", "„x“ ‚y‘ «z»"),
    ],
)
def test_shorthands_are_letters_where_the_language_has_them(preamble: str, body: str, expected: str) -> None:
    assert text(body, preamble) == expected


# --- beamer and tables


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (r"\begin{itemize}[<+->]\item<1-> a\item<2-|alert@3> b\end{itemize}", "- a\n- b"),
        (r"\only<2>{a} \uncover<1,3->{b} \alert<2>{c} \textbf<3>{d} \onslide<2-> e\pause", "a b c d e"),
        (r"\alt<2>{a}{b} \temporal<2>{c}{d}{e} \note{f}", "a d"),
        (r"\begin{frame}<1->[t]{Title} text\end{frame}", "Title\ntext"),
        (r"\begin{block}<2->{Head} text\end{block}", "Head\ntext"),
        (r"$a<b>c$ and $\alpha<3$", "$a<b>c$ and $\\alpha<3$"),
    ],
)
def test_overlays_are_left_out(body: str, expected: str) -> None:
    assert text(body, options="{beamer}") == expected


@pytest.mark.parametrize(
    "begin",
    [
        r"{tabular}{@{}l>{\bfseries}c<{\relax}S[table-format=3.2]@{}}",
        r"{tabularx}{\textwidth}{@{}lX>{\raggedright\arraybackslash}X@{}}",
        r"{tabulary}{\linewidth}[t]{|L|C|R|}",
        r"{tabu} to \textwidth {X[l]X[2,c]X}",
        r"{tabu} spread 2cm [b]{lXX}",
        r"{tabu}{lXX}",
        r"{longtabu} to 0.8\linewidth {lXX}",
        r"{longtable}[c]{@{\extracolsep{\fill}}lll@{}}",
        r"{xltabular}{\textwidth}{lXX}",
        r"{supertabular}{lll}",
        r"{tabular*}{0.5\textwidth}{@{\extracolsep{\fill}}lcr}",
        r"{tblr}{colspec={Q[l]XX},hlines}",
        r"{tabular}{*{2}{D{.}{.}{-1}}p{3cm}}",
        r"{NiceTabular}{ccc}[hvlines]",
    ],
)
def test_the_columns_of_a_table_are_no_text(begin: str) -> None:
    name = begin[1 : begin.index("}")]
    table = (
        rf"\begin{begin} a & {{b}} & 1.2 \\ \hhline{{|=|=|}} \multicolumn{{2}}{{S}}{{c}} & d \end{{{name}}}"
    )
    assert text(table) == "a | b | 1.2\nc | d"
