"""Books: the header, the licence and the credits of Project Gutenberg are off, and the book is whole."""

import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpus.helpers import SAMPLES, documents_of, is_conserved, needs_samples, write_jsonl
from hypothesis import given
from hypothesis import strategies as st

from llama_core.artifact import Artifact
from llama_core.corpus import ingest
from llama_core.corpus.markup.gutenberg import read_book
from llama_core.corpus.recipe import Books
from llama_core.corpus.sources.books import decode

BOOK = """THE LAST LIGHTHOUSE

by A. Writer


CHAPTER I

It was late, and the lamp had been lit; nobody spoke of the café or of the sea.

The keeper wrote in his book, and by the morning he was gone.
"""
HEAD = """The Project Gutenberg EBook of The Last Lighthouse, by A. Writer

This eBook is for the use of anyone anywhere at no cost and with
almost no restrictions whatsoever.

Title: The Last Lighthouse
       or, The Keeper's Book

Author: A. Writer

Release Date: June 3, 1998 [EBook #4242]
Last Updated: March 10, 2018

Language: English

Character set encoding: {encoding}

"""
LICENSE = "\n".join(
    ["*** START: FULL LICENSE ***", "", "THE FULL PROJECT GUTENBERG LICENSE", *["Terms."] * 300]
)
SMALL_PRINT = (
    '***START**THE SMALL PRINT!**FOR PUBLIC DOMAIN ETEXTS**START***\nWhy is this "Small Print!" here?\n\n'
    + "You know: lawyers.\n\n" * 40
)

START = "*** START OF THIS PROJECT GUTENBERG EBOOK THE LAST LIGHTHOUSE ***\n\n"
END = "\n\n*** END OF THIS PROJECT GUTENBERG EBOOK THE LAST LIGHTHOUSE ***\n\n"
VARIANTS = {
    "since 2020": (
        HEAD
        + "*** START OF THE PROJECT GUTENBERG EBOOK THE LAST LIGHTHOUSE ***\n\n\n\n\n"
        + "Produced by A. Volunteer and the Online\n"
        + "Distributed Proofreading Team at https://www.pgdp.net\n\n\n",
        "\n\n\n*** END OF THE PROJECT GUTENBERG EBOOK THE LAST LIGHTHOUSE ***\n\n"
        + "Updated editions will replace the previous one\n"
        + LICENSE,
    ),
    "of 2008, with a title over two lines": (
        HEAD
        + "*** START OF THIS PROJECT GUTENBERG EBOOK THE LAST\nLIGHTHOUSE ***\n\n"
        + "E-text prepared by A. Volunteer\n\n"
        + "Note: Project Gutenberg also has an HTML version of this\n"
        + "      file which includes the original illustrations.\n\n\n",
        "\n\nEnd of Project Gutenberg's The Last Lighthouse, by A. Writer"
        + END
        + "***** This file should be named 4242-0.txt or 4242-0.zip *****\n"
        + LICENSE,
    ),
    "without spaces after the stars": (
        HEAD
        + "***START OF THE PROJECT GUTENBERG EBOOK THE LAST LIGHTHOUSE***\n\n\n"
        + "This file was produced from images generously made available by a library\n\n",
        "\n\n***END OF THE PROJECT GUTENBERG EBOOK THE LAST LIGHTHOUSE***\n" + LICENSE,
    ),
    "of the small print": (
        "The Project Gutenberg Etext of The Last Lighthouse, by A. Writer\n\n"
        + "Copyright laws are changing all over the world.\n\n"
        + "**Welcome To The World of Free Plain Vanilla Electronic Texts**\n\n"
        + "June, 1998  [Etext #4242]\n\n\n"
        + SMALL_PRINT
        + "*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*\n\n\n\n\n"
        + "This etext was prepared by A. Volunteer, from the 1891 edition.\n\n\n",
        "\n\n\nEnd of the Project Gutenberg Etext of The Last Lighthouse, by A. Writer\n",
    ),
    "without markers": (
        "Project Gutenberg's The Last Lighthouse, by A. Writer\n\n"
        + "This is one of our earliest Etexts; see the date.\n\n"
        + "June, 1998  [Etext #4242]\n\n\n",
        "\n\nEnd of this Project Gutenberg Etext of The Last Lighthouse\n",
    ),
    "with notes": (
        HEAD
        + START
        + "Produced by A. Volunteer\n\n\n\n"
        + "+---------------------------+\n"
        + "| Transcriber's Note:       |\n"
        + "|                           |\n"
        + "| Spelling has been kept.   |\n"
        + "+---------------------------+\n\n\n",
        "\n\n\n\nTRANSCRIBER’S NOTES:\n\nObvious errors were corrected.\n\n"
        + "Page 9: tbe became the.\n\n\n"
        + "End of the Project Gutenberg EBook of The Last Lighthouse, by A. Writer"
        + END
        + LICENSE,
    ),
    "with notes in brackets": (
        HEAD
        + START
        + "Transcribed from the 1891 edition by A. Volunteer\n\n"
        + "[Transcriber's Note: Italics are\nmarked.\n\nThere are few.]\n\n\n"
        + "[This e-text includes characters that require\nUTF-8.\n\n  é è]\n\n",
        "\n\n[Transcriber's note: the last page is torn.]\n\n\n\n"
        + "ERRATA (noted by transcriber):\n\nPage 9:\n\n\n  tbe for the"
        + END
        + LICENSE,
    ),
    "in French": (
        HEAD + START + "Note sur la transcription: Les erreurs ont été corrigées.\n\n\n",
        "\n\n\n\nNotes du transcripteur\n\nOn a conservé l'orthographe.\n\n" + END + LICENSE,
    ),
    "in German": (
        HEAD + START,
        "\n\n\n\nAnmerkungen zur Transkription\n\nDer Text wurde korrigiert.\n\n\n"
        + "Ende dieses Projekt Gutenberg Etextes The Last Lighthouse, von A. Writer"
        + END
        + LICENSE,
    ),
}


