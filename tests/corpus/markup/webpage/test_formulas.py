"""A formula is said once, as its TeX between dollars, in all the ways that pages hold one."""

import html
import time

import pytest
from corpus import warcs

from llama_core.corpus.markup.webpage.extract import extract
from llama_core.corpus.markup.webpage.formulas import dollars

TEX = [
    r"x^2",
    r"\frac{a}{b} \le c",
    r"\sum_{i=1}^n \alpha_i",
    r"a < b \ \& \ c",
    r"\text{if } x \in \mathbb{R}",
]


def text(body: str) -> str:
    page = f"<!doctype html><title>T</title><body><article>{warcs.ARTICLE}<p>Let {body} be it.</p></article>"
    found = extract(page.encode(), "")
    assert isinstance(found, tuple)
    return found[1].partition("Let")[2].lstrip()


def mathml(tex: str, encoding: str = "application/x-tex") -> str:
    return (
        '<math xmlns="http://www.w3.org/1998/Math/MathML"><semantics><mrow><mi>SHOWN</mi></mrow>'
        f'<annotation encoding="{encoding}">{html.escape(tex)}</annotation></semantics></math>'
    )


def katex(tex: str) -> str:
    shown = '<span class="katex-html" aria-hidden="true"><span class="base"><span>SHOWN</span></span></span>'
    return f'<span class="katex"><span class="katex-mathml">{mathml(tex)}</span>{shown}</span>'


def mathjax2(tex: str, display: bool = False, kind: str = "MathJax") -> str:
    mode = "; mode=display" if display else ""
    shown = (
        f'<span class="{kind}" id="MathJax-Element-1-Frame" tabindex="0" style="position: relative;" '
        'data-mathml="&lt;math&gt;&lt;mi&gt;SHOWN&lt;/mi&gt;&lt;/math&gt;"><nobr>SHOWN</nobr>'
        '<span class="MJX_Assistive_MathML" role="presentation"><math><mi>SHOWN</mi></math></span></span>'
    )
    shown = f'<div class="MathJax_Display">{shown}</div>' if display else shown
    script = f'<script type="math/tex{mode}" id="MathJax-Element-1">{tex}</script>'
    return f'<span class="MathJax_Preview" style="color: inherit;">SHOWN</span>{shown}\n{script}'


def wikipedia(tex: str) -> str:
    styled = html.escape(f"{{\\displaystyle {tex}}}")
    return (
        '<span class="mwe-math-element"><span class="mwe-math-mathml-inline" style="display: none;"><math '
        f'alttext="{styled}"><semantics><mi>SHOWN</mi><annotation encoding="application/x-tex">{styled}'
        "</annotation>"
        '</semantics></math></span><img src="https://wikimedia.org/api/rest_v1/media/math/render/svg/0a" '
        f'class="mwe-math-fallback-image-inline" aria-hidden="true" alt="{styled}"></span>'
    )


