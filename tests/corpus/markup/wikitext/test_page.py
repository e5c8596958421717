"""Wikitext to text: construct by construct, in the languages of the paper, and on pages meant to break it."""

import contextlib

import pytest
from corpus.helpers import takes_linear_time
from hypothesis import given, settings
from hypothesis import strategies as st

from llama_core.corpus.markup.wikitext.page import MAX_REFERENCES, read_page
from llama_core.corpus.markup.wikitext.tree import TooDeepError


def text(wikitext: str, language: str = "") -> str:
    return read_page(wikitext, language=language).text


@pytest.mark.parametrize(
    ("wikitext", "expected"),
    [
        # links
        ("[[Paris]] and [[Paris, Texas|another]] [[car]]s", "Paris and another cars"),
        ("[[:Category:Cats|cats]], [[:de:Katze]] and [[wikt:cat]]", "cats, Katze and cat"),
        ("[[Mercury (planet)|]] and [[#Orbit]]", "Mercury and Orbit"),
        ("Text [[de:Katze]][[Category:Cats]][[File:A.jpg|thumb|A [[cat]], ''asleep'']] goes on.",
         "Text goes on."),
        ("See [http://a.example/x the page], [https://b.example] and http://c.example/d.",
         "See the page, and."),
        ("a [[File:A.jpg|thumb|Of [http://a.example b]]] c [[[Rome|he]]] said, [http://a.example [[d]]]",
         "a c [he] said, d"),
        ("[http://a.example one [of two] pages] and [http://b.example [1]]", "one [of two] pages and [1]"),
        ("an [[unclosed link and [[Rome]]", "an unclosed link and Rome"),
        ("a [[link\nover lines]] stays", "a link\nover lines stays"),
        # bold, italics, headings, lists
        ("'''Bold''', ''italics'', '''''both''''' and l'''amour''", "Bold, italics, both and l'amour"),
        ("== History ==\nText.\n=== Empty ===\n== Next ==\nMore.", "History\n\nText.\n\nNext\n\nMore."),
        ("* a\n** b\n# c\n; term\n: said", "- a\n  - b\n- c\nterm\nsaid"),
        ("* \n*\n* {{flagicon|FR}} Paris\n* {{FRO}} (DEN)\n", "- Paris"),
        ("* {{cite book|title=A}}. First of a series.", "- First of a series."),
        ("before\n----\nafter", "before\nafter"),
        # templates
        ("{{Infobox|name=A|{{b|c}}}}\nText{{citation needed|date=May}}.", "Text."),
        ("'''A''' ({{lang-fr|Anne}}; {{IPA-fr|an|pron}}) is", "A (Anne; [an]) is"),
        ("'''A''' ({{pronounce|x}}; born 1900) is", "A (born 1900) is"),
        ("'''A''' ({{pronounce|x}}) is ({{x}}, {{y}}) here", "A is here"),
        ("{{convert|10|km|mi}}, {{convert|1|and(-)|2|kg}}, {{convert|3|e6carat}}",
         "10 km, 1 and 2 kg, 3 million carat"),
        ("{{val|1.5|e=-3|u=m}}, {{frac|1|2}}, {{nowrap|5 mm}}", "1.5×10^-3 m, 1/2, 5 mm"),
        ("one {{frac|x=1}}half", "one half"),
        ("{{as of|2015|6}} and {{circa|1900}} {{snd}}x", "As of June 2015 and c. 1900 – x"),
        ("{{harvtxt|Boolos|Jeffrey|1974}} say {{bibleverse|1|John|3:16}}",
         "Boolos & Jeffrey (1974) say 1 John 3:16"),
        ("no breaks{{clarify}}in it, {{x}}none", "no breaks in it, none"),
        ("{{unclosed|a=b\nThe text goes on.", "The text goes on."),
        ("{{{1|default}}} }} text", "default text"),
        ("{{lang|de|\n" + " " * 9 + "Wort}} {{" + " " * 9 + "x}}end", "Wort end"),
        # tables, comments, references, tags
        ("a\n{| class=x\n|-\n| b || c\n{|\n| d\n|}\n|}\ne", "a\ne"),
        ("a\n{| class=x\n| never closed", "a"),
        ("a\n{| class=x\n! b !! c\n! scope=col | d\n! e\n|-\n | f || g\n\nThe text goes on.",
         "a\n\nThe text goes on."),
        ("a {{center|{| class=x\n| b\n|}}} c", "a c"),
        ("a {{center|\n{| class=x\n| b {{d\n|}}\n|}}}{{e|f={{g\n|}}}} c", "a c"),
        ("! a !! b\n|-\n| c\n|}\n!Kung is a language!", "!Kung is a language!"),
        ("a <table class=x>\n<tr><td>b</td><td>c</td></tr>\n<TABLE><tr><td>d</td></tr></TABLE></table > e",
         "a\ne"),
        ("{{x|<table><tr><td>a</td></tr></table>}}b", "b"),
        ("a <table><tr><th>b<th>c<tr><td>never</td><td>closed</td>", "a\n\nb\nc\n\nnever\n\nclosed"),
        ("a<!-- {{ [[ -->b<ref>c {{d|e}}</ref><ref name=\"x\" /> f<ref name=y/ >.", "ab f."),
        ("a<br />b <small>c</small> <span style=\"x\">d</span> 1 < 2", "a\nb c d 1 < 2"),
        ("<!-- never closed {{", ""),
        ("a <ref>never closed\nb", "a never closed\nb"),
        ("<gallery>\nA.jpg|b\n</gallery>text __NOTOC____ИНДЕКС__", "text"),
        ("a (<phonos ipa=\"a\" />) is <phonos file=\"A.ogg\">b</phonos>, <ruby>c<rtc>d</rtc></ruby>",
         "a is b, cd"),
        ("&eacute; &nbsp;&amp;amp; &#8364; &#x20AC; &#99999999999;", "é &amp; € € \ufffd"),
        ("&copyright; &copy; &ampamp; &notin;", "&copyright; © &ampamp; ∉"),
        # formulas and code
        ("<math>a_1 +\n {{b}}</math> and <math display=\"block\">x</math>", "$a_1 + {{b}}$ and $$x$$"),
        ("<code>x[[1]]</code>, <nowiki>[[a]] {{b}} ''c''</nowiki>", "x1, [[a]] {{b}} ''c''"),
        ("<syntaxhighlight lang=\"c\">\nif (a < b) {\n\treturn {{1}};\n}\n</syntaxhighlight>",
         "if (a < b) {\n\treturn {{1}};\n}"),
        ("x<sup>2</sup> ''y''<sup>−1</sup> e<sup>''n''</sup> 4<sup>th</sup> H<sub>2</sub>O",
         "x² y^-1 e^n 4th H2O"),
    ],
)  # fmt: skip
def test_a_construct_becomes_its_words(wikitext: str, expected: str) -> None:
    assert text(wikitext) == expected


