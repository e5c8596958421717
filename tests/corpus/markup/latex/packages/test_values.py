"""Numbers, units, acronyms and tracked changes print what their packages print."""

import pytest
from corpus.papers import of_section as text


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (r"\num{1.2(3)e-4}; \num{.5}; \num{e6}; \num{2x3}; \num{4 \pm 1}",
         "1.2(3) × 10^-4; 0.5; 10^6; 2 × 3; 4 ± 1"),
        (r"\num{2 \times 10^3}; \num{1.2^{+0.1}_{-0.2}}", r"$2 \times 10^3$; $1.2^{+0.1}_{-0.2}$"),
        (r"\SIlist{1;2;3}{\metre}; \numlist{4;5}; \SI{2 x 3}{\cm}", "1, 2 and 3 m; 4 and 5; 2 × 3 cm"),
        (r"\SI{3}{\frob\per\second}; \SI{3}{\milli\frob}; \SI{9}{\degC}", "3 frob/s; 3 millifrob; 9 °C"),
        (r"\DeclareSIUnit\Molar{\textsc{m}}\DeclareSIUnit\usd{\text{\$}}\SI{3}{\Molar} \SI{4}{\usd} x",
         "3 M 4 $ x"),
        (r"\SI{7}{\hertz\tothe{1/2}}; \SI{3}{\nano\tesla\per\sqrt\hertz}; \SI{9}{\degree C}",
         "7 Hz^1/2; 3 nT/√Hz; 9 °C"),
        (r"\DeclareSIUnit\el{e\textsuperscript{-}}\SI{3}{\el\per\second}; \SI{2}{k\ohm}; \num{50\%}",
         "3 e^-/s; 2 kΩ; 50%"),
        (r"\num{1.0(1)}; \num{2.0 +- 0.1 e3}", "1.0(1); (2.0 ± 0.1) × 10^3"),
        (r"\SI{7}{\csname metre\endcsname}", "7 m"),
        (r"\nicefrac{1}{2}, \sfrac{a}{b}, \nicefrac{a+b}{2}, $\nicefrac{1}{2}$",
         r"1/2, a/b, (a+b)/2, $\nicefrac{1}{2}$"),
        (r"\unitfrac[3]{m}{s}, \unitfrac{m}{s}, \unit[$10^3$]{s}, \isotope[14]{C}",
         "3 m/s, m/s, $10^3$ s, 14C"),
    ],
)  # fmt: skip
def test_numbers_and_fractions_keep_their_values(body: str, expected: str) -> None:
    assert text(body) == expected


def test_units_stand_in_columns_of_units() -> None:
    body = r"\begin{tabular}{S s}{Value} & {Unit}\\ 1 & \kilo\gram\end{tabular}"
    assert text(body, r"\usepackage{siunitx}") == "Value | Unit\n1 | kg"


def test_units_of_the_package_siunits_stand_in_the_text() -> None:
    assert text(r"5~\micro\metre, \unit{3}{\metre\per\second}", r"\usepackage{SIunits}") == "5 µm, 3 m/s"


def test_tablenum_is_a_number_with_siunitx_alone() -> None:
    assert text(r"a \tablenum{3} z", r"\usepackage{siunitx}") == "a 3 z"
    assert text(r"a \tablenum{3} z") == "a z"


@pytest.mark.parametrize(
    ("preamble", "body", "expected"),
    [
        (r"\setacronymstyle{short-long}\newacronym{nn}{NN}{neural net}", r"\gls{nn} \gls{nn}",
         "NN (neural net) NN"),
        (r"\setabbreviationstyle{short-nolong}\newabbreviation{x}{XML}{markup}", r"\gls{x}", "XML"),
        (r"\setabbreviationstyle[acronym]{long-noshort}\newacronym{x}{XML}{markup}", r"\gls{x}", "markup"),
        (r"\acsetup{first-style=short}\DeclareAcronym{tv}{short=TV,long=television}", r"\ac{tv}", "TV"),
        (r"\newcommand\abbr[2]{\newacronym{#1}{#1}{#2}}\abbr{GPU}{graphics unit}", r"\gls{GPU}",
         "graphics unit (GPU)"),
        (r"\newglossaryentry{c}{name={CPU},description={d},firstplural="
         r"{units (CPUs)},plural=CPUs,symbol=$c$}",
         r"\glspl{c} \glspl{c} \glssymbol{c}", "units (CPUs) CPUs $c$"),
        (r"\DeclareAcronym{ufo}{short=UFO,long=flying object,long-indefinite=a,short-indefinite=a}",
         r"\iac{ufo}, \iac{ufo}", "a flying object (UFO), a UFO"),
        (r"\newacronym{n}{N}{net}", r"\gls{n}\ifglsused{n}{ used}{ new}\glsresetall\ifglsused{n}"
         r"{ used}{ new}",
         "net (N) used new"),
        (r"\newacronym{n}{N}{net}", r"\gls{n}\glslocalreset{n} \gls{n} \glsentryfirst{n} \glsentrydesc{n}",
         "net (N) net (N) net (N) net"),
        (r"\newglossaryentry{a}{name={\ensuremath{\alpha}},description={}}", r"$\gls{a}+1$", r"${\alpha}+1$"),
        (r"\usepackage{nomencl}", r"\nomenclature[A]{$c$}{speed}Text.", "Text."),
    ],
)  # fmt: skip
def test_acronyms_follow_their_style_and_their_definitions(preamble: str, body: str, expected: str) -> None:
    assert text(body, preamble) == expected


@pytest.mark.parametrize(
    ("preamble", "body", "expected"),
    [
        (r"\providecommand{\DIFdelbegin}{}", r"a \DIFdelbegin \section{Old}\DIFdelend \DIFadd{new} z",
         "a new z"),
        ("", r"$a\DIFdel{+b}\DIFadd{+c}$ $\deleted{x}y$ $\replaced{p}{q}$", "$a{+c}$ $y$ $p$"),
        (r"\usepackage{easyReview}", r"a \comment{text}{remark} z", "a text z"),
        (r"\usepackage{changes}", r"a \comment[id=x]{remark} z", "a z"),
        ("", "a\\deleted{b\n\nc} z\\todo[inline]{d\n\ne}\\fixme{f}", "a z"),
        (r"\newcommand\rs{\bgroup\markoverwith{\textcolor{red}{\rule[0.5ex]{2pt}{1pt}}}\ULon}", r"a \rs{b} c",
         "a c"),
        (r"\newcommand\uw{\bgroup\markoverwith{\lower3pt\hbox{\char58}}\ULon}", r"a \uw{b} c", "a b c"),
        ("", r"\pdftooltip{word}{tip} \pdfmarkupcomment[markup=Highlight]{mark}{note}", "word mark"),
        (r"\newcommand{\hlc}[2][yellow]{{\sethlcolor{#1}\hl{#2}}}", r"\hlc[green]{a} \hlc{b}", "a b"),
    ],
)  # fmt: skip
def test_what_was_deleted_is_not_printed(preamble: str, body: str, expected: str) -> None:
    assert text(body, preamble) == expected
