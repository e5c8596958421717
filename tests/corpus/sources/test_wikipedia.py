"""Wikipedia dumps to documents: which pages are articles, of which language, and what broken ones become."""

import gzip
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from corpus.dumps import PACKINGS, PROSE, head, multistream, page, wiki
from corpus.helpers import SAMPLES, documents_in, documents_of, is_conserved, left_out, needs_samples
from corpus.sources.residues import residues, table

from llama_core.artifact import Artifact
from llama_core.corpus.document import Outcome, Quarantined
from llama_core.corpus.formats import streams
from llama_core.corpus.formats.xml_stream import Elements, parse
from llama_core.corpus.recipe import LANGUAGES, Wikipedia
from llama_core.corpus.sources import wikipedia
from llama_core.corpus.sources.raw import raw_file
from llama_core.errors import InputError

DUMP = SAMPLES / "wikipedia" / "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"
FIXTURE = wiki(
    page(1, "Äpfel & Birnen", f"'''Äpfel''' sind [[Obst]].<ref>http://obst.example/a</ref> {PROSE}"),
    page(2, "Apfel", "#WEITERLEITUNG [[Äpfel & Birnen]]", redirect="Äpfel & Birnen"),
    page(3, "Diskussion:Apfel", PROSE, ns=1),
    page(4, "Apfel (Begriffsklärung)", f"* [[A]]\n{{{{Begriffsklärung}}}} {PROSE}"),
    page(5, "Stummel", "Kurz."),
    page(6, "Modul:Apfel", PROSE, ns=828, model="Scribunto"),
    page(7, "Daten", '{"a": 1}', model="json"),
    page(8, "Gelöscht", ""),
    page(9, "Obst", PROSE),
)
EXPECTED = Counter(
    {"document": 2, "redirect": 1, "namespace_1": 1, "disambiguation": 1, "too_short": 1}
    | {"namespace_828": 1, "not_wikitext": 1, "empty": 1}
)


def read_path(path: Path) -> list[Outcome]:
    source = Wikipedia(kind="wikipedia")
    return [*wikipedia.read("wiki", source, raw_file(source, str(path)))]


@pytest.fixture(scope="module")
def sample() -> list[Outcome]:
    return read_path(DUMP)


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., list[Outcome]]:
    def outcomes(
        data: bytes, name: str = "dewiki-20220601-pages-articles.xml", **fields: object
    ) -> list[Outcome]:
        (tmp_path / name).write_bytes(data)
        source = Wikipedia(kind="wikipedia", **fields)
        return [*wikipedia.read("wiki", source, raw_file(source, f"file://{tmp_path}/{name}"))]

    return outcomes


def names(outcomes: list[Outcome]) -> Counter[str]:
    return left_out(outcomes) + Counter(document=len(documents_in(outcomes)))


def test_an_article_becomes_a_document_that_says_where_it_is_from(read: Callable[..., list[Outcome]]) -> None:
    article = documents_in(read(FIXTURE))[0]
    assert article.text.startswith("Äpfel sind Obst. Der Text")
    assert article.url == "https://de.wikipedia.org/wiki/%C3%84pfel_%26_Birnen"
    assert (article.language, article.license) == ("de", "CC-BY-SA-4.0")
    assert article.date == "2022-06-02T12:00:00Z"
    meta = json.loads(article.meta)
    assert meta["references"] == ["http://obst.example/a"]
    assert (meta["title"], meta["page"], meta["revision"]) == ("Äpfel & Birnen", "1", "1001")
    assert FIXTURE[meta["offset"] :].startswith(b"<page>\n    <title>\xc3\x84pfel")


@pytest.mark.parametrize("packing", [*PACKINGS, "-multistream.bz2"])
def test_every_page_is_counted_once_however_the_dump_is_packed(
    packing: str, read: Callable[..., list[Outcome]]
) -> None:
    pack = multistream if "multi" in packing else PACKINGS[packing]
    outcomes = read(pack(FIXTURE), f"dewiki-20220601-pages-articles1.xml-p1p9{packing}"
                    if packing else "dewiki.xml")  # fmt: skip
    assert names(outcomes) == EXPECTED
    assert [d.text for d in documents_in(outcomes)] == [d.text for d in documents_in(read(FIXTURE))]


def test_ingest_conserves_the_pages_of_a_dump(tmp_path: Path, ingested: Callable[..., Artifact]) -> None:
    path = tmp_path / "dewiki-pages-articles.xml.bz2"
    path.write_bytes(multistream(FIXTURE[:-2000] + b"<page><id>"))
    artifact = ingested(Wikipedia(kind="wikipedia", urls=[str(path)]), "wiki")
    assert is_conserved(artifact.counts) and artifact.counts["quarantined.truncated"] == 1
    assert len(documents_of(artifact)) == artifact.counts["documents"] == 1