@pytest.mark.parametrize(
    ("language", "wikitext", "expected"),
    [
        ("de", "[[Datei:A.jpg|mini|hochkant|Ein ''Bild'']]\n'''A''' ({{enS|apple}}) ist {{\"|gut}}.\n"
               "== Siehe auch ==\n* [[B]]\n== Einzelnachweise ==\n<references />\n[[Kategorie:A]]",
         "A (apple) ist „gut“."),
        ("fr", "Au {{s-|XIX|e}}, {{unité|10|km}} ; {{citation|Je pense.}}"
         "\n== Notes et références ==\n{{Références}}",
         "Au XIXe siècle, 10 km ; « Je pense. »"),
        ("fr", "Au {{XIXe siècle}}, la {{1re}} fois, {{Mme}} Curie ; {{refnec|la tour|date=mai}}.",
         "Au XIXe siècle, la 1re fois, Mme Curie ; la tour."),
        ("ru", "{{OldStyleDate|14|мая|1896|2}}, {{iw|Дом|дома|en|House}}, ({{МФА|mɐ|a.ogg}})",
         "14 мая 1896, дома, (mɐ)"),
        ("cs", "německy {{Vjazyce2|de|Prag}}", "německy Prag"),
        ("ru", "'''А''' ({{lang-en|apple}}) — {{s|1990-х годов}} {{нп5|Б|слово|en|B}}.\n== Примечания ==\n"
               "{{примечания}}\n== Ссылки ==\n* [http://a.example А]"
               "\n[[Категория:А]] [[Файл:A.jpg|мини|подпись]]",
         "А (apple) — 1990-х годов слово."),
        ("sr", "'''А''' ({{јез-лат|a}}) је -{sr-ec:кафа; sr-el:kafa}-. [[Датотека:A.jpg|мини|десно|Опис]]\n"
               "== Види још ==\n* [[Б]]\n== Референце ==\n{{reflist}}\n[[Категорија:А]]",
         "А (a) је кафа."),
        ("uk", "'''А''' ({{lang-en|apple}}) — плід.\n[[Файл:A.jpg|міні|підпис]]\n== Див. також ==\n* [[Б]]\n"
               "== Примітки ==\n{{reflist}}\n[[Категорія:А]]", "А (apple) — плід."),
        ("bg", "'''А''' е плод. [[Картинка:A.jpg|мини|x]]\n== Външни препратки ==\n* x\n[[Категория:А]]",
         "А е плод."),
        ("pl", "'''A''' ({{lang|en|apple}}).[[Plik:A.jpg|mały|x]]\n== Zobacz też ==\n* x"
         "\n== Przypisy ==\nx\n[[Kategoria:A]]",
         "A (apple)."),
        ("fr", "Ses {{nombre|3000|habitants}} et {{nombre|12}} maires, {{nb|5|km}}, le {{n°|3}}, né le "
               "{{date|3 mai 1950|en sport}}, un {{lien|langue=en|trad=Writer|fr=Écrivain|texte=écrivain}} "
               "et {{lien|Jean|en|John}}, le {{date|1er|mai|1990}}.",
         "Ses 3000 habitants et 12 maires, 5 km, le n° 3, né le 3 mai 1950, un écrivain et Jean, "
         "le 1er mai 1990."),
        ("ro", "Un {{ill|en|John Doe}}, {{ill|Ion|de}}.", "Un John Doe, Ion."),
        ("pt", "Com {{fmtn|1000|habitantes}}.", "Com 1000 habitantes."),
        ("en", "{{ship|HMS|Victory||2}} and the {{sclass|Nimitz|aircraft carrier}}.",
         "HMS Victory and the Nimitz-class aircraft carrier."),
        ("ru", "Сын {{не переведено 3|Джон|Джона|en|John}}.", "Сын Джона."),
        ("pl", "Jak {{link-interwiki|Jan Kowalski|en}} w {{w języku|en|word}}.", "Jak Jan Kowalski w word."),
        ("sv", "Ord ({{språk|de|Wort}}).", "Ord (Wort)."),
        ("es", "El {{siglo|XIX||s}} {{versalita|XX}}.[[Archivo:A.jpg|miniatura|x]]"
         "\n== Véase también ==\n* x\n"
               "== Referencias ==\n{{listaref}}\n[[Categoría:A]]", "El siglo XIX XX."),
        ("pt", "Do {{séc|XIX}}.[[Ficheiro:A.jpg|thumb|x]]\n== Ver também ==\n* x"
         "\n== Ligações externas ==\n* x",
         "Do século XIX."),
        ("it", "Alto {{M|10|ul=km}}.[[Immagine:A.jpg|thumb|x]]\n== Voci correlate ==\nx"
         "\n== Collegamenti esterni ==\nx",
         "Alto 10 km."),
        ("nl",
         "Tekst.[[Bestand:A.jpg|miniatuur|x]]\n== Zie ook ==\n* x\n== Bronnen, noten en/of referenties ==\nx",
         "Tekst."),
        ("sv", "Text.[[Fil:A.jpg|miniatyr|x]]\n== Se även ==\n* x\n== Källor ==\nx\n== Externa länkar ==\nx",
         "Text."),
        ("cs", "Text ({{cizojazyčně|en|word}}).[[Soubor:A.jpg|náhled|x]]\n== Reference ==\nx"
         "\n== Externí odkazy ==\nx",
         "Text (word)."),
        ("hu", "Szöveg.[[Fájl:A.jpg|bélyegkép|x]]\n== Jegyzetek ==\n{{jegyzetek}}"
         "\n== További információk ==\nx",
         "Szöveg."),
        ("ro", "Text.[[Fișier:A.jpg|thumb|x]]\n== Note ==\nx\n== Legături externe ==\nx", "Text."),
        ("hr", "Tekst.[[Datoteka:A.jpg|mini|x]]\n== Izvori ==\nx\n== Vanjske poveznice ==\nx", "Tekst."),
        ("sl", "Besedilo.[[Slika:A.jpg|sličica|x]]\n== Glej tudi ==\nx\n== Zunanje povezave ==\nx",
         "Besedilo."),
        ("da", "Tekst.[[Fil:A.jpg|thumb|x]]\n== Se også ==\nx\n== Eksterne henvisninger ==\nx", "Tekst."),
        ("ca", "Al {{segle|XIX}}.[[Fitxer:A.jpg|miniatura|x]]\n== Vegeu també ==\nx\n== Referències ==\nx",
         "Al segle XIX."),
    ],
)  # fmt: skip
def test_each_languages_own_names_are_known(language: str, wikitext: str, expected: str) -> None:
    assert text(wikitext, language=language) == expected


