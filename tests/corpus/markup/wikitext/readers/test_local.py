"""Templates by hand whose meaning depends on the language: the right words, or none."""

import pytest

from llama_core.corpus.markup.wikitext.page import read_page
from llama_core.corpus.markup.wikitext.readers.local import _FUNCTIONS, LOCAL


@pytest.mark.parametrize(
    ("language", "wikitext", "expected"),
    [
        # eras and centuries
        ("fr", "{{av JC|44}}, {{av. J.-C.}}, {{-s|IV|e}}, {{s2-|I|er|II|e}}, {{sp-|V|-|VI|e}}",
         "44 av. J.-C., av. J.-C., IVe siècle av. J.-C., Ier et IIe siècles, Ve–VIe siècles"),
        ("es", "{{siglo|iv|a. C.}}, {{siglo|V|d|s}}, {{siglo|xx||s}}, 5 {{ac}}",
         "siglo IV a. C., siglo V d. C., siglo XX, 5 a. C."),
        ("ca", "{{segle|IV|aC}} i {{segle|V|s}}, 3 {{aC}}", "segle IV aC i segle V, 3 aC"),
        ("pt", "{{séc|IV a.C.}}, {{-séc|V}}, {{séc|XIX}}", "século IV a.C., século V a.C., século XIX"),
        # numbers and money
        ("fr", "{{heure|4|30}}, {{heure|9}}, {{tmp|2|°C}}, {{dunité|2|3|m}}, {{euro|5}}, "
         "{{nombre romain|14}}",
         "4 h 30, 9 h, 2 °C, 2 × 3 m, 5 €, XIV"),
        ("it", "{{M|10||k|m}}, {{M|7|ul=km2}}, 2{{exp|-19}} J, {{converti|5|mi|km}}, {{€|5}}",
         "10 km, 7 km², 2×10^-19 J, 5 mi, 5 €"),
        ("de", "{{Bibel|Joh|3|16|EU}}, {{Bruch|1|2}}, {{§|823|bgb}} BGB, {{EUR|5}}",
         "Joh 3,16, 1/2, § 823 BGB, 5 €"),
        ("ru", "{{convert|5|mi|km}}, {{дробь|1|2}}, 3{{е|5}}, {{convert|3|sqmi|km2}}",
         "5 mi, 1/2, 3×10^5, 3 mi²"),
        ("en", "{{convert|1|mi}}, {{convert|3|acre|ha|adj=on}} wood, {{convert|1|/|2|in}}, {{convert|-5|C}}",
         "1 mile, 3-acre wood, 1/2 in, −5 °C"),
        ("en", "{{convert|2|mi|km|adj=mid|-long}}, {{convert|9|m|ft|adj=mid|-high}}, "
         "{{height|ft=6|in=2}}, {{height|m=1.9}}, x{{su|p=2|b=i}}",
         "2-mile-long, 9 m high, 6 ft 2 in, 1.9 m, xi²"),
        ("en", "{{convert|1|e6acre}}, {{convert|5|metre}}, {{ordinal|12}}, {{ord|21}}, {{currency|5|US}}",
         "1 million acres, 5 metres, 12th, 21st, US$5"),
        ("fr", "{{unité|1,5|million|d'habitants}}, {{unité|3|kW|h}}", "1,5 million d'habitants, 3 kW·h"),
        ("it", "{{M|400|a|2100|m s.l.m.}}, {{M|3|0,2|m}}", "400 a 2100 m s.l.m., 3±0,2 m"),
        ("en", "{{convert|3|kg/m3}}, {{convert|60|kph}}, {{convert|5|C-change}}", "3 kg/m³, 60 km/h, 5 °C"),
        ("en", "{{val|1.2e5|u=m}}, {{val|3e-8}}, cm{{esp|-3}}, {{tmath|x_1}}",
         "1.2×10^5 m, 3×10^-8, cm^-3, $x_1$"),
        # works and other scripts
        ("en", "{{harvnb|Boolos|Jeffrey|1974}}, {{harvsp|Boolos|1974}}, {{harv|Boolos|1974}}",
         "Boolos & Jeffrey 1974, Boolos 1974, (Boolos 1974)"),
        ("ru", "за{{'}}мок", "за\u0301мок"),
        ("en", "{{lang-zh|s=中国}}, {{lang-zh|中国}}, {{korean|hangul=한국|rr=Hanguk}}",
         "中国, 中国, 한국, Hanguk"),
        ("fr", "{{japonais|Go|碁|go}}", "Go (碁, go)"),
        # dates
        ("es", "{{fecha|5|mayo|2000}}", "5 de mayo de 2000"),
        ("cs", "{{datum|5|květen|2000}}", "5. května 2000"),
        ("fr", "{{date-|19 janvier}}, {{date|29 9 2019}}, {{date|3/2/1999}}",
         "19 janvier, 29 septembre 2019, 3 février 1999"),
        ("pt", "{{dni|5|5|2000}}, {{morte|1|2|1999|3|4|1930}}", "5 de maio de 2000, 1 de fevereiro de 1999"),
        ("fr", "{{date|1|janvier||en sport}}, {{date|5|mai|1900|en art}}", "1er janvier, 5 mai 1900"),
        ("en", "{{as of|2010|5|6|df=us}}, {{IPA|/x/|}}", "As of May 6, 2010, /x/"),
        ("it", "{{M|5|e=6||km}}", "5×10^6 km"),
        ("hu", "{{születési dátum|2000|5|5}}", "2000. május 5."),
        ("en", "{{birth year and age|1950}}, {{death year and age|1990|1920}}", "1950, 1990"),
        # marked words and quotations
        ("pl", "{{fakt|tak było|data=2017}}, {{kto|ktoś}}, {{link-interwiki|X|en|Y|tekst=z}}",
         "tak było, ktoś, z"),
        ("es", "{{cita requerida|dicen}}, {{cr|otros}}", "dicen, otros"),
        ("fr", "{{citation|Je pense}}, {{\"|oui}}, {{qui|certains}}, {{souverain2|Louis II (roi)}}",
         "« Je pense », « oui », certains, Louis II"),
        ("de", "{{\"|gut}}", "„gut“"),
        ("en", "{{\"|good}}, {{lit|word}}, {{gloss|word}}", "“good”, lit. 'word', 'word'"),
        ("fr", "{{Mme|Curie}}, {{84e|congrès}}, {{1er|acte}}, {{XXe siècle}}, {{n°|3}}, {{p.|5}}, {{etc.}}",
         "Mme Curie, 84e congrès, 1er acte, XXe siècle, n° 3, p. 5, etc."),
        # names
        ("en", "{{HMS|Ark Royal|91}}, {{USS|Iowa|BB-61|2}}, {{HMS|Hood||6}}, {{sortname|John|Doe}}",
         "HMS Ark Royal (91), USS Iowa, Hood, John Doe"),
        ("de", "{{SMS|Emden}}", "SMS Emden"),
        ("fr", "5 {{minus}} 3, {{MINUS:AB}}, {{NOMPAGE}}x", "5 − 3, ab, x"),
        ("en", "{{linktext|老|虎}}, {{nihongo|A|B||C}}, {{nihongo3|a|b|c}}, {{hover title|tip|word}}",
         "老虎, A (B, C), c (b, a), word"),
        ("en", "a {{plainlist|* b\n* c}} d", "a\n- b\n- c\nd"),
        ("en", "Rome{{small| (Italy)}} x{{nowrap|1= y }}z", "Rome (Italy) xyz"),
    ],
)  # fmt: skip
def test_a_call_says_what_it_says_in_its_language(language: str, wikitext: str, expected: str) -> None:
    assert read_page(wikitext, language=language).text == expected