def books(*urls: object, **fields: object) -> Books:
    return Books(kind="books", urls=[str(u) for u in urls], **{"min_chars": 50} | fields)


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_stands_around_a_book_is_off_whatever_the_markers(variant: str) -> None:
    before, after = (part.format(encoding="UTF-8") for part in VARIANTS[variant])
    book = read_book(before + BOOK + after)
    assert book.text == BOOK
    assert book.date.startswith("1998-06")
    assert (book.number, book.title.split(" or,")[0], book.author) == (
        "4242",
        "The Last Lighthouse",
        "A. Writer",
    )
    if "{encoding}" in VARIANTS[variant][0]:
        assert book.title == "The Last Lighthouse or, The Keeper's Book"
        assert (book.language, book.date) == ("en", "1998-06-03")


@pytest.mark.parametrize(
    ("line", "title", "author"),
    [
        ("Project Gutenberg's Etext of The Lamp", "The Lamp", ""),
        ("*Project Gutenberg's Etext of The Lamp, by A. Writer*", "The Lamp", "A. Writer"),
        ("The Project Gutenberg Etext of The Lamp, by A. Writer", "The Lamp", "A. Writer"),
        ("**The Project Gutenberg Etext of Is It Lit?**", "Is It Lit?", ""),
        ("Project Gutenberg Etext of The Lamp\n\nProject Gutenberg's Etexts made by us", "The Lamp", ""),
        ("Project Gutenberg's The Lamp, by A. Writer", "The Lamp", "A. Writer"),
    ],
)
def test_the_first_line_of_an_old_header_names_the_book(line: str, title: str, author: str) -> None:
    book = read_book(f"{line}\n\nJune, 1998  [Etext #4242]\n\n\n{BOOK}")
    assert (book.title, book.author, book.text) == (title, author, BOOK)


