"""Templates that are programs on their wikis: what is read from the call alone, and what is not."""

import pytest

from llama_core.corpus.markup.wikitext.page import read_page


@pytest.mark.parametrize(
    ("language", "call", "expected"),
    [
        # dates
        ("en", "{{birth date|1970|1|2}}", "January 2, 1970"),
        ("en", "{{birth date and age|df=yes|1970|01|02}}", "2 January 1970"),
        ("en", "{{dts|1999|Dec|31}}, {{dts|1999|6}}, {{dts|1999}}", "December 31, 1999, June 1999, 1999"),
        ("en", "{{start date|1999-12-31}}, {{film date|1999|6|3|Cannes}}", "December 31, 1999, June 3, 1999"),
        ("en", "{{death-date and age|3 March 1901|1 April 1850}}", "3 March 1901"),
        ("en", "{{death date and age|1901|3|4|1850|4|1}}", "March 4, 1901"),
        ("fr", "{{date de naissance|1|5|1950}} et {{date de décès|3|juin|1999}}",
         "1er mai 1950 et 3 juin 1999"),
        ("fr", "{{date|14 juillet 1789|en France}}, {{date|juin|1999}}", "14 juillet 1789, juin 1999"),
        ("ru", "{{дата|1|5|1945}}, {{дата рождения|3|7|1880}}", "1 мая 1945, 3 июля 1880"),
        ("es", "{{fecha|3|7|1880}} y {{fecha de inicio|1990|2|1}}",
         "3 de julio de 1880 y 1 de febrero de 1990"),
        ("de", "{{Datum|2|3|1900}}", "2. März 1900"),
        ("hu", "{{dátum|1900|3|2}}", "1900. március 2."),
        ("pl", "{{data|2|10|1900}}", "2 października 1900"),
        ("hr", "{{datum rođenja|1900|11|2}}", "2. studenoga 1900."),
        ("cs", "{{datum narození a věk|1900|11|2}}", "2. listopadu 1900"),
        ("en", "{{age|1950|6|2|2000|3|4}} {{age in years|1 June 1950}}", "49"),
        ("fr", "{{âge|1er|mai|1866|21|mai|1936}}", "70"),
        ("es", "{{edad|11|5|1866|10|5|1936}}", "69 años"),
        ("pl", "{{wiek|1950-06-02|2000-06-02}} {{wiek|2000-01-01|1950-01-01}}", "50"),
        # numbers and units
        ("en", "{{coord|51|30|N|0|7|W}}, {{coord|1|2|3|S|4|5|6|E|type:city}}, {{coord|51.5|-0.12}}",
         "51°30′N 0°7′W, 1°2′3″S 4°5′6″E, 51.5°N 0.12°W"),
        ("en", "a {{coord|1|N|2|E|display=title}}{{coord|1|2|N|3|E}}{{coord|x|N|2|E}} b", "a b"),
        ("en", "{{nihongo4|Kage|影}}, {{nihongo|Kage|影|kage}}", "Kage (影), Kage (影, kage)"),
        ("es", "{{coord|40|24|N|3|41|W|region:ES}}", "40°24′N 3°41′O"),
        ("ru", "{{coord|55|45|N|37|37|E}} {{OldStyleDate|5|3|1950}}", "55°45′ с. ш. 37°37′ в. д."),
        ("ro", "{{convert|22|to|25|C|F}}{{convert|1|and|2|km|mi}}; {{convert|2|x|3|m}}", "22–25 °C; 2 × 3 m"),
        ("ca", "{{unitats|10|km2}}", "10 km²"),
        ("de", "{{EnS|house}}, {{enS|cat}}", "house, cat"),
        ("en", "{{in lang|fr}}; {{in lang|en|fr|DE}}; {{in lang|fr|tlh}}",
         "(in French); (in English, French and German);"),
        ("fr", "{{unité|12|m|3|/s}}, {{unité|7|N|m}}, {{unité|5|km|-1}}", "12 m³/s, 7 N·m, 5 km^-1"),
        ("fr", "{{unité|de 3|à 5|km}}, {{unité|1.5|e=3|kg}}", "de 3 à 5 km, 1.5×10^3 kg"),
        ("es", "{{unidad|25|km|2}}", "25 km²"),
        ("it", "{{M|3|0,2|m}}, {{M|10||km}}, {{M|5|ul=kg}}", "3±0,2 m, 10 km, 5 kg"),
        ("ro", "{{conversie|3|–|4|m}}, {{conversie|5|km2}}", "3–4 m, 5 km²"),
        ("nl", "{{convert|3|tot|4|km}}", "3 tot 4 km"),
        ("en", "{{val|3|x|4|u=m}}, {{val|2.5|0.2|0.1}}, {{val|7|(2)|e=5}}",
         "3 × 4 m, 2.5 +0.2 −0.1, 7(2)×10^5"),
        ("en", "{{currency|5|GBP}}, {{currency|7|SEK}}, {{INRConvert|3|c}}, {{JPY|40}}",
         "£5, 7 SEK, ₹3 crore, ¥40"),
        ("en", "{{dash year|1914|1918}}; {{née|Doe}}; {{rquote|left|Words|A.}}", "1914–1918; née Doe; Words"),
        ("en", "{{convert|400|koilbbl/d}}, {{convert|2|Moilbbl}}",
         "400 thousand barrels per day, 2 million barrels"),
        ("en", "{{convert|4|to|6|ft|0}}, {{convert|9|lb|1|abbr=on}}, {{convert|6|ft|2|in|cm|0}}",
         "4 to 6 ft, 9 lb, 6 ft 2 in"),
        ("fr", "{{unité|12|×|6|cm}}, {{unité|2|à|4|kg}}, {{unité|7|-|9|m|2}}, {{unité|3|et=4|km}}",
         "12 × 6 cm, 2 à 4 kg, 7–9 m², 3 et 4 km"),
        ("fr", "{{unité|50|±=3|W}}", "50 ± 3 W"),
        ("es", "{{unidad|8|a|9|km}}", "8 a 9 km"),
        ("ru", "{{num|1200|км}}", "1200 км"),
        ("en", "{{circa|1701|1703}}; {{reign|1714|1727}}; {{fl.|1650}}; {{dts|1999|12|31|format=dmy}}",
         "c. 1701 – c. 1703; r. 1714–1727; fl. 1650; 31 December 1999"),
        ("en", "{{currency|amount=12|type=GBP}}", "£12"),
        # words
        ("en", "{{rtl-lang|ar|b}}, {{native name|fr|c}}, {{abbrlink|UK|Union}}, {{key press|Ctrl|C}}",
         "b, c, UK, Ctrl+C"),
        ("en", "{{resize|80%|small}}, {{resize|less}}", "small, less"),
        ("fr", "{{passage évasif|certains|date=mai}} le disent{{quand|date=mai}}.", "certains le disent."),
        ("it", "{{cn|testo}} {{chiarire|altro|chi?}} {{colore|blue|blu}}", "testo altro blu"),
    ],
)  # fmt: skip
def test_a_call_says_its_value(language: str, call: str, expected: str) -> None:
    assert read_page(call, language=language).text == expected


@pytest.mark.parametrize(
    "call",
    [
        "{{convert|10|km|mi|disp=output only}}",
        "{{birth date|4|5|6|7}}",
        "{{date|en sport}}",
        "{{fecha|enero}}",
        "{{start and end dates|1990|1|2|1991|3|4}}",
        "{{dts|0|May|77}}",
        "{{lang|de}}",
        "{{currency}}",
        "{{dash year|then|now}}",
        "{{INRConvert|3|zz}}",
    ],
)
def test_a_call_without_a_sure_value_leaves_nothing(call: str) -> None:
    assert read_page(f"a {call} b").text == "a b"
