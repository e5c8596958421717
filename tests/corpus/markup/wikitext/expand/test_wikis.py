"""Templates as the Wikipedias define theirs: units, dates, marked words and quotations without a program."""

import pytest
from corpus.markup.wikitext.wikis import wiki

WIKIS = [
    (
        "en",
        {"Birth date": '<span style="display:none">&nbsp;(<span '
        'class="bday">{{{1}}}-{{padleft:{{{2}}}|2|0}}-{{padleft:{{{3}}}|2|0}}</span>)&nbsp;</span>'
            '{{#if:{{{df|}}}|{{#time:j F Y|{{{1}}}-{{{2}}}-{{{3}}}}}|{{#time:F j, Y|{{{1}}}-{{{2}}'
            '}-{{{3}}}}}}}'},
        "born {{birth date|1970|1|2}} and {{Birth date|df=y|1970|01|02}}.",
        "born January 2, 1970 and 2 January 1970.",
    ),
    (
        "en",
        {"Abbr": '<abbr class="x" title="{{{2}}}">{{{1}}}</abbr>'},
        '{{abbr|MS|the "[[manuscript]]"}} and {{abbr|c.|circa}} 5',
        "MS and c. 5",
    ),
    (
        "pl",
        {"Fakt": '<span class="fakt" style="border-bottom: 1px dashed">{{{1|}}}</span><sup '
        'class="noprint">&#91;[[WP:WER|potrzebny '
        'przypis]]&#93;</sup>{{#if:{{NAMESPACE}}||[[Kategoria:Fakty]]}}'},
        "Tak {{fakt|było|data=2010}}{{Fakt}}, dalej.",
        "Tak było, dalej.",
    ),
    (
        "ru",
        {"Нет АИ 2": '<span style="border-bottom:1px dotted">{{{1}}}</span><sup '
        'class="ts-fix">&#91;<i '
        'title="x">[[ВП:АИ|источник&nbsp;не&nbsp;указан&nbsp;{{#expr:{{CURRENTYEAR}}-{{{2|2000}}}}'
            '}&nbsp;лет]]</i>&#93;</sup>'},
        "Он {{нет АИ 2|был|2010}} там.",
        "Он был там.",
    ),
    (
        "de",
        {"Höhe": '{{#if:{{{1|}}}|<span '
        'style="white-space:nowrap">{{formatnum:{{{1}}}}}&nbsp;{{#switch:{{{2|}}}|DE-NHN|DE-NN={{#if:{{{link|'
            '}}}|[[Meter über Normalhöhennull|m&nbsp;ü.&nbsp;NHN]]|m&nbsp;ü.&nbsp;NHN}}|CH=m&nbsp;ü.&nbsp;M.|'
            '#default=m}}</span>}}'},
        "Auf {{Höhe|1234|DE-NHN|link=1}} und {{Höhe|5|CH}}, {{Höhe|7}}.",
        "Auf 1.234 m ü. NHN und 5 m ü. M., 7 m.",
    ),
    (
        "it",
        {"Cn": '<span style="x">{{{1|}}}</span><sup class="noprint" '
        'title="{{{2|}}}"><small>&#91;<i>[[WP:CN|senza&nbsp;fonte]]</i>&#93;</small></sup>', "M":
          "{{formatnum:{{{1}}}}}{{#if:{{{2|}}}|&nbsp;±&nbsp;{{{2}}}}}&nbsp;{{{ul|{{{3|}}}}}}"},
        "Pesa {{M|1200||kg}}, {{M|3|0,2|m}} {{cn|circa}}.",
        "Pesa 1 200 kg, 3 ± 0,2 m circa.",
    ),
    (
        "es",
        {"Siglo": '{{#switch:{{{3|}}}|s=siglo&nbsp;|S=Siglo&nbsp;}}<span '
        'style="font-variant:small-caps;text-transform:lowercase">{{{1}}}</span>{{#switch:{{{2|}}}'
            '|a=&nbsp;a.&nbsp;C.|d=&nbsp;d.&nbsp;C.|}}'},
        "El {{siglo|IV|a|s}} y el siglo {{siglo|XX}}.",
        "El siglo IV a. C. y el siglo XX.",
    ),
    (
        "ca",
        {"Segle": "{{#ifeq:{{lc:{{{2|}}}}}|s|segle&nbsp;}}{{{1}}}"},
        "Al {{segle|XX|s}}.",
        "Al segle XX.",
    ),
    (
        "uk",
        {"Число": "{{formatnum:{{{1}}}}}{{#if:{{{2|}}}|&nbsp;{{{2}}}}}", "Років":
          "{{{1}}}&nbsp;{{plural:{{{1}}}|рік|роки|років}}"},
        "Має {{число|12345|км}} і {{років|23}}, {{років|11}}.",
        "Має 12 345 км і 23 роки, 11 років.",
    ),
    (
        "cs",
        {"Vjazyce": "[[{{#switch:{{{1}}}|en=angličtina|de=němčina|{{{1}}}}}|{{#switch:{{{1}}}|en=anglicky|"
            "de=německy}}]]", "Cizojazyčně": '<span lang="{{{1}}}">{{{2}}}</span>'},
        "({{Vjazyce|en}} {{cizojazyčně|en|word}})",
        "(anglicky word)",
    ),
    (
        "hu",
        {"Idézet": "„{{{1}}}”{{#if:{{{2|}}}|&nbsp;({{{2}}})}}"},
        "Azt mondta: {{idézet|szó|Ő}}.",
        "Azt mondta: „szó” (Ő).",
    ),
    (
        "nl",
        {"Bron?": '{{{1|}}}<sup class="noprint">[<i>[[WP:B|bron?]]</i>]</sup>'},
        "Het {{bron?|was zo|2010|1|1}} en{{bron?||2019}}.",
        "Het was zo en.",
    ),
    (
        "sv",
        {"Språk": '<span lang="{{{1}}}">{{{2}}}</span>', "Nowrap": "<span>{{{1}}}</span>"},
        "på {{språk|de|Wort}} {{nowrap|5 km}}",
        "på Wort 5 km",
    ),
    (
        "da",
        {"Kilde mangler": '<sup class="noprint">[<i>kilde mangler</i>]</sup>', "Citat": "»{{{1}}}«"},
        "a{{kilde mangler|dato=1}} {{citat|ord}}",
        "a »ord«",
    ),
    (
        "de",
        {
            "Zitat 2": '<templatestyles src="Z.css"/><div class="Vorlage_Zitat">\n<div style="margin:1em">'
            "„{{{1}}}“</div></div>",
            "Hinweis": '<div class="hinweis">{{{1}}}</div>',
        },
        "a\n{{Zitat 2|b}}\n{{Hinweis|c}}\nd{{Zitat 2#x|e}}",
        "a\n\n„b“\n\nd\n\n„e“",
    ),
    (
        "en",
        {"Frac": '{{{1}}}<span class="sr-only">+</span><span class="num">{{{2}}}</span>&frasl;{{{3}}}'},
        "a {{frac|3|1|2}} b",
        "a 3 1⁄2 b",
    ),
    ("it", {"'": "<nowiki/>'"}, "l{{'}}''Odissea'' e un{{'}}'''altra'''", "l'Odissea e un'altra"),
    ("de", {"Wbr": "<wbr />"}, "Donau{{wbr}}dampf{{shy}}schiff", "Donaudampfschiff"),
    (
        "ro",
        {"Secol": "secolul {{#ifeq:{{{1}}}|I|I|al {{{1}}}-lea}}"},
        "în {{secol|IX}}, {{Secol|I}}",
        "în secolul al IX-lea, secolul I",
    ),
    (
        "bg",
        {"Формат": "{{formatnum:{{{1}}}}}"},
        "{{формат|12345,6}} {{формат|1234567}}",
        "12 345,6 1 234 567",
    ),
    (
        "sl",
        {"Št": "št.&nbsp;{{{1}}}"},
        "glej {{št|5}}",
        "glej št. 5",
    ),
    (
        "hr",
        {"Jez": "''{{{2}}}''"},
        "({{jez|en|word}})",
        "(word)",
    ),
    (
        "pt",
        {"Séc": "{{#if:{{{1|}}}|século&nbsp;{{{1}}}}}", "Fmtn":
          "{{formatnum:{{{1}}}}}{{#if:{{{2|}}}|&nbsp;{{{2}}}}}"},
        "No {{séc|XX}}, {{fmtn|12345|km}}.",
        "No século XX, 12 345 km.",
    ),
    (
        "en",
        {"Sp": "{{{1}}}&#32;{{{2}}}", "Nl": "{{{1}}}\n\n{{{2}}}"},
        "{{sp|a|b}} {{nl|c|d}} e",
        "a b c\n\nd e",
    ),
    (
        "en",
        {"Row": "|-\n| {{{1}}} || {{{2}}}"},
        "a\n{|\n! h\n{{row|b|c}}\n|}\nd {{row|x|y}} e",
        "a\nd e",
    ),
    (
        "en",
        {"Start": "{|\n", "End": "|}"},
        "a\n{{start}}\n| b\n{{end}}\nc",
        "a\nc",
    ),
    (
        "en",
        {"Ib": "{| class=infobox\n! {{{name}}}\n|}"},
        "{{ib|name=X\n|y=[[z|w]]\n}}\n'''A''' is.",
        "A is.",
    ),
    (
        "en",
        {"If3": "{{#if:{{{1|}}}|{{{1}}}, }}{{#if:{{{2|}}}|{{{2}}}}}"},
        "{{if3|a|b}}",
        "a,b",
    ),
    (
        "en",
        {"Pg": "{{#ifeq:{{PAGENAME}}|The page|here|there}} "
        "{{#switch:{{NAMESPACENUMBER}}|0=art|#default=no}}"},
        "{{pg}}",
        "here art",
    ),
    (
        "en",
        {"Case": "{{lc:{{{1}}}}}{{uc:{{{2|x}}}}}"},
        "{{case|AB}}",
        "abX",
    ),
    (
        "en",
        {"Nw": "<nowiki>[</nowiki>{{{1}}}<nowiki>]</nowiki>", "Cm": "a<!-- {{{1}}} -->b"},
        "{{nw|x}} {{cm|y}}",
        "[x] ab",
    ),
    (
        "en",
        {"Rf": '{{{1}}}<ref name="{{{2}}}">{{{3|}}}</ref>', "Sfn": "<ref>{{{1}}} {{{2}}}</ref>"},
        "a{{sfn|B|2000}} {{rf|x|y|z}}.",
        "a x.",
    ),
    (
        "en",
        {"Ext": "[http://x.example/{{{1}}} {{{2|Site}}}]", "Url": "http://x.example/{{{1}}}"},
        "{{ext|a}}, {{ext|a|b}}, {{url|c}} d",
        "Site, b, d",
    ),
    (
        "en",
        {"Loop2": "{{Loop3}}", "Loop3": "x{{Loop2}}"},
        "a {{loop2}} b",
        "a b",
    ),
    (
        "en",
        {"D": "{{{d|{{{1|{{{2|z}}}}}}}}}"},
        "{{d}} {{d|d=1}} {{d|2=3}} {{d||x}}|",
        "z 1 3 |",
    ),
    (
        "en",
        {"Tr": "{{{1}}}", "Tr2": "{{tr| {{{1}}} }}", "Tr3": "{{tr|1= {{{1}}} }}"},
        "[{{tr2|a}}][{{tr3|a}}]",
        "[ a ][a]",
    ),
    (
        "en",
        {"X1": "{{#switch:{{{1}}}|a=1|a=2|b|c=3|d}}"},
        "{{x1|a}}{{x1|b}}{{x1|q}}",
        "13d",
    ),
    (
        "en",
        {"Year": "{{#ifexpr:{{{1}}}<0|{{#expr:-{{{1}}}}} BC|{{{1}}} AD}}"},
        "{{year|-44}} {{year|5}}",
        "44 BC 5 AD",
    ),
    (
        "en",
        {"Fmt": "{{formatnum:{{formatnum:{{{1}}}|R}}}}"},
        "{{fmt|12,345.60}}",
        "12,345.60",
    ),
    (
        "en",
        {"Rnd": "{{#expr:{{{1}}} round {{{2|0}}}}}"},
        "{{rnd|2.345|2}} {{rnd|1499|-3}} {{rnd|-0.5}}",
        "2.35 1000 -1",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("language", "templates", "wikitext", "expected"), WIKIS)
def test_a_wikis_own_definition_is_read(
    language: str, templates: dict[str, str], wikitext: str, expected: str
) -> None:
    text = wiki(language, templates)(wikitext).text
    assert text.replace("\u00a0", " ").replace("\u202f", " ") == expected
