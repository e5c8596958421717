"""Stack Exchange dumps to documents: a question with its answers, and every post accounted for."""

import html
import json
import re
import struct
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import py7zr
import pytest
from corpus.dumps import PACKINGS, posts, row, sevenzip, site
from corpus.helpers import SAMPLES, documents_in, documents_of, is_conserved, left_out, needs_samples
from corpus.sources.residues import residues, table
from hypothesis import given
from hypothesis import strategies as st

from llama_core.artifact import Artifact
from llama_core.corpus.document import Noted, Outcome, Quarantined
from llama_core.corpus.recipe import StackExchange
from llama_core.corpus.sources import stackexchange
from llama_core.corpus.sources.raw import raw_file

FOLDER = SAMPLES / "stackexchange"
BEER = FOLDER / "beer.stackexchange.com.7z"
HISTORY = FOLDER / "history.meta.stackexchange.com_2018_Posts.xml"
DATA = FOLDER / "datascience.meta.stackexchange.com_2024_Posts.xml"


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., list[Outcome]]:
    def outcomes(
        data: bytes, name: str = "beer.stackexchange.com_Posts.xml", **fields: object
    ) -> list[Outcome]:
        (tmp_path / name).write_bytes(data)
        return read_file(tmp_path / name, **{"min_chars": 1} | fields)

    return outcomes


def read_file(path: Path, **fields: object) -> list[Outcome]:
    source = StackExchange(kind="stackexchange", **fields)
    return [*stackexchange.read("se", source, raw_file(source, f"file://{path}"))]


@pytest.fixture(scope="module")
def samples() -> dict[Path, list[Outcome]]:
    return {path: read_file(path) for path in (BEER, HISTORY, DATA)}


def names(outcomes: list[Outcome]) -> Counter[str]:
    """Count raw records by what became of them."""
    members = sum(document.members for document in documents_in(outcomes))
    return left_out(outcomes) + Counter(members=members)


def test_a_question_comes_with_its_answers_by_numeric_score_from_high_to_low(
    read: Callable[..., list[Outcome]],
) -> None:
    data = posts(
        row(1, title="Why  10 &gt; 9?", body="<p>Is <b>it</b>?</p>", tags="<numbers><order>", score=5,
        AcceptedAnswerId=4),
        row(3, 2, parent=1, body="<p>nine</p>", score=9),
        row(4, 2, parent=1, body="<p>minus</p>", score=-1),
        row(2, 2, parent=1, body="<p>ten</p>", score=10),
        row(5, 2, parent=1, body="<p>nine, later</p>", score=9),
    )  # fmt: skip
    (found,) = documents_in(read(data))
    assert found.text == "Q: Why 10 &gt; 9?\n\nIs it?\n\nA: ten\n\nA: nine\n\nA: nine, later\n\nA: minus"
    assert (found.members, found.language, found.license) == (5, "en", "CC-BY-SA-4.0")
    assert found.url == "https://beer.stackexchange.com/questions/1"
    meta = json.loads(found.meta)
    assert meta["answers"] == [[2, 10], [3, 9], [5, 9], [4, -1]]
    assert (meta["question"], meta["score"], meta["tags"]) == (1, 5, ["numbers", "order"])
    assert data[meta["offset"] :].startswith(b'<row Id="1"')


def test_every_row_is_counted_once(read: Callable[..., list[Outcome]]) -> None:
    data = posts(
        row(1, title="T", body="<p>q</p>"),
        row(2, 2, parent=1, body="<p>a</p>"),
        row(3, title="No answers", body="<p>q</p>"),
        row(4, title="No body", body=None),
        row(5, 2, parent=4, body="<p>a</p>"),
        row(6, 2, parent=1, body=""),  # deleted
        row(7, 2, parent=1, body="<p> <br> </p>"),
        row(8, 2, parent=999, body="<p>orphan</p>"),
        row(9, 2, body="<p>no parent</p>"),
        row(2, 2, parent=1, body="<p>again</p>"),
        row(1, title="T", body="<p>again</p>"),
        row(10, 4, body="an excerpt"),
        row(11, 5, body="a wiki"),
        row(12, 99, body="what"),
        row(13, 2, parent=1, body="<p>a</p>", score="many"),
        "  <row Title='no id' />\n",
        "  <row Id='14' PostTypeId='1' Body='&nope;' />\n",
        row(15, title="", body=""),
    )
    assert names(read(data)) == {
        "members": 6, "empty": 3, "orphan_answer": 2, "repeated_post": 2, "tag_excerpt": 1, "tag_wiki": 1,
        "other_post": 1, "bad_fields": 2,
    }  # fmt: skip
    assert [d.text for d in documents_in(read(data))] == [
        "Q: T\n\nq\n\nA: a", "Q: No answers\n\nq", "Q: No body\n\nA: a", "Q:\n\n&nope;"
    ]  # fmt: skip


