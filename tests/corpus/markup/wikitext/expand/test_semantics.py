"""What MediaWiki makes of templates and parser functions: arguments, parts of a page, conditions."""

from collections.abc import Callable

import pytest
from corpus.markup.wikitext.wikis import wiki

from llama_core.corpus.markup.wikitext.page import Page

TEMPLATES = {
    "E": "{{{1}}}",
    "Ev": "{{{1|}}}",
    "N": "[{{{a}}}]",
    "D": "{{{1|{{{2|{{{x|none}}}}}}}}}",
    "Two": "{{{1}}}/{{{2}}}",
    "Sp": "[{{{1}}}][{{{n}}}]",
    "If": "{{#if:{{{1|}}}|yes|no}}",
    "If0": "{{#if:0|yes|no}}",
    "IfSp": "{{#if:  |yes|no}}",
    "Eq": "{{#ifeq:{{{1}}}|{{{2}}}|same|diff}}",
    "Sw": "{{#switch:{{{1}}}|a|b=AB|c=C|#default=D}}",
    "Sw2": "{{#switch:{{{1}}}|a=A|b=B|rest}}",
    "Sw3": "{{#switch:{{{1}}}|#default=D|a=A}}",
    "Sw4": "{{#switch:{{{1|}}}|=empty|x=X|other}}",
    "SwNum": "{{#switch:{{{1}}}|01=one|2.0=two|no}}",
    "Ex": "{{#expr:{{{1}}}}}",
    "IfEx": "{{#ifexpr:{{{1}}}|T|F}}",
    "IfErr": "{{#iferror:{{#expr:{{{1}}}}}|bad|good}}",
    "IfErr2": "{{#iferror:{{#expr:{{{1}}}}}|bad}}",
    "TP": "{{#titleparts:{{{1}}}|{{{2|}}}|{{{3|}}}}}",
    "Time": "{{#time:{{{1}}}|{{{2}}}}}",
    "Ref": "a{{#tag:ref|b}}c",
    "TagNW": "{{#tag:nowiki|''x''}}",
    "TagSpan": "{{#tag:span|x|class=y}}",
    "FN": "{{formatnum:{{{1}}}}}",
    "FNR": "{{formatnum:{{{1}}}|R}}",
    "LC": "{{lc:{{{1}}}}} {{uc:{{{1}}}}} {{ucfirst:{{{1}}}}} {{lcfirst:{{{1}}}}}",
    "Pad": "{{padleft:{{{1}}}|3}} {{padleft:{{{1}}}|3|x}} {{padright:{{{1}}}|3|ab}}",
    "Pl": "{{{1}}} {{plural:{{{1}}}|thing|things}}",
    "UE": "{{urlencode:a b}}",
    "PN": "{{PAGENAME}} {{NAMESPACE}} {{FULLPAGENAME}}",
    "Inc": "<noinclude>doc</noinclude>x<includeonly>y</includeonly>",
    "Only": "a<onlyinclude>b</onlyinclude>c",
    "Loop": "{{Loop}}",
    "Red": "->E",
    "Bang": "a{{!}}b",
    "Eqq": "x{{=}}y",
    "Par": "{{(}}x{{)}}",
    "Tbl": "{| class=x\n| {{{1}}}\n|}",
    "Sub": "{{subst:#if:{{{1|}}}|y|n}}",
    "Safe": "{{{{{|safesubst:}}}#if:{{{1|}}}|y|n}}",
    "Safe2": "{{safesubst:#if:{{{1|}}}|y|n}}",
    "SafeN": "{{safesubst:<noinclude/>#if:{{{1|}}}|y|n}}",
    "SafeT": "{{{{{|safesubst:}}}E|q}}",
    "Nest": "{{E|{{E|{{{1}}}}}}}",
    "Name": "{{{{{1}}}|{{{2}}}}}",
    "Dup": "{{{1}}}{{{1}}}",
    "Pos": "{{{3}}}{{{2}}}{{{1}}}",
    "WS": "{{#if: {{{1|}}} | [ {{{1}}} ] }}",
    "Unk": "{{{1}}}{{#invoke:X|y}}",
    "Comm": "{{{1<!-- c -->}}}",
    "NoArgDefault": "{{{foo|bar}}}",
    "IfIf": "{{#if:{{{a|}}}{{{b|}}}|{{{a|}}}{{#if:{{{a|}}}|{{#if:{{{b|}}}|, }}}}{{{b|}}}}}",
    "Day": "{{{1}}} {{#switch:{{lc:{{{2}}}}}|1|jan=January|2|feb=February|{{{2}}}}} {{{3}}}",
    "Cent": "{{#expr:({{{1}}}-1) div 100 round 0}}",
    "Ln": "[[{{{1}}}|{{{2|{{{1}}}}}}]]",
    "Ex2": "[http://x.example/{{urlencode:{{{1}}}}} {{{2}}}]",
    "B": "'''{{{1}}}'''",
    "I": "''{{{1}}}''",
    "Sm": "<small>{{{1}}}</small>",
    "Br": "a<br>b",
    "Hid": '<span style="display:none;">h</span>v',
    "Nop": '<span class="noprint">h</span>v',
    "Len": "{{#len:{{{1}}}}}",
    "StrSub": "{{#sub:{{{1}}}|1|2}}",
    "Invoke2": "{{#invoke:String|len|{{{1}}}}}",
    "Rep": "{{#replace:{{{1}}}|a|b}}",
    "Ifx": "{{#ifexist:{{{1}}}|[[{{{1}}}]]|{{{1}}}}}",
    "Case": "{{#switch:{{{1}}}|A=big|a=small}}",
    "NamedOnly": "{{{name}}} ({{{year|?}}})",
    "Numbered": "{{{1}}}, {{{2}}}",
    "IfeqNum": "{{#ifeq:{{{1}}}|1.0|one|not}}",
}  # fmt: skip