@pytest.mark.parametrize(
    ("wikitext", "expected"),
    [
        ("-{sr-ec:кафа; sr-el:kafa}-", "кафа"),
        ("-{sr-el:kafa; sr-ec:кафа;}-", "кафа"),
        ("-{sr-latn:kafa; sr-cyrl:кафа}-", "кафа"),
        ("-{sr-el:kafa}-", "kafa"),
        ("-{sr-ec:а&nbsp;б; sr-el:a&nbsp;b}-", "а б"),
        ("-{A|sr-ec:кафа; sr-el:kafa}-", "кафа"),
        ("-{T;A|sr-ec:кафа; sr-el:kafa}-", "кафа"),
        ("а -{T|sr-ec:кафа; sr-el:kafa}- б", "а б"),
        ("а -{H|sr-ec:кафа; sr-el:kafa}- б", "а б"),
        ("а -{H;A|sr-ec:кафа; sr-el:kafa}- б", "а б"),
        ("а -{-|sr-ec:кафа; sr-el:kafa}- б", "а б"),
        ("-{D|sr-ec:кафа; sr-el:kafa}-", "српски (ћирилица):кафа;srpski (latinica):kafa;"),
        ("-{N|sr-el}-", "srpski (latinica)"),
        ("-{R|sr-ec:x}-, -{sr-el|y}-, -{Windows [x]}- и -{писмо|z}-", "sr-ec:x, y, Windows [x] и z"),
        ("-{[[Рим|Rim]]}-, -{{{lang|en|Rome}}}- и {{lang|en|-{R|Rome}-}}", "Rim, Rome и Rome"),
    ],
)
def test_serbian_is_read_as_it_is_shown_to_who_chose_no_script(wikitext: str, expected: str) -> None:
    assert text(wikitext, language="sr") == expected


