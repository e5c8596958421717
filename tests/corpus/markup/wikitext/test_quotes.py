"""Bold and italics: which quotes are marks and which are apostrophes."""

import pytest

from llama_core.corpus.markup.wikitext.page import read_page


@pytest.mark.parametrize(
    ("wikitext", "expected"),
    [
        # what parts two runs on the page parts them here
        ("''x''<sub>''i''</sub>, ''y''<sup>''z''</sup>''w''", "xi, y^zw"),
        ("''Title''<ref>a</ref>''Subtitle'', ''b''<ref name=x />''c''", "TitleSubtitle, bc"),
        ("''a''[[b]]''c'' and '''d'''[http://e.example f]''g''", "abc and dfg"),
        ("''a''<!-- -->b ''c''<nowiki/>''d''", "ab cd"),
        ("[[a|l']]''amour'' ''[[b|'c]]''", "l'amour 'c"),
        ("[[l''eau]] et [[x|y ''z'']]", "l''eau et y z"),
        ("[http://e.example/a.htm''La muerte'' (1901)] y [//e.example b]", "La muerte (1901) y b"),
        ("''a''{{lang|fr|''b''}}''c'' ''x''{{sub|''i''}}, {{nowrap|''d''{{small|''e''}}}}", "abc xi, de"),
        # four, and more than five
        ("l''''avion''' et ''''a''''", "l'avion et 'a'"),
        ("''''a''", "''a"),
        ("''''''a'''''' and '''''''b'''''''", "'a' and ''b''"),
        ("'''''a''' b'' and ''c '''d'''''", "a b and c d"),
        # an apostrophe before italics
        ("l'''amour'' est", "l'amour est"),
        ("d'''a'' '''b''' et '''c'''", "d'a b et c"),
        ("in '''X'' of l'''Y'''", "in X of l'Y"),
        ("in '''X'' of l'''Y''", "in X of lY"),
        ("'''a'' ", "'a"),
        ("&#39;&#39;a&#39;&#39;", "''a''"),
    ],
)
def test_quotes_are_read_as_mediawiki_reads_them(wikitext: str, expected: str) -> None:
    assert read_page(wikitext).text == expected