@pytest.fixture(scope="module")
def en() -> Callable[[str], Page]:
    return wiki("en", TEMPLATES)


@pytest.mark.parametrize(
    ("wikitext", "expected"),
    [
        ("x{{E|  a  }}y", "x a y"),
        ("x{{E|1=  a  }}y", "xay"),
        ("{{N|a= b }}", "[b]"),
        ("{{Two|2=b|1=a}} {{Two|a|1=z|b}} {{Two|a|b|1=z}}", "a/b z/b z/b"),
        ("{{E|a|1=b}} {{E|1=b|a}} {{E|a=1|2=x|y}}", "b a y"),
        ("{{E|x=1|y}}", "y"),
        ("{{If}} {{If|}} {{If| }} {{If|0}} {{If|x}} {{If0}} {{IfSp}}", "no no no yes yes yes no"),
        (
            "{{Eq|a|a}} {{Eq|a|A}} {{Eq|1|01}} {{Eq|1.0|1}} {{Eq| a|a }} {{Eq|1e3|1000}} {{Eq|a|1}}",
            "same diff same same same same diff",
        ),
        ("{{Sw|a}}{{Sw|b}}{{Sw|c}}{{Sw|d}}", "ABABCD"),
        ("{{Sw2|a}} {{Sw2|z}}", "A rest"),
        ("{{Sw3|a}} {{Sw3|q}}", "A D"),
        ("{{Sw4}} {{Sw4|x}} {{Sw4|y}}", "empty X other"),
        ("{{SwNum|1}} {{SwNum|2}} {{SwNum|3}}", "one two no"),
        (
            "{{Ex|1+1}} {{Ex|7/2}} {{Ex|2^10}} {{Ex|10 mod 3}} {{Ex|1/3 round 3}} {{Ex|1e-7}} {{Ex|trunc(-3.7)}} {{Ex|1000000*1000000}}",  # noqa: E501
            "2 3.5 1024 1 0.333 1.0E-7 -3 1000000000000",
        ),
        ("{{IfEx|1>2}} {{IfEx|2>1}} {{IfEx|}} {{IfEx|0}}", "F T F F"),
        ("{{IfErr|1+}} {{IfErr|1+1}} {{IfErr2|3*3}}", "bad good 9"),
        (
            "{{TP|A/B/C|1}} {{TP|A/B/C|2}} {{TP|A/B/C||2}} {{TP|A/B/C|-1}} {{TP|A/B/C|1|-1}}",
            "A A/B B/C A/B C",
        ),
        (
            "{{Time|j F Y|1999-12-31}}; {{Time|Y|31 December 1999}}; {{Time|d.m.y|Jan 5 2001}}; {{Time|F j, Y|5 January 2001}}",  # noqa: E501
            "31 December 1999; 1999; 05.01.01; January 5, 2001",
        ),
        ("{{Ref}} {{TagNW}} {{TagSpan}}", "ac ''x'' x"),
        (
            "{{FN|1234567.891}} {{FN|-1234}} {{FN|0.5}} {{FN|abc}} {{FNR|1,234.5}}",
            "1,234,567.891 −1,234 0.5 abc 1234.5",
        ),
        ("{{LC|éAb}}", "éab ÉAB ÉAb éAb"),
        ("{{Pad|7}} {{Pad|abcd}}", "007 xx7 7ab abcd abcd abcd"),
        ("{{Pl|1}} {{Pl|0}} {{Pl|2}}", "1 thing 0 things 2 things"),
        ("{{UE}}", "a+b"),
        ("{{PN}}", "The page The page"),
        ("{{Inc}} {{Only}}", "xy b"),
        ("a {{Loop}} b", "a b"),
        ("{{Red|x}} {{red|y}} {{Template:Red|z}} {{template: e |w}}", "x y z w"),
        ("{{Bang}} {{Eqq}} {{Par}}", "a|b x=y {x}"),
        ("x {{Tbl|1}} y", "x y"),
        ("{{Sub|x}} {{Safe|x}} {{Safe2}} {{SafeN|x}} {{SafeT}}", "y y n y q"),
        ("{{Nest|a}} {{Name|E|b}} {{Dup|ab}} {{Pos|a|b|c}}", "a b abab cba"),
        ("{{WS|a}}", "[ a ]"),
        ("a {{Unk|x}} b", "a b"),
        ("{{Comm|v}} {{NoArgDefault}}", "v bar"),
        (
            "{{Day|4|1|2000}} {{Day|5|FEB|2001}} {{Day|6|Mar|2002}}",
            "4 January 2000 5 February 2001 6 Mar 2002",
        ),
        ("{{Cent|1901}}. {{Ln|A}} {{Ln|A|b}}s {{Ex2|a b|c}}", "19. A bs c"),
        ("{{B|x}} {{I|y}} {{Sm|z}} {{Hid}} {{Nop}}", "x y z v v"),
        ("{{Br}}", "a\nb"),
        ("{{Len|abc}} {{StrSub|abcd}} {{Invoke2|abcd}} {{Rep|banana}}", "3 bc 4 bbnbnb"),
        ("{{Ifx|Foo}} {{Case|a}} {{Case|A}}", "Foo small big"),
        (
            "{{NamedOnly|name=A}} {{NamedOnly|name=A|year=1}} {{NamedOnly|name =  A B |year= 2 }}",
            "A (?) A (1) A B (2)",
        ),
        (
            '{{E|[[a|b]]}} {{E|{{E|c|d}}|e}} {{E|<ref name="a=b">x|y</ref>z}} {{E|<nowiki>a|b=c</nowiki>}}',
            "b c z a|b=c",
        ),
        ("{{E|http://a.example/?x=1}} end", "end"),
        ("{{E|1=http://a.example/?x=1 foo}} end", "foo end"),
        ("{{E|<math>a=b|c</math>}}", "$a=b|c$"),
        ("{{IfeqNum|1}} {{IfeqNum|1.}} {{IfeqNum|one}}", "one one not"),
        (
            "{{#if:x|a|b}} {{#if:|a|b}} {{#ifeq:1|1.0|y|n}} {{#switch:c|a=1|b=2|#default=3}} {{#expr:6*7}}",
            "a b y 3 42",
        ),
        ("{{ #if: x | a | b }}", "a"),
        ("{{uc:straße}} {{lc:ÀÉ}} {{ucfirst:élan}}", "STRASSE àé Élan"),
        ("{{formatnum:{{#expr:1000*2}}}}", "2,000"),
        ("{{#time:Y-m-d|2 Mar 2010}}", "2010-03-02"),
        ("{{#iferror:{{#expr:1/0}}|err|ok}}", "err"),
        ("{{NoSuch|a}} x", "x"),
        ("{{:The page}} x", "x"),
        ("{{../x}} y", "y"),
        ("{{E|a\n\nb}}", "a\n\nb"),
        ("{{Two|a|}}b", "a/b"),
        ("{{Numbered|  a|b  }}", "a, b"),
        ("{{E||2=x}}q", "q"),
        ("{{e|x}} {{ E |y}} {{E\n|z\n}}", "x y z"),
        ("{{E|1 = a = b }}", "a = b"),
        ("{{E|{{=}}}}{{E|a{{=}}b}}", "=a=b"),
        ("{{#switch: x | x = {{E|1}} | y = 2 }}", "1"),
        ("{{#ifexpr: 3 > 2 | [[a|b]] | c}}", "b"),
    ],
)
def test_a_template_gives_what_mediawiki_gives(
    wikitext: str, expected: str, en: Callable[[str], Page]
) -> None:
    assert en(wikitext).text == expected