@pytest.mark.parametrize("language", ["de", "en", "hr"])
def test_braces_between_hyphens_are_text_where_there_is_one_script(language: str) -> None:
    name = "2-{[(4-Chlorphenyl)(2-pyridinyl)]methoxy}-N,N-dimethylethanamin"
    assert text(name, language=language) == name


@pytest.mark.parametrize(
    "switch",
    [
        "__NOTOC__", "__notoc__", "__INDEX__", "__EXPECTED_UNCONNECTED_PAGE__", "__БЕЗСЪДЪРЖАНИЕ__",
        "__SECCIÓNOEDITABLE__", "__VŽDYOBSAH__", "__KEIN_INHALTSVERZEICHNIS__", "__FORZAR_TDC__",
        "__AUCUNSOMMAIRE__", "__BEZSADRŽAJA__", "__NINCSTJ__", "__NOINDICE__", "__INHOUD_DWINGEN__",
        "__BEZSPISU__", "__SEMSUMÁRIO__", "__FARACUPRINS__", "__БЕЗ_ОГЛ__", "__без_огл__",
        "__BREZKAZALAVSEBINE__", "__БЕЗ_САДРЖАЈА__", "__BEZ_SADRŽAJA__", "__INGENINNEHÅLLSFÖRTECKNING__",
        "__БЕЗ_ЗМІСТУ__",
    ],
)  # fmt: skip
def test_switches_of_mediawiki_are_no_words(switch: str) -> None:
    assert text(f"a {switch}{switch} b") == "a b"


