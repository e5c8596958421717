"""Templates expanded by their definitions: as MediaWiki does it, and never to a value that is not known."""

import time
from collections.abc import Callable

import pytest
from corpus.markup.wikitext.wikis import wiki

from llama_core.corpus.markup.wikitext.page import Page

EN = {
    "Nowrap": '<span class="nowrap">{{{1}}}</span><noinclude>{{Documentation}}</noinclude>',
    "Nobr": "->Nowrap",
    "Year range": "{{{1}}}–{{#ifeq:{{#expr:trunc({{{1}}}/100)}}|{{#expr:trunc({{{2}}}/100)}}"
    "|{{padleft:{{#expr:{{{2}}} mod 100}}|2|0}}|{{{2}}}}}",
    "Ordinal": "{{{1}}}{{#switch:{{#expr:{{{1}}} mod 100}}|11|12|13=th|#default="
    "{{#switch:{{#expr:{{{1}}} mod 10}}|1=st|2=nd|3=rd|th}}}}",
    "Greet": "{{{greeting|Hello}}}, {{{1|{{{name|world}}}}}}!",
    "Call": "{{{{{1}}}|{{{2|}}}}}",
    "Safe": "{{{{{|safesubst:}}}#if:{{{1|}}}|yes {{{1}}}|no}}",
    "Only": "before<onlyinclude>inside</onlyinclude>after<onlyinclude>{{{1|}}}</onlyinclude>",
    "Included": "<includeonly>{{{1}}}</includeonly><noinclude>{{{1}}} is an argument",
    "Commented": "a<!-- b\n\n -->c\n<!-- a line -->\n",
    "Said": "{{#if:{{{1|}}}|{{#ifeq:{{lc:{{{1}}}}}|us|American|{{ucfirst:{{{1}}}}}}}|nobody}}",
    "Link": "[[{{{1}}}|{{#if:{{{2|}}}|{{{2}}}|{{{1}}}}}]]{{#if:{{{3|}}}|&nbsp;({{{3}}})}}",
    "Exists": "{{#ifexist:{{{1}}}|[[{{{1}}}|{{{2}}}]]|{{{2}}}}}",
    "Exists2": "{{#ifexist:{{{1}}}|there|{{{2}}}}}",
    "Day": "{{#time:j F Y|{{{1}}}}}",
    "Raw": "<nowiki>{{{1}}} '''x'''</nowiki>",
    "Note": "{{{1}}}<ref>{{{2}}}</ref>{{#tag:ref|b|name=x}}",
    "Fact": "<sup class=\"noprint Inline-Template\">[''[[WP:CN|citation needed]]'']</sup>",
    "When": "<sup>&#91;''[[WP:W|when?]]''&#93;</sup>",
    "Refs": "<references />",
    "Foot": '<sup id="F{{{1}}}">{{{1}}}</sup>',
    "Foot2": "<sup>[[#n{{{1}}}|{{{1}}}]]</sup>",
    "See": "''See also: [[{{{1}}}]]''",
    "Key": '<span style="display:none">0010</span>{{{1}}}',
    "Box": '{| class="x"\n| {{{1}}}\n|}',
    "Aside": '<div class="quotebox">{{{1}}}</div>',
    "Main": ":''Main article: [[{{{1}}}]]''",
    "Cat": "[[Category:{{{1}}}]]",
    "Two lines": "* {{{1}}}\n* {{{2}}}",
    "Lua": "{{#invoke:Anything|main}}",
    "Half Lua": "{{{1}}} {{#invoke:Units|of|{{{1}}}}}",
    "Convert": "{{#invoke:convert|convert}}",
    "Age": "{{#expr:{{CURRENTYEAR}}-{{{1}}}}}",
    "Red": "a {{No such template|b}}",
    "Cut": "{{#invoke:String|sub|{{{1}}}|2|-2}}{{#invoke:Check for unknown parameters|check|unknown=}}",
    "If unknown": "{{#if:{{{1|}}}|known|unknown}}",
    "Wrong": "{{#expr:1+}}",
    "Self": "{{PAGENAME}} in {{NAMESPACE}}:{{#ifeq:{{NAMESPACE}}||articles}}",
    "Bare": "{{{1}}}",
    "Twice": "{{{1}}} {{{1}}}",
    "Half": '<span class="frac"><sup>{{{1}}}</sup>&frasl;<sub>{{{2}}}</sub></span>',
    "Space": "&nbsp;",
    "Main other": "{{#switch:{{#ifeq:{{NAMESPACE}}|{{ns:0}}|main|other}}|main={{{1|}}}|other={{{2|}}}}}",
    "Tracked": "{{{1}}}{{main other|[[Category:{{{1}}}]]}}",
    "Interlanguage": "[[{{{1}}}]]<small>&nbsp;([[:de:{{{2}}}|de]])</small>",
    "Main2": ":[[File:A.png|20px]] <i>Main article: [[{{{1}}}]]</i>",
    "Long": "{{{1}}}" + "word " * 2000,
    "Break": "<br />",
    "Flag": "[[File:Flag of {{{1}}}.svg|23px]]&nbsp;[[{{{1}}}]]",
    "Icon": "[[File:Flag of {{{1}}}.svg|23px]]&nbsp;",
}