@pytest.mark.parametrize(
    "line",
    [
        "Fin du Projet Gutenberg Etext",
        "Fin de ce Project Gutenberg EBook",
        "Fin de l'Etext du Projet Gutenberg",
        "*** Ende dieses Projekt Gutenberg Etextes The Last Lighthouse ***",
        "Ende dieses Project Gutenberg-Etextes",
        "Ende von Project Gutenberg's The Last Lighthouse",
        "Ende des Projektes Gutenberg Etext",
        "Slut på Projekt Gutenbergs Etext",
        "Fine del Progetto Gutenberg",
        "Fin del Proyecto Gutenberg EBook",
        "Fim do Projecto Gutenberg",
        "Einde van het Project Gutenberg EBook",
    ],
)
def test_a_book_ends_in_its_own_language(line: str) -> None:
    head = "The Project Gutenberg Etext of The Last Lighthouse, by A. Writer\n\n\n\n"
    assert read_book(f"{head}{BOOK}\n\n{line}\n\nWhat is no book.\n").text == BOOK


def test_a_book_without_blank_lines_keeps_its_first_and_last_lines() -> None:
    before, after = VARIANTS["since 2020"]
    text = "\n".join(line for line in (before + BOOK + BOOK * 5 + after).split("\n") if line.strip())
    assert read_book(text).text.split("\n")[0] == "THE LAST LIGHTHOUSE"
    assert read_book(text).text.endswith("by the morning he was gone.\n")


def test_a_book_that_is_not_from_gutenberg_is_left_as_it_is() -> None:
    note = "Produced by the author.\n\n" + BOOK + "\n\nTranscriber's note: none.\n"
    assert read_book(note).text == note
    assert read_book(BOOK).number == ""


def test_a_book_that_speaks_of_the_project_loses_nothing() -> None:
    before, after = VARIANTS["since 2020"]
    body = BOOK + "\n".join(
        f"\nLine {i} of a history of Project Gutenberg and its founder.\n" for i in range(900)
    )
    body += "\nThe small print was read by nobody.\n" + BOOK
    assert read_book(before + body + after).text == body


@given(st.text(alphabet="a \n*[]|+:'", max_size=200), st.text(alphabet="a \n*[]|+:'", max_size=200))
def test_marked_text_is_never_lost(head: str, tail: str) -> None:
    before, after = VARIANTS["in German"]
    text = read_book(before + head + BOOK + tail + after).text
    assert BOOK.strip() in text
    expected, found = (t.rstrip(" *\n") for t in (head + BOOK + tail, text))  # stars go with the note below
    assert re.findall(r"\S+", expected) == re.findall(r"\S+", found)


@pytest.mark.parametrize(
    ("encoding", "declared"),
    [
        ("utf-8", "UTF-8"),
        ("utf-8-sig", "UTF-8"),
        ("latin-1", "ISO-8859-1"),
        ("latin-1", "ISO Latin-1"),
        ("cp1252", "Windows-1252"),
        ("latin-1", "ASCII"),
        ("mac-roman", "Macintosh"),
        ("utf-16", "UTF-16"),
        ("cp1252", "CP-1252"),
        ("cp1252", "CP-1250"),
        ("cp1252", "Windows Code Page 1252"),
        ("latin-1", "ISO-Latin 1"),
        ("latin-1", "ISO-8859-1 (Latin-1)"),
        ("latin-1", "ASCII with a couple of ISO-8859-1 characters"),
        ("latin-1", "UTF-8"),
        ("latin-1", "UTF-16"),
        ("latin-1", "ISO-646-US"),
        ("latin-1", "8bit"),
    ],
)
def test_the_encoding_is_found_or_declared(encoding: str, declared: str) -> None:
    before, after = VARIANTS["since 2020"]
    text = before.format(encoding=declared) + BOOK + after
    assert read_book(decode(text.encode(encoding)) or "").text == BOOK