WAYS = {
    "KaTeX": katex,
    "KaTeX, displayed": lambda tex: f'<span class="katex-display">{katex(tex)}</span>',
    "KaTeX, MathML alone": mathml,
    "MathJax 2": mathjax2,
    "MathJax 2, displayed": lambda tex: mathjax2(tex, display=True),
    "MathJax 2, CommonHTML": lambda tex: mathjax2(tex, kind="mjx-chtml MathJax_CHTML"),
    "MathJax 2, SVG": lambda tex: mathjax2(tex, kind="MathJax_SVG"),
    "MathJax 2 before it ran": lambda tex: f'<script type="math/tex">{tex}</script>',
    "MathJax 3 with an annotation": lambda tex: (
        '<mjx-container class="MathJax" jax="SVG"><svg aria-hidden="true"><text>SHOWN</text></svg>'
        f"<mjx-assistive-mml>{mathml(tex, 'TeX')}</mjx-assistive-mml></mjx-container>"
    ),
    "MathJax 4": lambda tex: (
        f'<mjx-container data-latex="{html.escape(tex)}"><mjx-math>SHOWN</mjx-math></mjx-container>'
    ),
    "Wikipedia": wikipedia,
    "an attribute of MathML": lambda tex: f'<math alttext="{html.escape(tex)}"><mi>SHOWN</mi></math>',
    "Wikipedia's old pictures": lambda tex: (
        f'<img class="tex" alt="{html.escape(tex)}" src="//a/math/b.png">'
    ),
    "WordPress": lambda tex: (
        f'<img class="latex" src="//s0.wp.com/latex.php?latex=x" alt="{html.escape(tex)}">'
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("tex", TEX)
def test_each_formula_is_its_tex_once(way: str, tex: str) -> None:
    found = text(WAYS[way](tex))
    assert " ".join(found.split()) == f"${tex}$ be it."


def test_comments_around_and_in_tex_are_no_part_of_it() -> None:
    rows = "\\begin{align} a &= 5\\% \\\\ % first\n c &= d \\end{align}"
    found = text(f'<script type="math/tex; mode=display">% <![CDATA[\n{rows} %]]></script>')
    assert found.split("$")[1] == "\\begin{align} a &= 5\\% \\\\ c &= d \\end{align}"


@pytest.mark.parametrize("piece", ["% ", "%", "\\", "\\%", "%\n", "]]>", "% <!"])
def test_tex_of_many_marks_of_comments_takes_no_time(piece: str) -> None:
    start = time.process_time()
    dollars(piece * 100_000)
    assert time.process_time() - start < 1


def test_formulas_follow_one_another_in_their_order() -> None:
    both = mathjax2("a") + " and " + mathjax2("b", display=True) + katex("c") + wikipedia("d")
    found = text(both)
    assert [found.count(f"${x}$") for x in "abcd"] == [1, 1, 1, 1] and "SHOWN" not in found
    assert found.index("$a$") < found.index("$b$") < found.index("$c$") < found.index("$d$")


@pytest.mark.parametrize(
    ("mathml", "line"),
    [
        ("<mi>a</mi><mo>≤</mo><mi>b</mi><mo>−</mo><mi>c</mi>", "a≤b−c"),
        ("<msup><mi>x</mi><mn>2</mn></msup><mo>+</mo><mn>1</mn>", "$x^2+1$"),
        ("<mfrac><mrow><mi>a</mi><mo>+</mo><mn>1</mn></mrow><msqrt><mi>b</mi></msqrt></mfrac>",
         r"$\frac{a+1}{\sqrt{b}}$"),
        ("<munderover><mo>∑</mo><mrow><mi>i</mi><mo>=</mo><mn>1</mn></mrow><mi>n</mi></munderover>",
         "$∑_{i=1}^n$"),
        ("<mover><mi>x</mi><mo>¯</mo></mover>", r"$\bar{x}$"),
        ("<mi>sin</mi><mo>\u2061</mo><mi>x</mi>", "sin x"),
        ("<mtable><mtr><mtd><mn>1</mn></mtd><mtd><mn>0</mn></mtd></mtr></mtable>",
         r"$\begin{matrix}1 & 0\end{matrix}$"),
    ],
)  # fmt: skip
def test_mathml_without_tex_is_written_in_a_line(mathml: str, line: str) -> None:
    assert text(f"<math>{mathml}</math>").startswith(line)
    assistive = f"<mjx-assistive-mml><math>{mathml}</math></mjx-assistive-mml>"
    shown = '<mjx-math aria-hidden="true"><mjx-c class="mjx-c1D465"></mjx-c></mjx-math>'
    assert text(f'<mjx-container class="MathJax">{shown}{assistive}</mjx-container>').startswith(line)


@pytest.mark.parametrize(
    ("markup", "line"),
    [
        (r'<span class="math inline">\(x^2\)</span>, <span class="arithmatex">\[y\]</span>', "$x^2$, $y$"),
        (r"$$x$$, \begin{align}y\end{align} of math", "$x$, $\\begin{align}y\\end{align}$ of math"),
        ('<mml:math><mml:msup><mml:mi>x</mml:mi><mml:mn>2</mml:mn></mml:msup></mml:math>', "$x^2$"),
        ('<img src="https://chart.googleapis.com/chart?cht=tx&amp;chl=x%5E2">', "$x^2$"),
        ('<mjx-container class=MathJax><mjx-c class="mjx-c1D438 TEX-I"></mjx-c></mjx-container>', "E"),
        (r"\(x\) and \[y_1\], for $5 and <code>\(z\)</code> math", r"$x$ and $y_1$, for $5 and \(z\) math"),
        ('<img class=latex src="https://s0.wp.com/latex.php?bg=f&latex=x%5E2+y">', "$x^2 y$"),
        (r'<img alt="Equation" src="https://latex.codecogs.com/gif.latex?\inline&space;x%5E2+y">', "$x^2+y$"),
        ('<img alt="x^2" src="https://www.zhihu.com/equation?tex=x%5E2">', "$x^2$"),
        ('<img class="quicklatex-auto-format" alt="&#120;^2">', "$x^2$"),
        ('<img class=math src="_images/math/a.png" alt="y = 1">', "$y = 1$"),
        (r'<img class=latexcenter alt="\[y=1\]" src="//latex.example/a.png">', "$y=1$"),
        ('<span class="ztext-math" data-tex="y^2">SHOWN</span>', "$y^2$"),
        ('<span class="katex"><span class="katex-mathml">\n x\n  \n  x^2\n </span>'
         '<span class="katex-html">SHOWN</span></span>', "$x^2$"),
        ('<table class="ltx_equation ltx_eqn_table"><tr><td></td><td><math alttext="E"><mi>SHOWN</mi></math>'
         "</td><td></td><td>(1)</td></tr></table>", "$E$\n\n(1)"),
    ],
)  # fmt: skip
def test_sites_that_hold_formulas_in_ways_of_their_own_give_the_tex(markup: str, line: str) -> None:
    assert text(markup).startswith(line)


def test_a_picture_of_a_lesson_is_no_formula() -> None:
    assert "$" not in text('<img class="math" alt="A teacher of mathematics">')


@pytest.mark.timeout(60)
def test_open_marks_of_formulas_take_linear_time() -> None:
    assert text("katex " + r"\( \[ " * 100_000)


def test_other_pictures_and_scripts_are_no_formulas() -> None:
    found = text(
        '<img alt="A photo" src="math.png"><script>x = "katex"</script><span class="katexlike">x</span>'
    )
    assert found.split() == ["x", "be", "it."]