@pytest.fixture(scope="module")
def en() -> Callable[[str], Page]:
    return wiki("en", EN)


@pytest.mark.parametrize(
    ("wikitext", "expected"),
    [
        ("{{nowrap|a [[b]]}}, {{Nobr|c}}, {{template:nowrap|d}}, {{ nowrap\n|e\n}}.", "a b, c, d, e."),
        ("{{year range|1943|1945}}, {{year range|1899|1901}}, {{year range|1900|1904}}",
         "1943–45, 1899–1901, 1900–04"),
        ("{{ordinal|1}} {{ordinal|12}} {{ordinal|23}} {{ordinal|111}}", "1st 12th 23rd 111th"),
        ("{{greet}} {{greet|Ann}} {{greet|name=Bob|greeting= Hi }} {{greet||greeting=Hey}}",
         "Hello, world! Hello, Ann! Hi, Bob! Hey, !"),
        ("{{call|ordinal|3}} {{call|nowrap|{{greet|x}}}}", "3rd Hello, x!"),
        ("{{safe}} {{safe|a}} {{safesubst:safe|b}}", "no yes a yes b"),
        ("{{only|!}} {{included|x}} {{commented}}d", "inside! x acd"),
        ("{{said}} {{said|US}} {{said|ann}}", "nobody American Ann"),
        ("{{link|Rome}} {{link|Rome|it}} {{link|Rome||city}}", "Rome it Rome (city)"),
        ("{{exists|Rome|the city}} and {{exists2|Rome|no}} end", "the city and end"),
        ("{{day|2001-05-04}}, {{day|4 May 2001}}, {{day|May 4, 2001}} {{day|now}}.",
         "4 May 2001, 4 May 2001, 4 May 2001 4 March 2001."),
        ("{{raw}} {{note|a|b}}.", "{{{1}}} '''x''' a."),
        ("a{{fact}} b{{when}}, {{key|10}} c", "a b, 10 c"),
        ("a ({{refs}}) b", "a b"),
        ("a{{foot|1}} b{{foot2|2}}\n{{see|c}}\nthe {{see|d}}.", "a b\nthe See also: d."),
        ("a {{nowrap|b{{fact}} c}} {{nowrap|{{box|d}}}} e", "a b c e"),
        ("a\n{{box|b}}\n{{aside|c}}\n{{main|d}}\n{{cat|e}}\nf {{cat|g}} h", "a\nf h"),
        ("of {{two lines|a|b}} and", "of\n- a\n- b\nand"),
        ("a {{lua|b}} c {{half lua|5}} d {{convert|5|km|mi}} e {{age|1990}} f {{red}} g",
         "a c d 5 km e 11 f g"),
        ("{{cut|abcd}} {{self}} {{wrong}} z", "bc The page in :articles z"),
        ("{{if unknown|{{lua}}}} {{if unknown|{{nowrap|x}}}}", "known"),
        ("{{bare}} {{bare|1=a=b}} {{bare|<span style=\"x\">c</span>}} {{bare|{{=}}}}", "a=b c ="),
        ("''a''{{bare|''b''}} {{twice|[[a|b]] {{ordinal|2}}}}", "a'b b 2nd b 2nd"),
        ("{{half|1|2}} a{{space}}(b){{break}}c", "1⁄2 a (b)\nc"),
        ("In {{flag|France}}, {{icon|Italy}}[[Rome]].", "In France, Rome."),
        ("{{tracked|a}} {{interlanguage|Jan|Johann}}, b.\n{{main2|c}}", "a Jan, b."),
        ("[[a{{!}}b]] {{#if:x|{{#switch:b|a=1|b=2}}}} {{lc:ABC}} {{#ifexpr:2>1|more}} {{formatnum:12345.6}}",
         "b 2 abc more 12,345.6"),
    ],
)  # fmt: skip
def test_a_call_becomes_what_its_definition_says(
    wikitext: str, expected: str, en: Callable[[str], Page]
) -> None:
    assert en(wikitext).text == expected


def test_characters_that_the_reader_uses_itself_do_not_come_in_by_a_definition() -> None:
    assert wiki("en", {"A": "x\x01\x000\x02\x03\x05y\r"})("{{a}}").text.replace("\0", "") == "x0y"


def test_outcomes_of_calls_are_counted(en: Callable[[str], Page]) -> None:
    page = en(
        "{{nowrap|a {{ordinal|1}}}} {{convert|5|km}} {{box|b}} {{fact}} {{lua}} {{nothing of that name}}"
    )
    assert page.outcomes == {"expanded": 1, "by_hand": 1, "dropped": 2, "unknown": 1, "undefined": 1}


def test_what_is_dropped_is_not_expanded_first() -> None:
    read = wiki("en", {"A": "{{#if:{{{never|}}}|{{{1}}}|b}}"})
    started = time.process_time()
    assert read("{{a|" * 40 + "x" + "}}" * 40).text == "b"
    assert time.process_time() - started < 1