@pytest.mark.parametrize(
    ("declared", "data", "text"),
    [
        ("CP-1250", "Řeka".encode("cp1250"), "Řeka"),
        ("ISO Latin-2", "Řeka".encode("iso8859-2"), "Řeka"),
        ("Windows Codepage 1251", "Река".encode("cp1251"), "Река"),
        ("KOI8-R", "Река".encode("koi8-r"), "Река"),
        ("Big5", "河".encode("big5"), "河"),
        ("ISO-8859-1", b"\x93caf\xe9\x94 \x81", "“café” \x81"),
        ("UTF-8", "café — ".encode() + b"\xe9\x81", "café — é\x81"),
    ],
)
def test_a_byte_that_is_not_in_the_declared_encoding_costs_no_other(
    declared: str, data: bytes, text: str
) -> None:
    head = HEAD.format(encoding=declared) + START
    assert (decode(head.encode() + data + END.encode()) or "").removeprefix(head).removesuffix(END) == text


def test_bytes_that_are_no_text_are_quarantined(tmp_path: Path, ingested: Callable[..., Artifact]) -> None:
    (tmp_path / "latin.txt").write_bytes(BOOK.encode("latin-1"))  # and nothing says so
    (tmp_path / "nul.txt").write_bytes(BOOK.encode() + b"\0")
    (tmp_path / "binary.txt").write_bytes(HEAD.format(encoding="CP-1252").encode() + b"\xe9\0")
    (tmp_path / "long.txt").write_bytes(BOOK.encode() * 200)
    (tmp_path / "good.txt").write_text(BOOK)
    counts = ingested(books(tmp_path / "*.txt", max_record_bytes=20_000)).counts
    assert counts["documents"] == 1 and counts["raw"] == 5
    assert {k for k in counts if k.startswith("quarantined")} == {
        "quarantined.invalid_utf8",
        "quarantined.nul_byte",
        "quarantined.too_long",
    }