REFUSED = ["&#x0E;", "&#x1f;", "&#0;", "&#11;", "&#12;", "&#xFFFE;", "&#65535;", "&#xD800;", "&#57343;"]


@pytest.mark.parametrize(
    "character",
    [
        *REFUSED,
        "&#x110000;",
        "&#99999999999;",
        "&#x001;",
        "\x0e",
        "\x01\x02",
        "\x0b",
        "\x00",
        "\ufffe",
        "\uffff",
    ],
)
def test_a_character_that_xml_does_not_allow_is_lost_alone(
    character: str, read: Callable[..., list[Outcome]]
) -> None:
    data = posts(
        row(1, title="T@@itle", body="<p>Options: @@x &amp; y</p>"),
        row(2, 2, parent=1, body="<p>Answer@@ one</p>"),
    )
    (found,) = documents_in(outcomes := read(data.replace(b"@@", character.encode())))
    assert found.text == "Q: Title\n\nOptions: x & y\n\nA: Answer one"
    assert names(outcomes) == {"members": 2}


@pytest.mark.parametrize("end", ["&#xA;", "&#xD;&#xA;", "&#xD;"])
def test_lines_of_a_body_end_in_any_way(end: str, read: Callable[..., list[Outcome]]) -> None:
    data = posts(row(1, title="T", body="<p>one@two</p><pre>a@ b</pre>"))
    (found,) = documents_in(read(data.replace(b"@", end.encode())))
    assert found.text == "Q: T\n\none\ntwo\n\na\n b"


BROKEN = {
    "1 < 2": "1 < 2",
    "R&D & more": "R&D & more",
    "a&nbsp;b &eacute;": "a b é",
    "<b>bold</b> 1": "bold 1",
    'said "so" and': 'said "so" and',
    '<a href="x" rel="y">link</a>': "link",
    "<i>open": "open",
    "&lt;i&gt;1 & 2": "1 & 2",
    "caf\udce9 x": "caf\ufffd x",
    "\udcff\udcfe x": "\ufffd\ufffd x",
    "\udced\udca0\udcbd\udced\udcb8\udc80": "😀",
    "half a character \udce2\udc82": "half a character \ufffd",
    "&#x0E;1 &#65; < 2": "1 A < 2",
    "]]> <![CDATA[ x": "]]> <![CDATA[ x",
}


@pytest.mark.parametrize(("raw", "text"), BROKEN.items())
def test_a_row_that_is_no_xml_is_read_all_the_same_and_keeps_its_answers(
    raw: str, text: str, read: Callable[..., list[Outcome]]
) -> None:
    rows = row(1, title="T", body="@@"), row(2, 2, parent=1, body="one"), row(3, 2, parent=1, body="two @@")
    data = posts(*rows).replace(b"@@", raw.encode("utf-8", "surrogateescape"))
    (found,) = documents_in(outcomes := read(data))
    assert found.text == f"Q: T\n\n{text}\n\nA: one\n\nA: two {text}"
    assert names(outcomes) == {"members": 3}
    assert [o.counts for o in outcomes if isinstance(o, Noted)] == [{"mended_rows": 2}]


def test_a_question_that_was_cut_keeps_its_answers(read: Callable[..., list[Outcome]]) -> None:
    question, *answers = (
        row(1, title="T", body="<p>one two</p>"),
        row(2, 2, parent=1, body="a"),
        row(3, 2, parent=1, body="b"),
    )
    cut = question[: question.index(" two")] + "\n"  # after the title and in the body
    (found,) = documents_in(outcomes := read(posts(cut, *answers)))
    assert found.text == "Q: T\n\none\n\nA: a\n\nA: b" and names(outcomes) == {"members": 3}
    (found,) = documents_in(read(posts(question.replace(" />", ""), *answers)))
    assert found.text == "Q: T\n\none two\n\nA: a\n\nA: b"
    assert names(read(posts(question[:12] + "\n", *answers))) == {"unclosed": 1, "orphan_answer": 2}


@pytest.mark.parametrize("body", [b"\xff" * 40, b"\0" * 40])
def test_a_row_that_is_hardly_text_is_quarantined(body: bytes, read: Callable[..., list[Outcome]]) -> None:
    found = names(
        read(posts(row(1, title="T", body="@@"), row(2, 2, parent=1, body="a")).replace(b"@@", body))
    )
    assert found == {"orphan_answer": 1, "nul_byte" if b"\0" in body else "invalid_utf8": 1}