def test_what_templates_add_to_a_page_is_bounded(en: Callable[[str], Page]) -> None:
    assert 1_000_000 < len(en("{{long|a}} and " * 1000).text) < 2_200_000
    assert len(en(" ".join(f"{{{{long|{i}}}}}" for i in range(1000))).text) < 2_200_000


BOMBS = {
    "Loop": "a{{Loop}}",
    "Ping": "{{Pong|{{{1}}}}}",
    "Pong": "{{Ping|{{{1}}}}}",
    "Ten": "{{{1}}}" * 10,
    "Bomb": "{{Ten|{{Ten|{{Ten|{{Ten|{{Ten|{{Ten|{{Ten|lol}}}}}}}}}}}}}}",
    "Many": "{{One}}" * 2000,
    "One": "{{Half}}{{Half}}" * 20,
    "Half": "x" * 100,
    "Deep": "{{#if:x|" * 60 + "y" + "}}" * 60,
    "Wide": "{{padleft:|500|{{{1}}}}}" * 300,
    "A": "->B",
    "B": "->A",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_definition_made_to_grow_is_given_up(name: str) -> None:
    started = time.process_time()
    page = wiki("en", BOMBS)(f"before {{{{{name}|x}}}} after\n" * 5)
    assert time.process_time() - started < 5
    assert page.text.startswith("before") and len(page.text) < 400_000


OTHERS = [
    ("fr", {"Date de décès": "->Date de mort",
            "Date de mort": "{{#if:{{{2|}}}|{{date|{{{1}}}|{{{2}}}|{{{3}}}}}|{{{1}}}}}",
            "Date": "{{#invoke:Date|modeleDate}}",
            "Unité": "{{formatnum:{{{1}}}}}&nbsp;{{{2}}}{{#if:{{{3|}}}|<sup>{{{3}}}</sup>}}{{{4|}}}",
            "Lien": "[[{{{fr}}}|{{{texte|{{{fr}}}}}}]]"
            '&nbsp;<span class="noprint">([[:en:{{{trad}}}|en]])</span>'},
     "Mort le {{date de décès|2|mai|1900}}, long de {{unité|10236|m|3|/s}}, dit {{lien|trad=J|fr=Jean}}.",
     "Mort le 2 mai 1900, long de 10 236 m³/s, dit Jean."),
    ("it", {"M s.l.m.": '<span style="white-space:nowrap">[[Metri sul livello|m s.l.m.]]</span>',
            "Cn": "->Citazione necessaria",
            "Citazione necessaria": "<span>{{{1|}}}</span><sup>&#91;''[[WP|senza&nbsp;fonte]]''&#93;</sup>"
            "{{#ifeq:{{NAMESPACE}}||[[Categoria:Senza fonte]]}}"},
     "Alto 400 {{m s.l.m.}} e {{cn|molto bello}}.", "Alto 400 m s.l.m. e molto bello."),
    ("ru", {"Лет": "{{{1}}}&nbsp;{{#switch:{{#expr:{{{1}}} mod 10}}|1=год|2|3|4=года|#default=лет}}",
            "Нет АИ": "->Fix", "Fix": '<sup class="noprint">[<i>источник?</i>]</sup>'},
     "Ему {{лет|42}}{{нет АИ|1|2}}, ей {{лет|25}}.", "Ему 42 года, ей 25 лет."),
    ("de", {"Zahl": "{{formatnum:{{{1}}}}}", "Hauptartikel": '<div class="hauptartikel">→ [[{{{1}}}]]</div>',
            "Jahrhundert": "{{{1}}}.&nbsp;Jahrhundert{{#if:{{{v|}}}|&nbsp;v.&nbsp;Chr.}}"},
     "{{Hauptartikel|Rom}}\nEs sind {{Vorlage:Zahl|12345.5}} im {{Jahrhundert|3|v=1}}",
     "Es sind 12.345,5 im 3. Jahrhundert v. Chr."),
    ("pl", {"Dziennie": "{{#time:j xg Y|{{{1}}}}}"}, "Dnia {{dziennie|2001-05-04}}.", "Dnia 4 maja 2001."),
    ("es", {"Esd": "<span>{{{1}}}</span>",
            "Siglo": "siglo&nbsp;{{uc:{{{1}}}}}{{#if:{{{2|}}}|&nbsp;{{{2}}}}}"},
     "En el {{siglo|xix|a. C.}} y {{Plantilla:Esd|10 km}}.", "En el siglo XIX a. C. y 10 km."),
    ("fr", {"N°": "<abbr title=\"numéro\">n<sup>o</sup></abbr>&nbsp;{{{1}}}", "1er": "1<sup>er</sup>"},
     "Le {{n°|3}} et le {{1er}}.", "Le n° 3 et le 1er."),
    ("sr", {"Јез": "-{{{2}}}-"}, "Реч {{јез|en|word}}.", "Реч -word-."),
]  # fmt: skip


@pytest.mark.parametrize(("language", "templates", "wikitext", "expected"), OTHERS)
def test_wikis_of_other_languages_define_theirs_alike(
    language: str, templates: dict[str, str], wikitext: str, expected: str
) -> None:
    assert wiki(language, templates)(wikitext).text == expected
