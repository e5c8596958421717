"""Modules in Lua, and the present day: what a definition gives that asks for them."""

import pytest
from corpus.markup.wikitext.wikis import wiki


@pytest.mark.parametrize(
    ("language", "definition", "call", "expected"),
    [
        ("sv", "{{#invoke:Convert|convert|{{{1}}}|mi|km}}", "{{x|5}}", "5 mi"),
        ("cs", "{{#invoke:Convert|convert|adj=on}}", "{{x|5|ft|m}}", "5 ft"),
        ("fr", "{{#invoke:Date|dateNaissance|{{{1}}}|{{{2}}}|{{{3}}}}}", "{{x|11|mai|1866}}", "11 mai 1866"),
        ("sl", "{{#invoke:Age|age}}", "{{x|1950|6|2|2000|3|4}}", "49"),
        ("en", "{{#invoke:Val|main|{{{1}}}|u={{{2}}}}}", "{{x|5|kg}}", "5 kg"),
        ("en", "{{#invoke:Wikidata|date|P569}}{{#invoke:Wikidata|unit|P2048}}", "{{x}}", ""),
        ("de", "{{{1}}}{{#invoke:Kategorie|x}} {{#invoke:Convert|convert|-5|C}}", "{{x|b}}", "b −5 °C"),
        ("en", "{{#invoke:Lang|lang|fr|{{{1}}}}}, {{#invoke:Nihongo|main}}", "{{x|b|c|d}}", "b, b (c, d)"),
        ("en", "{{#invoke:List|sort|b|a}}{{#invoke:Ustring|sub|abc|1|2}}", "{{x}}", ""),
        ("en", "{{#invoke:Math|round|5.5}}", "{{x}}", ""),
        ("en", "{{#invoke:Date|age|{{{1}}}|5|2}}", "{{x|1950}}", ""),
    ],
)
def test_a_function_of_a_module_is_read_as_the_template_of_its_name(
    language: str, definition: str, call: str, expected: str
) -> None:
    page = wiki(language, {"X": definition})(f"a {call}, b")
    assert page.text == f"a {expected}, b".replace(" ,", ",")


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ("{{CURRENTYEAR}}-{{CURRENTMONTH}}-{{CURRENTDAY2}}", "2001-03-04"),
        ("{{#expr:{{#time:Y}}-1950-({{#time:md}}<{{#time:md|1950-06-02}})}}", "50"),
        ("{{CURRENTDAYNAME}} {{#time:j F|now}} {{LOCALMONTHNAME}}", "Sunday 4 March March"),
        ("{{REVISIONYEAR}} {{CURRENTTIME}} {{CURRENTMONTHABBREV}}", "2001 05:06 Mar"),
        ("{{CURRENTWEEK}}{{CURRENTUSER}}", ""),
    ],
)
def test_the_present_day_is_that_of_the_page(definition: str, expected: str) -> None:
    read = wiki("en", {"X": definition})
    assert read("a {{x}}, b").text == f"a {expected}, b".replace(" ,", ",")


def test_words_that_are_no_date_are_an_error() -> None:
    read = wiki("en", {"X": "{{#iferror:{{#time:j F Y|{{{1}}}}}|{{{1}}}}}"})
    assert read("{{x|around 1850–1860}}, {{x|2001-05-04}}").text == "around 1850–1860, 4 May 2001"