@pytest.mark.parametrize(
    ("language", "call"),
    [
        ("it", "{{S|cinema}}"), ("it", "{{S|c}}"), ("it", "{{E|motivo|film}}"), ("it", "{{Cita|Rossi|2000}}"),
        ("pl", "{{u|uwaga}}"), ("pl", "{{odn|Nowak|2000}}"), ("ru", "{{flag|Россия}}"),
        ("da", "{{flag|Danmark}}"),
        ("en", "{{cn|May 2010}}"), ("fr", "{{m|II}}"), ("fr", "{{heure|x}}"), ("fr", "{{s2|XIX|z}}"),
        ("es", "{{siglo|XIX|?}}"), ("en", "{{ship|HMS|X|1900|3}}"), ("en", "{{sclass|X|cruiser|4}}"),
        ("en", "{{height|x=1}}"), ("en", "{{e|http://a.example/?b=1}}"), ("en", "{{birth date|1879|3|45}}"),
        ("en", "{{start date|2001|13}}"), ("de", "{{Bibel}}"), ("ru", "{{дробь}}"), ("en", "{{ordinal|x}}"),
        ("en", "{{US}}"), ("en", "{{convert|5|-|km}}"),
        ("en", "{{val|1|,|2}}"), ("en", "{{as of|now}}"),
        ("fr", "{{s|XIX|et XX}}"), ("fr", "{{date|12|mai|-52}}"),
        ("en", "{{frac|}}"), ("es", "{{ca}}"), ("it", "{{ms}}"),
        ("en", "{{su}}"), ("fr", "{{tmp}}"), ("fr", "{{date|30 fév}}"),
    ],
)  # fmt: skip
def test_a_call_of_which_the_value_is_not_sure_leaves_nothing(language: str, call: str) -> None:
    assert read_page(f"a {call} b", language=language).text == "a b"


def test_functions_of_the_tables_exist() -> None:
    named = {p[1:] for table in LOCAL.values() for p in table.values() if p.startswith("@")}
    assert named == _FUNCTIONS.keys()