def test_of_the_encodings_of_one_book_the_best_is_read(tmp_path: Path) -> None:
    names = [
        "11.txt",
        "11-8.txt",
        "11-0.txt",
        "11-0.zip",
        "12-8.txt",
        "12.txt",
        "13.zip",
        "13-h.zip",
        "1-2.txt",
        "1-3.txt",
        "pride.txt",
    ]
    for name in [*names, "old/11.txt"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    chosen = ingest.raw_files("books", books(tmp_path / "*.*", tmp_path / "old/*"))
    found = sorted(raw.url.removeprefix(f"file://{tmp_path}/") for raw in chosen)
    assert found == ["1-2.txt", "1-3.txt", "11-0.txt", "12-8.txt", "13.zip", "old/11.txt", "pride.txt"]


def test_a_name_may_say_that_a_book_is_utf_8(tmp_path: Path, ingested: Callable[..., Artifact]) -> None:
    """The names are those of gutenberg.org, and those of its cache."""
    before, after = VARIANTS["since 2020"]
    text = before.format(encoding="UTF-8") + BOOK + after
    (tmp_path / "4242.txt.utf-8").write_text(text)
    (tmp_path / "pg4243.txt.utf8").write_text(text)
    with zipfile.ZipFile(tmp_path / "4244.zip", "w") as file:
        file.writestr("4244.txt.utf-8", text)
    (tmp_path / "ls-lR").write_text(".:\ntotal 2\n4242.txt.utf-8\npg4243.txt.utf8\n")
    for url in (tmp_path / "42*", tmp_path / "pg*", f"list+{tmp_path}/ls-lR#*.txt.utf*"):
        artifact = ingested(books(url))
        assert {d.text for d in documents_of(artifact)} == {BOOK}
        assert artifact.counts["documents"] == artifact.counts["raw"] == (1 if "pg" in str(url) else 2)


def test_of_a_book_and_its_utf_8_one_is_read(tmp_path: Path) -> None:
    names = ["11.txt", "11.txt.utf-8", "12-0.txt", "12.txt.utf-8", "pg13.txt", "pg13.txt.utf8", "pg14.txt"]
    for name in names:
        (tmp_path / name).write_bytes(b"")
    chosen = ingest.raw_files("books", books(tmp_path / "*.txt*"))
    found = sorted(raw.url.removeprefix(f"file://{tmp_path}/") for raw in chosen)
    assert found == ["11.txt.utf-8", "12-0.txt", "pg13.txt.utf8", "pg14.txt"]


def test_a_zip_of_a_mirror_is_a_book(tmp_path: Path, ingested: Callable[..., Artifact]) -> None:
    before, after = VARIANTS["since 2020"]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(
            "4242/4242-8.txt", (before.format(encoding="ISO-8859-1") + BOOK + after).encode("latin-1")
        )
        file.writestr("4242/cover.jpg", b"\xff\xd8")
    (tmp_path / "4242-8.zip").write_bytes(packed.getvalue())
    artifact = ingested(books(tmp_path / "4242-8.zip"), "books")
    [document] = documents_of(artifact)
    assert document.text == BOOK
    assert document.url == "https://www.gutenberg.org/ebooks/4242"
    assert (document.language, document.date, document.license) == (
        "en",
        "1998-06-03",
        "public domain in the USA",
    )
    assert json.loads(document.meta)["author"] == "A. Writer"
    assert artifact.counts["non_content.other_file"] == 1 and is_conserved(artifact.counts)


def test_a_copyrighted_book_of_gutenberg_is_left_out(
    tmp_path: Path, ingested: Callable[..., Artifact]
) -> None:
    before, after = (
        part.replace("THE PROJECT", "THE COPYRIGHTED PROJECT") for part in VARIANTS["since 2020"]
    )
    (tmp_path / "a.txt").write_text(before + BOOK + after)
    assert ingested(books(tmp_path / "a.txt")).counts["dropped.copyrighted"] == 1


def test_books_of_ones_own_keep_their_fields(tmp_path: Path, ingested: Callable[..., Artifact]) -> None:
    write_jsonl(
        tmp_path / "a.jsonl.gz", [{"text": BOOK, "title": "One", "license": "CC0-1.0"}, {"title": "none"}]
    )
    pq.write_table(pa.table({"text": [BOOK], "author": ["Two"], "language": ["de"]}), tmp_path / "b.parquet")
    artifact = ingested(books(tmp_path / "[ab].*"))
    one, two = sorted(documents_of(artifact), key=lambda d: d.url)
    assert (one.text, one.license, json.loads(one.meta)["title"]) == (BOOK, "CC0-1.0", "One")
    assert (two.language, json.loads(two.meta)["author"]) == ("de", "Two")
    assert artifact.counts["quarantined.no_text"] == 1 and is_conserved(artifact.counts)


@needs_samples
def test_real_books_begin_and_end_with_their_own_lines(ingested: Callable[..., Artifact]) -> None:
    artifact = ingested(books(SAMPLES / "gutenberg/*.txt"), "books")
    found = {d.url.rsplit("/", 1)[-1]: d for d in documents_of(artifact)}
    ends = {
        "11": ("ALICE’S ADVENTURES IN WONDERLAND", "              THE END"),
        "84": ("Frankenstein;", "lost in darkness and distance."),
        "1342": ("PRIDE AND PREJUDICE", "her into Derbyshire, had been the means of uniting them."),
        "2701": ("MOBY-DICK;", "children, only found another orphan."),
        "8868": ("BOTCHAN (MASTER DARLING)", "[R: Rad]"),
    }
    lines = {number: d.text.removesuffix("\n").split("\n") for number, d in found.items()}
    assert {n: (own[0], own[-1]) for n, own in lines.items()} == ends
    for number, own in lines.items():
        edges = "\n".join(own[:100] + own[-100:])
        assert "gutenberg" not in edges.lower() and "Produced by" not in edges, number
        assert found[number].language == "en" and len(found[number].date) >= 7
    assert artifact.counts["raw"] == artifact.counts["documents"] == 5
