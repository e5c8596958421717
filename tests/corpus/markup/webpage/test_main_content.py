"""The prose of a page is kept with every list, caption and glyph where it stands, and the rest is not."""

import itertools
import re

import pytest
from corpus import warcs

from llama_core.corpus.markup.webpage.extract import extract

PROSE = "<p>It is a small island, and a ferry goes there twice a day, but not in winter when storms come.</p>"


def text(body: str) -> str:
    found = extract(f"<!doctype html><title>T</title><body>{body}</body>".encode(), "")
    assert isinstance(found, tuple), found
    return found[1]


@pytest.mark.parametrize("depth", range(5))
@pytest.mark.parametrize(
    ("markup", "lines"),
    [
        ("<ul><li>Flour</li><li>Two eggs</li></ul>", ["- Flour", "- Two eggs"]),
        ("<ol start=3><li>Mix it.<li>Bake it.</ol>", ["3. Mix it.", "4. Bake it."]),
        ("<ul><li>Fruit<ul><li>Plums<li>Pears</ul><li>Nuts</ul>",
         ["- Fruit", "  - Plums", "  - Pears", "- Nuts"]),
        ("<dl><dt>Ferry<dd>A ship.</dl>", ["Ferry", "A ship."]),
        ("<figure><img src=a.png><figcaption>The harbour</figcaption></figure>", ["The harbour"]),
        ("<table><tr><th>Day<th>Hour<tr><td>Monday<td>9</table>", ["Day | Hour", "Monday | 9"]),
        ("<ul><li><a href=a>The timetable</a><li><a href=b>The fares</a></ul>",
         ["- The timetable", "- The fares"]),
        ("<pre>a = 1\n  b</pre>", ["a = 1", "  b"]),
        ("<pre>a = 1<br>  b</pre>", ["a = 1", "  b"]),
        ("<pre><code><div>a = 1</div><div>  b</div></code></pre>", ["a = 1", "  b"]),
        ("<table class=highlighttable><tr><td class=linenos><pre>1\n2</pre><td><pre>a = 1\n  b</pre></table>",
         ["a = 1", "  b"]),
        ("<table><tr><td>a<td>b<tr><td><td>c<tr><td> <td><tr><td>d<td></table>", ["a | b", "| c", "d |"]),
        ("<table><tr><td><p>a</p><td><div><p>b</p></div><tr><td>c<br>d<td>e</table>", ["a | b", "c d | e"]),
        ("<table><tr><td>a<td><ul><li>b</ul><tr><td>c<td>d</table>", ["a", "- b", "c", "d"]),
        ("<blockquote>Well said<footer>A writer</footer></blockquote>", ["Well said", "A writer"]),
        ("<blockquote>Well said</blockquote>", ["Well said"]),
        ("<figure class='wp-block-gallery b'><figure><figcaption>The pier</figcaption></figure></figure>",
         ["The pier"]),
        ("<ol><li><p>A note. <a href=#r>↩︎</a></p></ol>", ["1. A note."]),
        ("<p class=hidden-xs>On wide screens</p>", ["On wide screens"]),
        ("<pre><ol><li>a = 1</li><li>  b</li></ol></pre>", ["a = 1", "  b"]),
    ],
)  # fmt: skip
def test_lists_captions_tables_and_code_stay_where_they_stand(
    depth: int, markup: str, lines: list[str]
) -> None:
    body = f"{'<div>' * depth}<h1>How</h1>{PROSE}<p>You need:</p>{markup}{PROSE}{'</div>' * depth}"
    found = [line for line in text(body).split("\n") if line]
    assert found[1] == found[-1] == re.sub("<.*?>", "", PROSE)
    assert found[0] == "How" and found[3:-1] == lines


@pytest.mark.parametrize("markup", ["<ul><li>Flour<li>Eggs</ul>", "<table><tr><td>Flour<td>Eggs</table>"])
def test_a_list_beside_the_prose_stays(markup: str) -> None:
    for before, after in ((markup, ""), ("", markup)):
        found = text(f"<div class=a>{before}</div><div class=b>{PROSE * 6}</div><div class=c>{after}</div>")
        assert "Flour" in found and "Eggs" in found and found.count("small island") == 6


@pytest.mark.parametrize(
    "glyph", ["€", "≤", "−", "∈", "–", "“", "…", "✓", "漢", "ん", "한", "•", "™", "𝒳", "🙂", "ก"]
)
@pytest.mark.parametrize(
    "element", ["span", "b", "i", "em", "code", "bdi", "sup", "td", "li", "mark", "font", "a"]
)
def test_an_element_that_holds_one_character_stays(glyph: str, element: str) -> None:
    inner = f"<{element}>{glyph}</{element}>"
    inner = f"<table><tr><td>Wifi</td>{inner}</tr></table>" if element == "td" else inner
    inner = f"<ul>{inner}</ul>" if element == "li" else inner
    assert glyph in text(f"{PROSE}<div>12{inner}34</div>{PROSE}")