@pytest.mark.parametrize("schema", ["0.3", "0.10", "0.11"])
def test_older_and_newer_schemas_are_read(schema: str, read: Callable[..., list[Outcome]]) -> None:
    slot = "\n      <content><role>mediainfo</role><model>x</model><text>no article</text></content>"
    data = wiki(page(1, "A", PROSE, more=slot if schema == "0.11" else ""), version=schema)
    if schema == "0.3":
        data = as_before_2012(data)
    assert [d.text for d in documents_in(read(data))] == [PROSE.strip()]


def as_before_2012(data: bytes) -> bytes:
    """They had no <ns>, <redirect>, <model> and <dbname>."""
    return re.sub(rb" *<(ns|model|format|dbname)>[^<]*</\1>\n", b"", data)


@pytest.mark.parametrize(
    ("title", "found"),
    [
        ("Diskussion:Obst", "namespace_1"),
        ("Datei:Apfel.jpg", "namespace_6"),
        ("datei:Apfel.jpg", "namespace_6"),
        ("Benutzer Diskussion:A", "namespace_3"),
        ("2001: Odyssee im Weltraum", "document"),
        ("Datei", "document"),
        (":Datei", "document"),
    ],
)
def test_the_namespace_is_read_off_the_title_where_the_page_does_not_say(
    title: str, found: str, read: Callable[..., list[Outcome]]
) -> None:
    namespaces = {1: "Diskussion", 3: "Benutzer Diskussion", 6: "Datei"}
    data = as_before_2012(wiki(page(1, title, PROSE), namespaces=namespaces))
    assert names(read(data)) == {found: 1}


def test_the_namespace_that_a_page_says_counts_for_more_than_its_title(
    read: Callable[..., list[Outcome]],
) -> None:
    data = wiki(page(1, "Datei:Apfel", PROSE), page(2, "Apfel", PROSE, ns=6))
    assert names(read(data)) == {"document": 1, "namespace_6": 1}


def test_without_a_head_a_page_that_names_no_namespace_is_an_article(
    read: Callable[..., list[Outcome]],
) -> None:
    bare = as_before_2012(b"<mediawiki>\n" + page(1, "Datei:A.jpg", PROSE).encode() + b"</mediawiki>")
    assert names(read(bare)) == {"document": 1}


REDIRECTS = {
    "bg": "#виж", "ca": "#REDIRECT", "cs": "#PŘESMĚRUJ", "da": "#OMDIRIGERING", "de": "#WEITERLEITUNG",
    "en": "#redirect", "es": "#REDIRECCIÓN", "fr": "#REDIRECTION", "hr": "#PREUSMJERI",
    "hu": "#ÁTIRÁNYÍTÁS", "it": "#RINVIA", "nl": "#DOORVERWIJZING", "pl": "#PATRZ",
    "pt": "#REDIRECIONAMENTO", "ro": "#REDIRECTEAZA", "ru": "#ПЕРЕНАПРАВЛЕНИЕ", "sl": "#PREUSMERITEV",
    "sr": "#Преусмери", "sv": "#OMDIRIGERING",
    "uk": "#ПЕРЕНАПРАВЛЕННЯ",
}  # fmt: skip
DISAMBIGUATIONS = {
    "bg": "Пояснение", "ca": "Desambiguació", "cs": "Rozcestník", "da": "Flertydig", "de": "Begriffsklärung",
    "en": "disambiguation|geo", "es": "Desambiguación", "fr": "Homonymie", "hr": "Razdvojba", "hu": "Egyért",
    "it": "Disambigua", "nl": "Dp", "pl": "Ujednoznacznienie", "pt": "Desambiguação", "ro": "Dezambiguizare",
    "ru": "неоднозначность", "sl": "Razločitev", "sr": "Вишезначна одредница", "sv": "Förgrening",
    "uk": "Неоднозначність",
}  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_redirects_and_disambiguations_of_each_language_are_no_documents(
    language: str, read: Callable[..., list[Outcome]]
) -> None:
    data = wiki(
        page(1, "A", f"{REDIRECTS[language]} [[B]]"),  # as in dumps that do not mark redirects
        page(2, "B", f"{PROSE}\n{{{{{DISAMBIGUATIONS[language]}}}}}"),
        page(3, "C", PROSE),
        language=language,
    )
    outcomes = read(data, f"{language}wiki.xml")
    assert names(outcomes) == {"redirect": 1, "disambiguation": 1, "document": 1}
    assert documents_in(outcomes)[0].language == language


