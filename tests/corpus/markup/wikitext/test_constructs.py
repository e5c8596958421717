"""What comes out wrong if it is not read in MediaWiki's order: arguments, tags, tables, addresses."""

import pytest

from llama_core.corpus.markup.wikitext.page import read_page


def text(wikitext: str) -> str:
    return read_page(wikitext).text


@pytest.mark.parametrize(
    ("wikitext", "expected"),
    [
        ("{{nowrap|a {{=}} b}}, {{small|[[c|d=e]]}}, {{nowrap|{{lang|de|x=y}} f}}", "a = b, d=e, f"),
        ("{{lang|de|[[Wort=Ding]]}} {{small|{{{a|b=c}}}}} {{lang|de|2=Tag}}", "Wort=Ding b=c Tag"),
        ("{{nowrap|x {{!}} y}} and {{nowrap|1=p=q}}", "x | y and p=q"),
        ("{{nowrap|{{lang|en|2=a=b}}}} [[c{{!}}d]]", "a=b d"),
    ],
)
def test_arguments_are_split_before_what_is_in_them_is_expanded(wikitext: str, expected: str) -> None:
    assert text(wikitext) == expected


@pytest.mark.parametrize(
    ("wikitext", "expected"),
    [
        ("a<ref name=x <!-- y -->b</ref>c", "ac"),
        ('a<ref group=<b>2</ref>3<REF name="<i">d</ref>e', "a3e"),
        ('1<span title="a<b">4</span><gallery mode=<x>\nA.jpg\n</gallery> 5', "14 5"),
        ("<nowiki foo=<bar>''a''</nowiki> <math alt=\"x<y\">x</math>", "''a'' $x$"),
    ],
)
def test_a_start_tag_may_hold_a_less_than_sign(wikitext: str, expected: str) -> None:
    assert text(wikitext) == expected


@pytest.mark.parametrize(
    ("wikitext", "expected"),
    [
        ("<tt>a<sup>2</sup></tt> <code>[[b|c]] ''d''</code> <kbd>{{nowrap|e}}</kbd>", "a² c d e"),
        ("<samp><b>x</b></samp> <code>if a &lt;b&gt; c</code>", "x if a <b> c"),
        ("<pre><b>x</b></pre> <nowiki><b>y</b></nowiki>", "<b>x</b>\n<b>y</b>"),
        ("<syntaxhighlight lang=xml inline><b>z</b></syntaxhighlight> <code><nowiki><i></nowiki></code>",
         "<b>z</b> <i>"),
        ("<nowiki/>* a\n<ref>x</ref># b\n''<nowiki />''* c", "* a\n# b\n* c"),
        ("<code>#include</code>\n<tt>* a</tt>\n<b>== c ==</b>", "#include\n* a\n== c =="),
    ],
)  # fmt: skip
def test_tags_in_code_are_markup_but_where_mediawiki_reads_none(wikitext: str, expected: str) -> None:
    assert text(wikitext) == expected


@pytest.mark.parametrize(
    "wikitext",
    [
        "a\n{{{!}} class=x\n{{!}} b {{!}}{{!}} c\n{{!}}-\n{{!}} d\n{{!}}}\ne",
        "a\n{{(!}} class=x\n{{!}} b\n{{!)}}\ne",
        "{{x|\n{{{!}}\n{{!}} b\n{{!}}}\n}}a\n:{{{!}}\n! c\n{{!}}}\ne",
        "a\n{{{!}}\n{{!}} b {{nowrap|c}}\n{{{!}}\n{{!}} d\n{{!}}}\n{{!}}}\ne",
    ],
)
def test_a_table_whose_bars_are_calls_is_a_table(wikitext: str) -> None:
    assert text(wikitext) == "a\ne"


@pytest.mark.parametrize(
    ("wikitext", "expected"),
    [
        ("Colours: {{ubl|red|green}} and more", "Colours:\n- red\n- green\nand more"),
        ("* of\n* {{bulleted list|a|b}}\nend", "- of\n- a\n- b\nend"),
        ("a {{plainlist|\n* b\n* c\n}} d", "a\n- b\n- c\nd"),
        ("early {{lang|grk|*Apel}}", "early *Apel"),
    ],
)
def test_a_list_template_has_lines_of_its_own(wikitext: str, expected: str) -> None:
    assert text(wikitext) == expected


@pytest.mark.parametrize(
    ("wikitext", "expected"),
    [
        ("See http://a.example/b_(c), (http://a.example/d) or http://a.example/e_(f)_g.", "See, or."),
        ("See <http://a.example/b>, or (<http://a.example/c>).", "See, or."),
        ("At (http://a.example/b_(c)) or (see http://a.example/d).", "At or (see)."),
        ("At http://a.example/b_(c) and ''http://a.example/d''.", "At and."),
        ("Here http://a.example/x_(y)\n(see: http://a.example/z).", "Here\n(see)."),
    ],
)
def test_an_address_ends_with_a_bracket_that_it_opens(wikitext: str, expected: str) -> None:
    assert text(wikitext) == expected


def test_a_cited_address_keeps_a_bracket_that_it_opens() -> None:
    cited = "<ref>http://a.example/b_(c). (http://a.example/d) {{cite web|url=http://a.example/(e)}}</ref>"
    found = ["http://a.example/b_(c)", "http://a.example/d", "http://a.example/(e)"]
    assert read_page(cited).references == found


@pytest.mark.parametrize(
    ("formula", "expected"),
    [(r"a\ ", "$a$"), (r"b\\", r"$b\\$"), (r"c \\\ ", r"$c \\$"), (r"\ ", ""), ("d\\\n", "$d$")],
)
def test_a_formula_does_not_end_in_a_backslash_that_escapes_the_dollar(formula: str, expected: str) -> None:
    assert text(f"x <math>{formula}</math>") == f"x {expected}".strip()