@pytest.mark.parametrize(
    ("markup", "line"),
    [
        ("長い\n  文章です。\n続き", "長い文章です。続き"),
        ("長い\nword\n文章", "長い word 文章"),
        ("한국어는\n띄어쓰기", "한국어는 띄어쓰기"),
        ("<ruby>漢<rp>（</rp><rt>かん</rt><rp>）</rp></ruby><ruby>字<rt>じ</ruby>", "漢(かん)字(じ)"),
        ("He said <q>yes</q>.", "He said “yes”."),
        ('Nice <img class=emoji alt="😀" src=a>, <img alt="A photo">!', "Nice 😀, !"),
        ("a<i> b </i> <b> c</b> d", "a b c d"),
        ("<?php echo 1 ?>a<?xml:namespace prefix = o />b", "ab"),
        ("A link to <a name=b>an anchor that is long enough to be a line of prose</a>",
         "A link to an anchor that is long enough to be a line of prose"),
    ],
)  # fmt: skip
def test_a_line_is_as_a_reader_sees_it(markup: str, line: str) -> None:
    assert text(f"{PROSE}<p>{markup}</p>").split("\n")[-1] == line


def test_a_paragraph_that_is_an_anchor_is_no_link() -> None:
    assert text(f"<a name=top>{PROSE * 3}</a>").count("small island") == 3


@pytest.mark.parametrize("anchor", ["<a href=#x>#</a>", "<a class=a href=#x>¶</a>", "<a href=#x>§</a>"])
def test_links_of_headings_to_themselves_are_left_out(anchor: str) -> None:
    assert text(f"<h2>Fares {anchor}</h2>{PROSE}").startswith("Fares\n")


def test_characters_of_icon_fonts_and_anchors_of_headings_are_left_out() -> None:
    found = text(f"<h2>Fares<a class=headerlink href=#a>¶</a></h2>{PROSE}<p>Call <i>\uf095</i> us.</p>")
    assert "¶" not in found and "\uf095" not in found and found.startswith("Fares\n")


LINKS = "".join(f"<li><a href=/{i}>Another story number {i} about ferries</a>" for i in range(8))


@pytest.mark.parametrize(
    "surrounding",
    [
        f"<nav><ul>{LINKS}</ul></nav>",
        f"<div id=sidebar><h3>Read</h3><ul>{LINKS}</ul></div>",
        f"<div class='related-posts'><p>{LINKS}</p></div>",
        f"<aside>{PROSE}</aside>",
        "<div class=cookie-consent>This site stores cookies to count its visitors</div>",
        f"<section class=comments>{'<p>I agree with all that was said here before.</p>' * 3}</section>",
        "<footer>All rights are reserved</footer>",
        "<div class=shareButtons>Share this on your favourite network</div>",
        f"<div><ul>{LINKS}</ul></div>",
        f"<ul>{LINKS.replace('<a', '<h4><a')}</ul>",
        "<title>The island | News</title>",
        "<div style='display: none'>A text that nobody sees</div>",
        "<div hidden>A text that nobody sees</div>",
        "<div style='DISPLAY : None'>A text that nobody sees</div>",
        "<div aria-hidden=True>A text that nobody sees</div>",
        "<p style='position: absolute; left: -9999px'>A text that nobody sees</p>",
        f"<div class='post-author'><p>{PROSE[3:90]}</p></div>",
        "<form><label>Your name</label><input value=name><button>Send it</button></form>",
    ],
)  # fmt: skip
@pytest.mark.parametrize("wrapper", ["div", "article", "main"])
def test_what_surrounds_the_content_is_left_out(surrounding: str, wrapper: str) -> None:
    content = f"<{wrapper}><h2>The island</h2>{PROSE * 8}</{wrapper}>"
    for body in (
        surrounding + content,
        content + surrounding,
        content.replace("</h2>", f"</h2>{surrounding}"),
    ):
        found = text(body)
        assert found.count("small island") == 8
        assert [line for line in found.split("\n") if line and "small island" not in line] in (
            [],
            ["The island"],
        )


def test_an_element_with_most_of_the_prose_is_kept_whatever_its_name() -> None:
    for name in ("comments", "sidebar", "footer", "popup", "related"):
        assert text(f"<div class={name}>{PROSE * 8}</div><div>{PROSE}</div>").count("small island") >= 8


def test_a_gallery_with_captions_is_kept() -> None:
    figure = "<figure><img><figcaption>The ferry at night.</figcaption></figure>"
    found = text(f"{PROSE * 3}<div class=photo-gallery>{figure}</div><div class=gallery>Next Back</div>")
    assert "The ferry at night." in found and "Next" not in found