def test_a_pair_of_surrogates_is_the_character_that_it_stands_for(read: Callable[..., list[Outcome]]) -> None:
    data = posts(row(1, title="T", body="<p>@@</p>")).replace(
        b"@@", b"&#xD83D;&#xDE00; &#xDE00;&#x1F600;&#9; &#65;&#55357;&#56832;&#x00d83d;&#56832;"
    )
    assert [d.text for d in documents_in(read(data))] == ["Q: T\n\n😀 😀 A😀😀"]


@pytest.mark.parametrize(
    ("date", "license"),
    [
        ("2008-07-31T21:42:52.667", "CC-BY-SA-2.5"),
        ("2011-04-07T23:59:59.999", "CC-BY-SA-2.5"),
        ("2011-04-08T00:00:00.000", "CC-BY-SA-3.0"),
        ("2018-05-01T23:59:59.999", "CC-BY-SA-3.0"),
        ("2018-05-02T00:00:00.000", "CC-BY-SA-4.0"),
        ("2024-03-01T00:00:00.000", "CC-BY-SA-4.0"),
        ("", "CC-BY-SA-4.0"),
    ],
)
def test_a_post_that_states_no_licence_has_the_one_of_its_date(
    date: str, license: str, read: Callable[..., list[Outcome]]
) -> None:
    (found,) = documents_in(read(posts(row(1, title="T", body="<p>q</p>", CreationDate=date))))
    assert found.license == license
    stated = row(1, title="T", body="<p>q</p>", CreationDate=date, ContentLicense=" cc by-sa 3.0")
    assert documents_in(read(posts(stated)))[0].license == "CC-BY-SA-3.0"


POSTS = st.lists(
    st.tuples(
        st.integers(1, 6), st.sampled_from([1, 1, 2, 2, 2, 4]), st.integers(0, 6), st.integers(-3, 12),
        st.sampled_from(["<p>x</p>", "", None, "<p>y</p>"]),
    ),
    max_size=14,
)  # fmt: skip