@pytest.mark.parametrize(
    ("language", "wikitext", "expected"),
    [
        (
            "de",
            "{{#time:j. F Y|2001-03-04}} {{#time:l|2001-03-04}} {{formatnum:1234567.5}} {{formatnum:1.234,5|R}}",  # noqa: E501
            "4. März 2001 Sonntag 1.234.567,5 1234.5",
        ),
        (
            "uk",
            "{{#time:j xg Y|2001-03-04}} {{plural:2|рік|роки|років}} {{plural:5|рік|роки|років}}",
            "4 березня 2001 роки років",
        ),
        (
            "pl",
            "{{#time:j xg Y|2001-03-04}} {{plural:1|rok|lata|lat}} {{plural:3|rok|lata|lat}} {{plural:12|rok|lata|lat}} {{formatnum:1234}} {{formatnum:12345}}",  # noqa: E501
            "4 marca 2001 rok lata lat 1234 12 345",
        ),
        (
            "cs",
            "{{#time:j. xg Y|2001-03-04}} {{plural:1|rok|roky|let}} {{plural:3|rok|roky|let}} {{plural:5|rok|roky|let}} {{formatnum:12345}}",  # noqa: E501
            "4. března 2001 rok roky let 12 345",
        ),
        ("fr", "{{plural:0|an|ans}} {{plural:1|an|ans}} {{plural:2|an|ans}}", "an an ans"),
        (
            "ro",
            "{{plural:1|an|ani|de ani}} {{plural:2|an|ani|de ani}} {{plural:20|an|ani|de ani}}",
            "an ani de ani",
        ),
        (
            "sl",
            "{{plural:1|leto|leti|leta|let}} {{plural:2|leto|leti|leta|let}} {{plural:3|leto|leti|leta|let}} {{plural:5|leto|leti|leta|let}}",  # noqa: E501
            "leto leti leta let",
        ),
        ("hr", "{{plural:1|a|b|c}} {{plural:22|a|b|c}} {{plural:11|a|b|c}}", "a b c"),
        ("sr", "{{plural:1|a|b|c}} {{plural:22|a|b|c}} {{plural:11|a|b|c}}", "a b c"),
        ("de", "{{plural:1|Haus|Häuser}} {{plural:0|Haus|Häuser}}", "Haus Häuser"),
        ("en", "{{plural:1|a}} {{plural:2|a}} {{plural:0|0=none|one|many}}", "a a none"),
        (
            "es",
            "{{#time:j \\d\\e F \\d\\e Y|2001-03-04}} {{formatnum:1234}} {{formatnum:12345}}",
            "4 de marzo de 2001 1234 12 345",
        ),
        ("hu", "{{#time:Y. F j.|2001-03-04}}", "2001. március 4."),
        ("nl", "{{#time:j F Y|2001-03-04}} {{formatnum:1234}}", "4 maart 2001 1.234"),
        ("pt", '{{#time:j "de" F "de" Y|2001-03-04}}', "4 de março de 2001"),
        ("sv", "{{#time:j F Y|2001-03-04}} {{formatnum:1234}}", "4 mars 2001 1 234"),
        ("bg", "{{#time:j F Y|2001-03-04}} {{formatnum:1234.5}}", "4 март 2001 1234,5"),
        ("da", "{{#time:j. F Y|2001-03-04}}", "4. marts 2001"),
        ("hr", "{{#time:j. xg Y.|2001-03-04}}", "4. ožujka 2001."),
        ("sr", "{{#time:j. F Y.|2001-03-04}}", "4. март 2001."),
        ("sl", "{{#time:j. F Y|2001-03-04}}", "4. marec 2001"),
        ("ro", "{{#time:j F Y|2001-03-04}} {{formatnum:1234.5}}", "4 martie 2001 1.234,5"),
        (
            "en",
            "{{#time: xrY|1999}} {{#time:j F Y|12 May 1820|en}} {{#time:F|2000-05-01|fr}}",
            "MCMXCIX 12 May 1820 mai",
        ),
        (
            "ru",
            "{{#если:x|a|b}} {{#переключатель:b|a=1|b=2|#умолчание=3}} {{#еслиошибка:{{#expr:1/0}}|e|g}} {{#время:Y|2001-01-01}} {{МАЛЕНЬКИМИ_БУКВАМИ:АБ}} {{БОЛЬШИМИ_БУКВАМИ:аб}} {{НАЗВАНИЕ_СТРАНИЦЫ}} {{ФОРМАТИРОВАТЬ_ЧИСЛО:12345}}",  # noqa: E501
            "a 2 e 2001 аб АБ The page 12 345",
        ),
    ],
)
def test_functions_write_as_each_language_does_and_have_its_names(
    language: str, wikitext: str, expected: str
) -> None:
    assert wiki(language, {})(wikitext).text == expected