@pytest.mark.parametrize("name", ["__FILE__", "__LINE__", "__init__", "__index__", "__END__", "__NO TOC__"])
def test_names_between_underscores_that_are_no_switches_stay(name: str) -> None:
    assert text(f"a {name} b") == f"a {name} b"


@pytest.mark.parametrize("code", ["cho", "ho", "hz", "ii", "kj", "kr", "mh", "mo", "mus", "nb", "ng", "jp"])
def test_links_to_wikipedias_of_old_codes_are_no_words(code: str) -> None:
    assert text(f"a [[{code}:A]]") == "a"


@pytest.mark.parametrize("namespace", ["Fişier", "Fișier", "Медија", "Multimédia"])
def test_other_spellings_of_the_namespace_of_pictures_are_known(namespace: str) -> None:
    assert text(f"a [[{namespace}:A.jpg|thumb|b]]") == "a"


def test_namespaces_that_only_the_dump_names_are_hidden_too() -> None:
    page = read_page("Text [[Tiedosto:A.jpg|thumb|kuva]][[Luokka:A]].", hidden={"tiedosto", "luokka"})
    assert page.text == "Text."


PROSE = "It began with ballads, and [[novels]] came late."


@pytest.mark.parametrize(
    "inside",
    [
        f"=== Literature cited ===\n{PROSE}",
        f"==== Sources ====\n{PROSE}\n* [[Ballads]]\n* [[Novels]]",
        f"=== Notes ===\n==== Ballads ====\n{PROSE}",
    ],
)
def test_prose_under_a_name_of_a_list_of_links_stays_inside_of_another_section(inside: str) -> None:
    assert PROSE.replace("[[novels]]", "novels") in text(f"== Culture ==\nText.\n{inside}\n== Sports ==\nb")


@pytest.mark.parametrize(
    "inside",
    [
        "=== See also ===\n* [[Ballads]]\n* [[Novels]]",
        "=== Literature cited ===\nA selection.\n# [[Ballads]], 1900\n# [[Novels]], 1901",
        "==== Notes ====\n:1. Of ballads.\n:2. Of novels.",
        "=== Further reading ===\n==== Books ====\n* [[Ballads]]\n==== Papers ====\n* [[Novels]]",
        "=== References ===\n{{reflist}}",
    ],
)
def test_a_list_of_links_goes_inside_of_another_section_too(inside: str) -> None:
    found = text(f"== Culture ==\nText.\n{inside}\n== Sports ==\nb")
    assert found == "Culture\n\nText.\n\nSports\n\nb"


@pytest.mark.parametrize("body", [PROSE, "* [[Ballads]]"])
def test_a_section_of_links_goes_whatever_it_holds(body: str) -> None:
    assert text(f"Text.\n== Further reading ==\n{body}\n=== Books ===\n{body}\n== Sports ==\nb") == (
        "Text.\n\nSports\n\nb"
    )


def test_the_pages_that_an_article_cites_are_its_outside_addresses_in_order() -> None:
    page = read_page(
        "a<ref>{{cite web|url=http://one.example/a?b=1&amp;c=2|title=x}}</ref> "
        "b<ref>[https://two.example/x. Title], see http://one.example/a?b=1&amp;c=2</ref> "
        "c<ref>[http://web.archive.org/web/2010/http://three.example/ old]</ref> "
        "d<ref>https://en.wikipedia.org/wiki/X ftp://four.example/ http://localhost/ http://[bad/</ref>"
        "{{reflist|refs=<ref>''http://five.example/''</ref>}}\n"
        "== External links ==\n* http://not-cited.example/"
    )
    assert page.references == [
        "http://one.example/a?b=1&c=2",
        "https://two.example/x",
        "http://three.example/",
        "http://five.example/",
    ]


def test_the_references_of_a_page_are_bounded() -> None:
    cited = "".join(f"<ref>http://a.example/{i}</ref>" for i in range(2 * MAX_REFERENCES))
    assert len(read_page(cited).references) == MAX_REFERENCES


def test_a_page_nested_deeper_than_mediawiki_reads_is_refused() -> None:
    assert text("{{lc:" * 90 + "deep" + "}}" * 90) == "deep"
    with pytest.raises(TooDeepError):
        read_page("{{" * 200)