@pytest.mark.parametrize("tag", ["span", "a", "abbr"])
def test_words_of_a_sentence_stay_whatever_the_name_of_their_element(tag: str) -> None:
    shares = (
        f"Shares of Apple (<{tag} class=ticker>AAPL</{tag}>) and <{tag} class=related>others</{tag}> rose."
    )
    labels = "<span class=byline>By Ann</span> | <span class=tags>News</span><b class=sr-only>of</b>"
    found = text(f"<p>{shares}</p><p>{labels}</p>{PROSE * 3}")
    assert "Apple (AAPL) and others rose." in found and not {"Ann", "News"} & set(found.split())


def test_a_short_page_all_of_whose_parts_have_names_of_other_things_is_kept() -> None:
    found = text(f"<div class=legal-history>{PROSE}</div><div class=meta-analysis>{PROSE}</div>")
    assert found.count("small island") == 2


@pytest.mark.parametrize("name", ["paywall", "rail-tall__wrapper", "subscription", "printonly", "widget"])
def test_the_column_of_the_article_is_kept_though_it_is_named_as_a_part(name: str) -> None:
    shares = f"<div class=share>{PROSE}</div>"
    found = text(f"<div class={name}>{PROSE * 8}{shares}</div><div>{PROSE}</div><aside>{PROSE * 9}</aside>")
    assert 8 <= found.count("small island") <= 9


@pytest.mark.parametrize("name", ["comments", "related-stories", "footer", "sidebar"])
def test_long_discussions_and_lists_of_other_stories_are_left_out(name: str) -> None:
    found = text(f"<div>{PROSE * 8}</div><div class={name}>{PROSE * 9}</div>")
    assert found.count("small island") == 8


@pytest.mark.parametrize("name", ["comment", "reply-body replies", "comments-list"])
def test_a_page_of_comments_is_their_text(name: str) -> None:
    said = (
        f"<div class={name!r}><div class=comment-meta>By a reader</div>{PROSE}<a class=share>Share</a></div>"
    )
    found = text(f"<h1>The ferry</h1><p>What do you think?</p><div id=comments>{said * 6}</div>")
    assert found.count("small island") == 6 and "By a reader" not in found and "Share" not in found


def test_short_sections_beside_a_long_one_are_kept() -> None:
    found = text(f"<section><h2>A</h2>{PROSE * 6}</section><section><h2>B</h2><p>It is so.</p></section>")
    assert found.endswith("B\n\nIt is so.")


@pytest.mark.parametrize(
    "hiding", ["style='display:none'", "hidden", "aria-hidden=true", "style='visibility: hidden'"]
)
def test_a_page_that_a_script_makes_visible_is_read(hiding: str) -> None:
    assert text(f"<div {hiding}>{PROSE * 3}</div><p>Loading</p>").count("small island") == 3


def test_prose_in_several_sections_is_kept() -> None:
    sections = "".join(f"<section><h2>Part {i}</h2>{PROSE * n}</section>" for i, n in enumerate((3, 20, 3)))
    found = text(sections)
    assert found.count("small island") == 26 and "Part 0" in found and "Part 2" in found


def test_tables_that_lay_a_page_out_give_paragraphs_and_others_rows() -> None:
    found = text(f"<table><tr><td><h2>Head</h2>{PROSE * 2}</td><td>{PROSE * 2}</td></tr></table>")
    assert " | " not in found and found.count("small island") == 4


def test_breaks_and_spaces_are_those_that_a_reader_sees() -> None:
    found = text(f"<div>{warcs.ARTICLE}One<br>two<br><br>three <b>four</b>\n  <i>five</i>,<b>six</b></div>")
    assert found.endswith("One\ntwo\n\nthree four five,six")
    assert "\n\n\n" not in found and not re.search("[ \t]\n", found)


@pytest.mark.parametrize(
    "hostile",
    [
        "<div>" * 19_000,
        "<ul><li>x" * 9_900,
        "<div>" * 500 + "<p><a href=a>menu</a></p>" * 24_000,
        "<div class=menu>" * 500 + "<ul class=nav><li><a>x</a></ul>" * 14_000,
        "<math>" * 400 + "<mi>x</mi>" * 45_000,
        "<span class=katex>" * 400 + "<annotation>x</annotation>" * 45_000,
        '<span class="MathJax">x</span>' * 24_000 + "<script type='math/tex'>x</script>" * 24_000,
        "<mjx-container></mjx-container>" * 49_000,
        "<table><tr><td>" * 120 + "x<td>y" * 40_000,
        "<article>" + "<p>" + "x" * 40 + "</p><article>" * 9_000,
        "<br>" * 99_000,
    ],
    ids=lambda markup: markup[:30],
)
@pytest.mark.timeout(120)
def test_hostile_markup_takes_seconds_at_most(hostile: str) -> None:
    assert isinstance(extract(hostile.encode(), ""), tuple | str)


def test_the_time_grows_with_the_length_of_a_page() -> None:
    rows = list(itertools.repeat(f"<div class=row><p>{PROSE}</p><ul><li><a href=a>x</a></ul></div>", 9000))
    assert text("".join(rows)).count("small island") == 9000