@pytest.mark.parametrize("switch", ["DISAMBIG", "BEGRIFFSKLÄRUNG", "HOMONYMIE", "DISAMBIGUACIÓN"])
def test_a_switch_makes_a_page_a_disambiguation(switch: str, read: Callable[..., list[Outcome]]) -> None:
    data = wiki(page(1, "A", f"{PROSE}\n__{switch}__"))
    assert names(read(data, "enwiki.xml")) == {"disambiguation": 1}


def test_a_hint_to_other_meanings_does_not_make_an_article_a_disambiguation(
    read: Callable[..., list[Outcome]],
) -> None:
    hints = (
        "Begriffsklärungshinweis",
        "Nota disambigua",
        "Voir homonymes",
        "значения",
        "disambiguation needed",
    )
    data = wiki(*(page(i, "A", f"{{{{{hint}}}}}\n{PROSE}") for i, hint in enumerate(hints)))
    assert names(read(data)) == {"document": len(hints)}


def test_a_dump_of_another_language_or_project_is_the_users_mistake(
    read: Callable[..., list[Outcome]],
) -> None:
    with pytest.raises(InputError, match="is a dump of fi.*languages"):
        read(wiki(page(1, "A", PROSE), language="fi"))
    with pytest.raises(InputError, match="no Wikipedia"):
        read(wiki(page(1, "A", PROSE)).replace(b"dewiki<", b"dewikisource<"))
    with pytest.raises(InputError, match="dump of de"):
        read(FIXTURE, languages=["en"])


def test_the_language_is_read_off_the_files_name_where_the_dump_does_not_say(
    read: Callable[..., list[Outcome]],
) -> None:
    bare = b"<mediawiki>\n" + page(1, "A", PROSE).encode() + b"</mediawiki>"
    assert documents_in(read(bare, "srwiki-20220601-pages-articles.xml"))[0].language == "sr"


def test_a_cut_dump_gives_its_whole_pages_and_says_that_it_was_cut(
    read: Callable[..., list[Outcome]],
) -> None:
    packed = {
        "dewiki.xml.bz2": multistream(FIXTURE, 9),
        "dewiki.xml.gz": gzip.compress(FIXTURE),
        "dewiki.xml": FIXTURE,
    }
    for name, data in packed.items():
        whole = [d.text for d in documents_in(read(data, name))]
        for at in range(40, len(data) - 1, 97):
            outcomes = read(data[:at], name)
            errors = [o for o in outcomes if isinstance(o, Quarantined)]
            assert len(errors) == 1 and errors[0].error in ("truncated", "truncated_stream", "not_a_dump"), (
                name,
                at,
            )
            assert [d.text for d in documents_in(outcomes)] == whole[: len(documents_in(outcomes))]


def test_a_damaged_stream_gives_the_pages_before_the_damage(read: Callable[..., list[Outcome]]) -> None:
    parts = [multistream(FIXTURE, 9), b"BZh9junk"]
    outcomes = read(b"".join(parts), "dewiki.xml.bz2")
    assert names(outcomes) == EXPECTED | Counter(damaged_stream=1)


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        (page(2, "B", "x").replace("x</text>", "x"), "not_xml"),
        (page(2, "B", "x").replace("  </page>\n", ""), "unclosed"),
        (page(2, "B", "&lol;").replace("&amp;lol;", "&lol9;"), "not_xml"),
        (page(2, "B", "<a/>" * 3).replace("&lt;a/&gt;", "<a/>" * 40_000), "too_many_elements"),
        (page(2, "B", "x" * 20_000), "too_long"),
        (page(2, "B", "{{" * 200), "too_deep"),
        ("<page><title>B</title><ns>0</ns></page>", "no_revision"),
        (page(2, "B", "x").replace("<ns>0", "<ns>--5"), "bad_fields"),
        ("junk between pages", "stray_bytes"),
    ],
)
def test_a_broken_page_costs_only_itself(broken: str, error: str, read: Callable[..., list[Outcome]]) -> None:
    data = wiki(page(1, "A", PROSE), broken, page(3, "C", PROSE))
    limit = 1 << 24 if error == "too_many_elements" else 10_000
    assert names(read(data, max_record_bytes=limit)) == {"document": 2, error: 1}


@pytest.mark.parametrize(
    ("junk", "error"),
    [(b"\xff\xfe", "invalid_utf8"), (b"\0" * 99, "nul_byte"), (b"\xed\xa0\x80", "invalid_utf8")],
)
def test_bytes_that_are_no_text_cost_only_their_page(
    junk: bytes, error: str, read: Callable[..., list[Outcome]]
) -> None:
    data = wiki(page(1, "A", PROSE), page(2, "B", "@@"), page(3, "C", PROSE)).replace(b"@@", junk)
    assert names(read(data)) == {"document": 2, error: 1}