RUNS = [
    "{{", "[[", "<ref", "<ref>", "{|", "\n{|", "<!--", "<!---->", "\n<!---->"
     "\n", "'''", "=", "==", "|", "\n|", "[//",
    "[http://", "&#", "&#1", "<code>''", "<code>", "<math>", "<nowiki>", "<sup>", "*", ""
     "\n*", ";", ":", "-{", "}}",
    "]]", "{{a|", "[[a|", "{{{", "}}}", "''", "(", "(;", "http://a", "<ref>http://a", "<b ", "[[File:",
    "{{a}}",
    '<b "', '<b "<" ', "<tt>*", "{{{!}}", "\n{{{!}}", "\n{{!}}}", "{{{a\n|}}}", "[[a|''", "{{=}}", "{{a=",
    "{{{{", "}}}}", "{{{1|", "{{{{{1}}", "http://a.b/(", "http://a.b/)", "http://a.b...",
    "{{a}}(", "({{a}}", "({{a}};", "{{a\n|", "<gallery>", "{{cite_a|http://", "__A", "\n==a=="
     "\n", "\x03", "\x01",
    " ", "\n", "\t", "<table>", "</table>", "<table ", "<table><tr><td>", "\n!", "\n! a !! b",
    "\n{|\n!", "<ref     ", "<ref /     ", "[//a [b]", "[//a [",
    "[//[b] ", "]]]", "[[[", "[[[a]]]", "\n|}}}", "|{|\n", "{{a|{|\n|}}}",
    "\n===notes===\n", "\n===notes===\n====notes====\n* a\n",
]  # fmt: skip
WRAPPED = [
    "{{a|%s}}",
    "{{convert|%s}}",
    "{{convert|1|%s}}",
    "[[a|%s]]",
    "<ref>%s</ref>",
    "<code>''%s</code>",
    "==%s==",
]


@pytest.mark.parametrize("run", RUNS)
def test_time_is_linear_in_pages_of_one_mark(run: str) -> None:
    for end in ("", "</ref></code></math>-->}}]]\n|}"):

        def read(size: int, end: str = end) -> None:
            with contextlib.suppress(TooDeepError):
                read_page((run * size)[:size] + end, language="sr")

        assert takes_linear_time(read, 20_000), end


@pytest.mark.parametrize(
    "opening", ["<ref", '<ref name="a" /', "<math", "<table", "<sup", "[//", "{{", "|{|"]
)
def test_time_is_linear_in_the_spaces_after_an_opening(opening: str) -> None:
    assert takes_linear_time(lambda size: read_page(opening + " " * size), 4_000)


@pytest.mark.parametrize("around", WRAPPED)
@pytest.mark.parametrize("run", [" ", "a", "1", "1,", "=", "a=", "|", "'", "(", "\n", "http://a.b/", "<"])
def test_time_is_linear_in_long_arguments(around: str, run: str) -> None:
    assert takes_linear_time(lambda size: read_page(around % (run * size)[:size]), 10_000)


MARKS = st.sampled_from([
    "{{", "}}", "[[", "]]", "{|", "|}", "|", "<ref>", "</ref>", "<!--", "-->", "'''", "''", "==", "*", "#",
    ":", ";", "=",
    "lang", "cite", "File:", "<math>", "</math>", "<code>", "</code>", "<sup>", "</sup>", "&amp;", "&#60;",
    "http://a.b",
    "(", ")", ",", "-{", "}-", "__TOC__", "<br/>", "<nowiki>", "</nowiki>", "convert", "1", "2", "km", " ",
    "\n", "\n|",
    "\n*", "\n==", "é", "\x00", "\x01", "\x03", "\ud800",
])  # fmt: skip


@given(parts=st.lists(MARKS | st.text(max_size=3), max_size=40))
@settings(deadline=None)
def test_any_page_becomes_text_without_the_readers_own_marks(parts: list[str]) -> None:
    page = read_page("".join(parts), "Title", language="sr")
    assert not set(page.text) & set(map(chr, range(1, 9)))
    assert page.text == page.text.strip()


@given(words=st.lists(st.from_regex(r"[A-Za-zäöüß]{1,9}[.,]?", fullmatch=True), min_size=1, max_size=30))
def test_plain_words_stay_as_they_are(words: list[str]) -> None:
    assert text(" ".join(words)) == " ".join(words)