@given(rows=POSTS)
def test_any_posts_are_conserved_and_their_order_does_not_matter(
    rows: list[tuple[int, int, int, int, str | None]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("se") / "a_Posts.xml"
    made = [
        row(i, kind, parent=parent, score=score, body=body, title="T")
        for i, kind, parent, score, body in rows
    ]
    path.write_bytes(posts(*made))
    outcomes = read_file(path, min_chars=1)
    assert sum(names(outcomes).values()) == len(rows)
    for found in documents_in(outcomes):
        answers = json.loads(found.meta)["answers"]
        assert [score for _, score in answers] == sorted((s for _, s in answers), reverse=True)
    if len({i for i, *_ in rows}) == len(rows):
        path.write_bytes(posts(*reversed(made)))
        assert [d.text for d in documents_in(read_file(path, min_chars=1))] == [
            d.text for d in documents_in(outcomes)
        ]


@pytest.mark.parametrize("packing", [*PACKINGS, ".7z"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le"])
def test_the_text_does_not_depend_on_packing_and_encoding(
    packing: str, encoding: str, read: Callable[..., list[Outcome]]
) -> None:
    rows = [row(1, title="Pivo 🍺", body="<p>čeština</p>"), row(2, 2, parent=1, body="<p>да</p>")]
    data = posts(*rows, encoding=encoding)
    data = (b"\xff\xfe" if encoding == "utf-16-le" else b"") + data
    packed = sevenzip({"Posts.xml": data}) if packing == ".7z" else PACKINGS[packing](data)
    outcomes = read(packed, "a.7z" if packing == ".7z" else f"Posts.xml{packing}")
    assert names(outcomes) == {"members": 2}
    assert documents_in(outcomes)[0].text == "Q: Pivo 🍺\n\nčeština\n\nA: да"


def test_ingest_conserves_members_of_the_archive_and_rows_of_posts(
    tmp_path: Path, ingested: Callable[..., Artifact]
) -> None:
    rows = [
        row(1, title="T", body="<p>q</p>"),
        row(2, 2, parent=1, body="x"),
        row(3, 2, parent=9, body="x"),
        "<row />",
    ]
    path = tmp_path / "beer.stackexchange.com.7z"
    path.write_bytes(sevenzip(site(*rows)))
    artifact = ingested(StackExchange(kind="stackexchange", urls=[str(path)], min_chars=1), "se")
    assert is_conserved(artifact.counts)
    assert artifact.counts["raw"] == 7 + 4 and artifact.counts["members"] == 2
    assert artifact.counts["non_content.votes"] == artifact.counts["quarantined.bad_fields"] == 1
    assert [d.text for d in documents_of(artifact)] == ["Q: T\n\nq\n\nA: x"]


def test_a_cut_file_gives_its_whole_rows_and_says_that_it_was_cut(read: Callable[..., list[Outcome]]) -> None:
    data = posts(*(row(i, title="T", body=f"<p>{i}</p>") for i in range(1, 6)))
    for at in range(len(data)):
        outcomes = read(data[:at])
        errors = [o.error for o in outcomes if isinstance(o, Quarantined)]
        assert errors in (["truncated"], ["not_a_dump"]), at
        assert [d.text for d in documents_in(outcomes)] == [
            f"Q: T\n\n{i}" for i in range(1, 1 + data[:at].count(b"/>"))
        ]


def test_a_row_that_is_too_long_costs_only_itself_and_so_do_answers_without_end(
    read: Callable[..., list[Outcome]],
) -> None:
    data = posts(
        row(1, title="T", body="q"), row(2, 2, parent=1, body="x" * 9000), row(3, title="U", body="q")
    )
    assert names(read(data, max_record_bytes=5000)) == {"members": 2, "too_long": 1}
    many = [row(i, 2, parent=1, body="x" * 500) for i in range(2, 30)]
    found = names(read(posts(row(1, title="T", body="q"), *many), max_record_bytes=5000))
    assert found["too_long"] > 15 and found["members"] + found["too_long"] == 29


def test_sites_and_languages_are_known_by_name() -> None:
    assert (
        stackexchange.site_of("https://archive.org/download/stackexchange/ru.stackoverflow.com.7z")
        == "ru.stackoverflow.com"
    )
    assert stackexchange.site_of("s3://b/stackoverflow.com-Posts.7z") == "stackoverflow.com"
    assert stackexchange.site_of("file:///math.stackexchange.com/Posts.xml") == "math.stackexchange.com"
    assert stackexchange.site_of("file:///data/Posts.xml") == ""
    assert [stackexchange.language_of(s) for s in ("ru.stackoverflow.com", "rus.stackexchange.com",
    "ja.stackoverflow.com",
            "russian.stackexchange.com")] == ["ru", "ru", "ja", "en"]  # fmt: skip


# --- archives


def test_members_with_names_that_leave_the_archive_are_quarantined_and_nothing_is_written(
    tmp_path: Path, read: Callable[..., list[Outcome]]
) -> None:
    data = posts(row(1, title="T", body="q"))
    packed = sevenzip({"Posts.xml": data, "a.xml": b"x"})
    for bad in ("../../etc/Posts.xml", "/tmp/Posts.xml", "C:\\Posts.xml", "..\\Posts.xml"):
        # py7zr writes no such name: the directory is patched, as an attacker would
        renamed = sevenzip({"x" * len(bad): data, "a.xml": b"x"}, packed_directory=False)
        evil = _renamed(renamed, "x" * len(bad), bad)
        assert names(read(evil, "a.7z")) == {"unsafe_path": 1, "other_file": 1}, bad
    assert names(read(packed, "a.7z")) == {"members": 1, "other_file": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.7z"]


def _renamed(archive: bytes, old: str, new: str) -> bytes:
    """Rename a member of an archive whose directory is not packed, and correct its checksums."""
    offset, size = struct.unpack("<QQ", archive[12:28])
    directory = archive[32 + offset : 32 + offset + size]
    assert old.encode("utf-16-le") in directory, "the directory is packed"
    directory = directory.replace(old.encode("utf-16-le"), new.encode("utf-16-le"))
    start = struct.pack("<QQI", offset, size, zlib.crc32(directory))
    head = archive[:8] + struct.pack("<I", zlib.crc32(start)) + start
    return head + archive[32 : 32 + offset] + directory


def test_a_link_named_posts_is_not_followed(tmp_path: Path, read: Callable[..., list[Outcome]]) -> None:
    (tmp_path / "Posts.xml").symlink_to("/etc/passwd")
    with py7zr.SevenZipFile(tmp_path / "made.7z", "w") as archive:
        archive.write(tmp_path / "Posts.xml", "Posts.xml")
    data = (tmp_path / "made.7z").read_bytes()
    assert names(read(data, "a.7z")) == {"link": 1}


def test_an_archive_that_cannot_be_read_is_one_quarantined_record(read: Callable[..., list[Outcome]]) -> None:
    packed = sevenzip(site(row(1, title="T", body="q")))
    for at in (0, 5, 20, 32, 100, len(packed) - 1):
        assert sum(names(read(packed[:at], "a.7z")).values()) == 1
    assert names(read(packed[:-1], "a.7z")) == {"truncated_archive": 1}
    assert names(read(b"PK\x03\x04" + packed, "a.7z")) == {"not_an_archive": 1}
    assert names(read(sevenzip(site(row(1, body="q")), password="x"), "a.7z"))["encrypted"] == 1
    hidden = sevenzip(site(row(1, body="q")), password="x", header_encryption=True)
    assert names(read(hidden, "a.7z")) == {"encrypted": 1}


def test_two_posts_of_one_archive_are_two_sites(read: Callable[..., list[Outcome]]) -> None:
    data = posts(row(1, title="T", body="q"))
    found = documents_in(read(sevenzip({"a/Posts.xml": data, "b/Posts.xml": data}), "a.7z"))
    assert len(found) == 2 and found[0].id != found[1].id


# --- real dumps


@needs_samples
@pytest.mark.parametrize(
    ("path", "questions", "answers", "others"),
    [(BEER, 1029, 2277, 165), (HISTORY, 556, 1095, 6), (DATA, 257, 341, 26)],
)
def test_the_sample_sites_give_as_many_posts_as_they_hold(
    samples: dict[Path, list[Outcome]], path: Path, questions: int, answers: int, others: int
) -> None:
    outcomes = samples[path]
    found = names(outcomes)
    files = 7 if path is BEER else 0
    assert sum(found.values()) == questions + answers + others + files
    assert not any(isinstance(o, Quarantined) for o in outcomes)
    # five answers of datascience.meta have no text, and one of its questions is shorter than 100 characters
    lost = {DATA: {"empty": 5, "too_short": 1}}.get(path, {})
    assert {
        k: v for k, v in found.items() if k in ("empty", "too_short", "orphan_answer", "repeated_post")
    } == lost
    assert len(documents_in(outcomes)) == questions - lost.get("too_short", 0)
    assert found["members"] == questions + answers - sum(lost.values())


@needs_samples
def test_the_sample_archive_when_cut_or_damaged_is_never_silently_short(tmp_path: Path) -> None:
    data = BEER.read_bytes()
    path = tmp_path / BEER.name
    path.write_bytes(data[: len(data) // 2])
    assert names(read_file(path)) == {"truncated_archive": 1}
    errors = 0
    for at in range(100_000, len(data) - 10_000, 800_000):
        path.write_bytes(data[:at] + bytes(64) + data[at + 64 :])
        found = names(read_file(path))
        errors += sum(
            v for k, v in found.items() if k in ("damaged_stream", "wrong_checksum", "truncated_stream")
        )
    assert errors >= 1  # where the damage lies in Posts.xml


def posts_of(path: Path) -> str:
    if path.suffix == ".xml":
        return path.read_text("utf-8-sig")
    with py7zr.SevenZipFile(path) as archive:
        made = py7zr.io.BytesIOFactory(1 << 30)
        archive.extract(targets=["Posts.xml"], factory=made)
        return made.get("Posts.xml").read().decode("utf-8-sig")


@needs_samples
def test_the_sample_questions_read_like_prose(
    samples: dict[Path, list[Outcome]], capsys: pytest.CaptureFixture[str]
) -> None:
    before: Counter[str] = Counter()
    after: Counter[str] = Counter()
    size = 0
    bodies: dict[tuple[str, int], str] = {}
    for path in (BEER, HISTORY, DATA):
        for found in re.finditer(r'<row Id="(\d+)" [^>]*?\bBody="([^"]*)"', posts_of(path)):
            bodies[path.name, int(found[1])] = html.unescape(found[2])
        for document in documents_in(samples[path]):
            meta = json.loads(document.meta)
            code: list[str] = []
            for post in (meta["question"], *(number for number, _ in meta["answers"])):
                body = bodies[path.name, post]
                before += residues(body, "stackexchange")
                blocks = re.findall(r"<(pre|code)\b[^>]*>(.*?)</\1>", body, re.DOTALL)
                code += [html.unescape(re.sub(r"<[^<>]*>", "", block)).strip() for _, block in blocks]
            assert all(passage in document.text for passage in code), "code is kept as it was"
            after += residues(document.text, "stackexchange", code)
            size += len(document.text.encode())
    with capsys.disabled():
        print("\n" + table(before, after, "stackexchange", size))
    assert sum(after.values()) * 100_000 <= size
    assert sum(before.values()) > 1000 * sum(after.values())