def test_entities_that_a_dump_declares_do_not_expand(read: Callable[..., list[Outcome]]) -> None:
    levels = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 12))
    bomb = (
        f'<!DOCTYPE mediawiki [<!ENTITY l0 "{"lol" * 10}">{levels}<!ENTITY x SYSTEM "file:///etc/passwd">]>\n'
    )
    pages = [
        page(1, "A", PROSE),
        page(2, "B", "@@").replace("@@", "&l11;"),
        page(3, "C", "@@").replace("@@", "&x;"),
    ]
    assert names(read(bomb.encode() + wiki(*pages))) == {"document": 1, "not_xml": 2}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-8-sig"])
def test_a_dump_in_another_unicode_encoding_reads_the_same(
    encoding: str, read: Callable[..., list[Outcome]]
) -> None:
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    outcomes = read(mark + FIXTURE.decode().encode(encoding))
    assert names(outcomes) == EXPECTED
    assert [d.text for d in documents_in(outcomes)] == [d.text for d in documents_in(read(FIXTURE))]


def test_no_two_documents_share_an_id_when_pages_are_repeated(read: Callable[..., list[Outcome]]) -> None:
    data = wiki(page(1, "A", PROSE), page(1, "A", PROSE))
    ids = [d.id for d in documents_in(read(data)) + documents_in(read(data, "other.xml"))]
    assert len(set(ids)) == len(ids) == 4


def test_what_is_no_dump_is_quarantined_as_a_whole(read: Callable[..., list[Outcome]]) -> None:
    for data in (b"", b"{}", b"<html></html>", b"\0" * 3000):
        assert names(read(data)) == {"not_a_dump": 1}
    assert names(read((head() + "</mediawiki>").encode())) == {}


# --- real dumps


def raw_pages() -> list[tuple[str, str]]:
    """Return (title, wikitext) of each article of the sample."""
    with DUMP.open("rb") as file:
        pages = Elements(streams.chunks(file, DUMP.name), "mediawiki", rb"<page>", rb"</page>", 1 << 24)
        elements = [parse(data) for _, data in pages if isinstance(data, bytes)]
    return [
        (e.findtext("title") or "", e.findtext("revision/text") or "")
        for e in elements
        if not isinstance(e, str)
    ]


@needs_samples
def test_the_sample_dump_gives_as_many_pages_as_it_holds(sample: list[Outcome]) -> None:
    found = names(sample)
    # 100 redirects, one of which is the one page outside of the article namespace.
    assert found == {"document": 98, "redirect": 99, "namespace_4": 1, "disambiguation": 8}
    assert sum(found.values()) == 206


@needs_samples
@pytest.mark.parametrize("share", [0.3, 0.999])
def test_the_sample_dump_when_cut_is_never_silently_short(share: float, tmp_path: Path) -> None:
    data = DUMP.read_bytes()
    path = tmp_path / DUMP.name
    path.write_bytes(data[: int(share * len(data))])
    outcomes = read_path(path)
    assert 0 < len(documents_in(outcomes)) < 98 or share > 0.9
    assert [o.error for o in outcomes if isinstance(o, Quarantined)] == ["truncated_stream"]


@needs_samples
def test_the_sample_articles_read_like_prose(
    sample: list[Outcome], capsys: pytest.CaptureFixture[str]
) -> None:
    articles = {json.loads(d.meta)["title"]: d.text for d in documents_in(sample)}
    before: Counter[str] = Counter()
    after: Counter[str] = Counter()
    formulas = 0
    for title, wikitext in raw_pages():
        if title in articles:
            code = re.findall(r"<(?:code|pre|syntaxhighlight|source)\b[^>]*>(.*?)</", wikitext, re.DOTALL)
            before += residues(wikitext, "wikipedia")
            after += residues(articles[title], "wikipedia", code)
            formulas += len(re.findall(r"<math\b[^>/]*>[^<]*\S[^<]*</math>", wikitext))
    size = sum(len(text.encode()) for text in articles.values())
    with capsys.disabled():
        print("\n" + table(before, after, "wikipedia", size))
    assert sum(after.values()) * 100_000 <= size
    assert sum(before.values()) > 1000 * sum(after.values())
    kept = sum(len(re.findall(r"\${1,2}[^$]+\${1,2}", text)) for text in articles.values())
    assert kept >= 0.95 * formulas > 100
