"""The HTML of posts to plain text: what stays, what goes, and how long it takes."""

import html

import pytest
from corpus.helpers import takes_linear_time
from hypothesis import given, settings
from hypothesis import strategies as st

from llama_core.corpus.markup.html import to_text, unescape


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p>One <b>bold</b>\n line.</p>\n\n<p>Two &amp; three.</p>", "One bold\nline.\n\nTwo & three."),
        ("<p>a<br>b<br />c</p>", "a\nb\nc"),
        ("<h2>Head</h2>text<hr>more", "Head\n\ntext\n\nmore"),
        ('<a href="http://a.b/?x=1&amp;y=2" title="a > b">link</a><img src="x.png" alt="pic">', "link"),
        # entities are decoded once
        ("<p>&lt;b&gt; is &amp;lt;b&amp;gt;, caf&eacute; &#8364;&nbsp;5</p>", "<b> is &lt;b&gt;, café € 5"),
        ("&#" + "9" * 5000 + "; &#x" + "f" * 40 + ";", "\ufffd \ufffd"),
        # code as it is
        ("<pre><code>if a &lt; b:\n\treturn  1\n\n\nx = &quot;&amp;amp;&quot;\n</code></pre><p>after</p>",
         'if a < b:\n\treturn  1\n\n\nx = "&amp;"\n\nafter'),
        ("<p>use <code>a  b</code>, or<code>c</code></p>", "use a  b, orc"),
        ("<pre>one\n  two</pre>", "one\n  two"),
        ("<pre><span class=x>a</span>\n<b>b</b></pre>", "a\nb"),
        ("<pre><code>never closed\n  x", "never closed\n  x"),
        # lists
        ("<ul><li>a</li><li><p>b</p><p>more</p></li></ul>", "- a\n- b\n\nmore"),
        ("<ol><li>a<ul><li>b</li></ul></li><li>c</li></ol>", "1. a\n  - b\n2. c"),
        ("<ul>\n<li>\n  <blockquote>\n  <p>a</p>\n</blockquote></li>\n<li></li><li> </li><li><br>z</li></ul>",
         "- a\n\n- z"),
        ("<ul><li><pre><code>x = 1\n</code></pre></li></ul>", "x = 1"),
        ('<ol><li>a</li></ol><p>x</p><ol start="2"><li>b</li></ol>', "1. a\n\nx\n\n2. b"),
        # tables, formulas, superscripts
        ("<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>", "a | b\n1 | 2"),
        ("<table>\n<thead>\n<tr>\n<th>a</th>\n<th>b</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td>1</td>\n<td></td>\n"
         "<td>3</td>\n</tr>\n</tbody>\n</table>", "a | b\n1 | | 3"),
        ("<p>$x &lt; y$ and $$\\frac{a}{b}\n&gt; 1$$</p>", "$x < y$ and $$\\frac{a}{b}\n> 1$$"),
        ("10<sup>6</sup> m<sup>-1</sup> 1<sup>st</sup> H<sub>2</sub>O", "10^6 m^-1 1st H2O"),
        ("2<sup>n</sup> 2<sup><i>n</i>-1</sup> x<sup>TM</sup>", "2^n 2^(n-1) xTM"),
        ("<tr><td>a</td> <sup><td>b</sup>", "a | b"),
        # no words
        ("a<!-- <p>no</p> -->b<script>if (a < b) { x(); }</script><style>p {}</style>c", "abc"),
        ("a<!-- never closed", "a"),
        ("a < b and c > d <", "a < b and c > d <"),
        ("<p>  </p><p></p><br>", ""),
        ("a\x01b\x05\u200bc\u00add", "abcd"),
    ],
)  # fmt: skip
def test_markup_becomes_its_words(markup: str, text: str) -> None:
    assert to_text(markup) == text


@given(
    text=st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Zs", "Cf"]), max_size=60)
)
def test_escaped_text_comes_back_as_it_was(text: str) -> None:
    assert to_text(f"<p>{html.escape(text)}</p>") == text


@given(
    code=st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r", min_codepoint=9), max_size=60)
)
def test_code_comes_back_as_it_was_but_for_the_line_ends_around_it(code: str) -> None:
    expected = code.strip("\n").rstrip() if code.strip() else ""
    assert to_text(f"<pre><code>{html.escape(code)}</code></pre>") == expected


TAGS = [
    "p",
    "b",
    "code",
    "pre",
    "ul",
    "ol",
    "li",
    "br",
    "sup",
    "td",
    "script",
    "blockquote",
    "a href='x'",
    "!--",
]
PIECES = st.sampled_from(
    [f"<{tag}>" for tag in TAGS] + [f"</{tag.split()[0]}>" for tag in TAGS]
) | st.sampled_from(
    ["-->", "<", ">", "&", "&lt;", "\n", " ", "x", "2", '"', "'", "\x00", "\x03", "&#x3;", "\ud800", "é"]
)


@given(pieces=st.lists(PIECES, max_size=40))
@settings(deadline=None)
def test_any_markup_becomes_text_without_the_readers_own_marks(pieces: list[str]) -> None:
    text = to_text("".join(pieces))
    assert not set(text) & set("\x01\x02\x03\x04\x05")


@given(text=st.text(max_size=40))
def test_entities_are_those_of_html(text: str) -> None:
    assert unescape(text) == html.unescape(text)


@pytest.mark.parametrize(
    "run",
    ["<", "<a", '<a "', "<a '", "<a href=\"", "<ul>", "<li>", "<ul><li>", "<pre>", "</pre>", "<sup>",
    "1<sup>2", "<!--",
     "<!---->", "&", "&#", "&#1", "&amp;", "<p>", "<script>", "<td>", " ", ""
      "\n", "<code>x</code>", "a<b", "'\"", "<a b='\""],
)  # fmt: skip
def test_time_is_linear_in_posts_of_one_mark(run: str) -> None:
    assert takes_linear_time(lambda size: to_text((run * size)[:size]), 20_000)
