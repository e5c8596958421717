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


@pytest.mark.parametrize(
    "code",
    [
        "<pre><code><b class=hljs-meta>@cache</b>\n<b class=hljs-comment># why</b>\nx</code></pre>",
        "<pre><span class='token comment'># why</span> <span class='token tag'>@cache</span></pre>",
        "<pre><span class=lineno>1</span>@cache <span class=cm-comment># why</span></pre>",
        "<p>Type <code class=comments># why</code> and <code class=search>@cache</code>.</p>",
    ],
)
def test_names_inside_code_say_what_the_code_means(code: str) -> None:
    found = text(f"{PROSE * 3}{code}{PROSE * 3}")
    assert "# why" in found and "@cache" in found and "1" not in found


@pytest.mark.parametrize("name", ["search", "comments", "print", "related", "menu", "tags"])
@pytest.mark.parametrize(
    "markup",
    [
        "<h2 id={0}>The head</h2><p>Its text.</p>",
        "<section id={0}><h2>The head<a class=headerlink href=#{0}>¶</a></h2><p>Its text.</p></section>",
        "<dl><dt id={0}>The head</dt><dd>Its text.</dd></dl>",
        "<ul><li id={0}>The head</li><li>Its text.</li></ul>",
    ],
)
def test_an_id_that_is_made_of_a_heading_names_no_part_of_the_site(name: str, markup: str) -> None:
    found = text(f"{PROSE * 3}{markup.format(name)}{PROSE * 3}")
    assert "The head" in found and "Its text." in found


@pytest.mark.parametrize(
    "names",
    [
        "field field--label-hidden field__item",
        "overflow-hidden",
        "hidden md:block",
        "post has-post-thumbnail category-ads tag-print",
        "wrap no-sidebar",
        "with-sidebar",
    ],
)
def test_what_a_class_says_of_something_else_is_no_name(names: str) -> None:
    assert "A short text." in text(f"{PROSE * 3}<div class='{names}'><p>A short text.</p></div>{PROSE * 3}")


def test_a_short_page_keeps_its_parts() -> None:
    body = (
        "<main><div class=title><h1><a href=#>Rope</a></h1></div><div><span>€29.90</span></div>"
        f"<div class=text>{PROSE}</div><div><p>Made of hemp.</p></div></main>"
    )
    assert text(body).startswith("Rope\n\n€29.90\n\n") and text(body).endswith("Made of hemp.")


@pytest.mark.parametrize("shape", ["<div class=post id=p{}>", "<article class='post odd' id=post-{}>"])
def test_short_answers_in_a_forum_are_kept_with_the_long_question(shape: str) -> None:
    tag = shape[1:].split()[0]
    posts = [PROSE * 9, "<a href=u>ann</a><p>Yes, it goes there.</p>", "<a href=u>bob</a><p>No, never.</p>"]
    found = text("<main>" + "".join(f"{shape.format(i)}{p}</{tag}>" for i, p in enumerate(posts)) + "</main>")
    assert "Yes, it goes there." in found and "No, never." in found


@pytest.mark.parametrize(
    "markup", ["<h3>Read more</h3><ul id=a>{}</ul>", "<div><h3>More</h3></div><ul id=a>{}</ul>"]
)
def test_the_heading_of_a_list_that_is_left_out_goes_with_it(markup: str) -> None:
    links = "".join(f"<li><a href=/{i}>Another story of the island {i}</a></li>" for i in range(9))
    found = text(f"<h2>Fares</h2>{PROSE * 6}<h2>Part</h2><h3>Sub</h3>{PROSE}{markup.format(links)}")
    assert "more" not in found.lower() and found.startswith("Fares") and "Part\n\nSub" in found


@pytest.mark.parametrize("name", ["note", "admonition warning", "quote no-group", "footnote-list brackets"])
def test_asides_that_are_notes_are_read(name: str) -> None:
    assert "Mind the gap." in text(f"{PROSE * 6}<aside class='{name}'><p>Mind the gap.</p></aside>{PROSE}")


@pytest.mark.parametrize(
    "markup",
    [
        "<h3><button>When?</button></h3><div>At noon.</div>",
        "<h3><button aria-controls=a>When?</button></h3><div id=a hidden>At noon.</div>",
        '<h3>When?<button>Copy</button></h3><div id=b style="display:none">At noon.</div><a aria-controls=b>',
        "<h3>When?</h3><div role=tabpanel hidden>At noon.</div>",
    ],
)
def test_what_a_button_unfolds_is_read_with_its_title(markup: str) -> None:
    found = text(f"{PROSE * 6}{markup}")
    assert found.endswith("When?\n\nAt noon.") and "Copy" not in found


def test_rows_with_text_in_one_cell_are_no_table_and_fractions_keep_their_slash() -> None:
    rows = "".join(f"<tr><td></td><td>{word}</td></tr>" for word in ("One.", "Two."))
    half = "<span class=num>1</span><span class=sr-only>/</span><span class=den>2</span>"
    found = text(f"{PROSE}<table>{rows}</table><p>It is {half} mile.</p>")
    assert "|" not in found and "One." in found and found.endswith("It is 1/2 mile.")
