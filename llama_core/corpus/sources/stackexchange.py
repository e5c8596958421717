"""Stack Exchange dumps: one document a question, with its answers by score, highest first.

A document reads `Q: title`, the question's body, and `A: ` with each answer, parted by empty lines. Answers
of equal score come in the order of their ids; the accepted one has no privilege (Touvron et al. 2023,
section 2.1: sorted by score). A question without answers is a document of its own, a question without a
body is its title; an answer without text is dropped as `empty`.

A row that is no XML, as with a bare `<` or a byte that is not UTF-8, is read by its attributes and counted as
`mended_rows`, so that the answers to a question keep it.

A raw record is a row of Posts.xml, or another member of the archive as a whole. Posts may be any distance
apart: rows are sorted by question outside of memory, and documents come in the order of their questions' ids.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from llama_core.corpus.document import (
    Document,
    Dropped,
    NonContent,
    Noted,
    Outcome,
    Quarantined,
    document_id,
)
from llama_core.corpus.formats.sevenzip import SevenZip
from llama_core.corpus.formats.sevenzip_directory import SevenZipMember
from llama_core.corpus.formats.spill import Spill
from llama_core.corpus.formats.streams import chunks
from llama_core.corpus.formats.xml_stream import Elements, loose_attributes, parse
from llama_core.corpus.markup.html import to_text
from llama_core.corpus.markup.newlines import code_with_newlines, with_newlines
from llama_core.corpus.recipe import StackExchange
from llama_core.corpus.sources import rules
from llama_core.corpus.sources.raw import Raw, find_files, open_unchanged

ENDINGS = (".7z", ".xml", ".xml.gz", ".xml.bz2", ".xml.zst")

# The 28 largest sites of https://archive.org/download/stackexchange by the size of their archives.
LARGEST_SITES = (
    "stackoverflow.com-Posts.7z", "math.stackexchange.com.7z", "superuser.com.7z", "serverfault.com.7z",
    "askubuntu.com.7z", "electronics.stackexchange.com.7z", "physics.stackexchange.com.7z",
    "unix.stackexchange.com.7z", "tex.stackexchange.com.7z", "stats.stackexchange.com.7z",
    "mathoverflow.net.7z", "ru.stackoverflow.com.7z", "english.stackexchange.com.7z",
    "apple.stackexchange.com.7z", "softwareengineering.stackexchange.com.7z", "gis.stackexchange.com.7z",
    "gaming.stackexchange.com.7z", "salesforce.stackexchange.com.7z", "wordpress.stackexchange.com.7z",
    "magento.stackexchange.com.7z", "dba.stackexchange.com.7z", "scifi.stackexchange.com.7z",
    "codereview.stackexchange.com.7z", "worldbuilding.stackexchange.com.7z", "blender.stackexchange.com.7z",
    "codegolf.stackexchange.com.7z", "sharepoint.stackexchange.com.7z", "drupal.stackexchange.com.7z",
)  # fmt: skip

_SITE = re.compile(
    r"(?:[a-z0-9-]+\.)*(?:stackexchange|stackoverflow|serverfault|superuser|askubuntu|stackapps|mathoverflow)"
    r"\.(?:com|net)"
)
_LANGUAGES = {"ru": "ru", "es": "es", "pt": "pt", "ja": "ja", "rus": "ru"}
# PostTypeId, after https://meta.stackexchange.com/questions/2677: questions and answers are 1 and 2.
_KINDS = {
    3: "wiki", 4: "tag_excerpt", 5: "tag_wiki", 6: "moderator_nomination", 7: "wiki_placeholder",
    8: "privilege_wiki", 9: "article", 10: "help_article", 12: "collection", 13: "moderator_statement",
    14: "announcement", 15: "collective_discussion", 17: "collective_collection",
}  # fmt: skip
_QUESTION, _ANSWER = 1, 2
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
# The licence of posts that were written before each date: https://stackoverflow.com/help/licensing
_LICENSES = (("2011-04-08", "CC-BY-SA-2.5"), ("2018-05-02", "CC-BY-SA-3.0"), (":", "CC-BY-SA-4.0"))
_ROW = rb"<row(?=[\s/>])"
_ROW_END = rb"[\"']\s{0,8}/>|</row>|(?<=<row)\s{0,8}/>"  # a value may hold `/>`, not after a quote
_CLOSED = re.compile(rb"(?:/>|</row>)\s*\Z")
_MAX_INT = 1 << 62
_OTHER_MEMBERS = frozenset(("badges", "comments", "posthistory", "postlinks", "tags", "users", "votes"))


@dataclass(frozen=True, slots=True)
class Post:
    """A row of Posts.xml, as far as it is used."""

    id: int
    offset: int
    """The row's first byte in the decompressed Posts.xml."""
    score: int
    body: str
    title: str
    tags: list[str]
    date: str
    license: str

    @classmethod
    def of(cls, data: bytes, offset: int) -> "Post":
        """Return the post of a row that was parsed before without an error."""
        row = _attributes(data, Counter())
        assert not isinstance(row, str), "a row was parsed before it was put aside"
        return cls(
            id=int(row["Id"]),
            offset=offset,
            score=_score(row),
            body=row.get("Body", ""),
            title=" ".join(row.get("Title", "").split()),
            tags=[tag for tag in re.split(r"[<>|]", row.get("Tags", "")) if tag],
            date=row.get("CreationDate", ""),
            license=row.get("ContentLicense", ""),
        )


@dataclass
class _Question:
    """A question that is being put together from its rows, which come in order."""

    id: int
    texts: list[str] = field(default_factory=list)
    answers: list[Post] = field(default_factory=list)
    question: Post | None = None
    bytes: int = 0
    seen: set[int] = field(default_factory=set)


def raw_files(source: StackExchange, key: str) -> list[Raw]:
    """Return the files of a source. Raises InputError."""
    return find_files(source, key, ENDINGS)


def read(source_name: str, source: StackExchange, raw: Raw) -> Iterator[Outcome]:
    """Yield an outcome for every row of Posts.xml, and for every other member of an archive.

    Raises InputError, and StoreError where the file cannot be read on.
    """
    with open_unchanged(source, raw) as file:
        if not raw.url.lower().endswith(".7z"):
            yield from _read_posts(chunks(file, raw.url.lower()), _Place(source_name, source, raw.url))
            return
        archive = SevenZip(file)
        if archive.error:
            yield Quarantined(raw.url, 0, archive.error)
        for member, error in archive.members():
            if member.kind != "file":
                yield NonContent(member.kind)
            elif error and (_is_posts(member) or error == "unsafe_path"):
                yield Quarantined(_printable(f"{raw.url}#{member.name}"), 0, error)
            elif not _is_posts(member):
                yield NonContent(_kind_of_member(member))
        for member, pieces in archive.read(_is_posts):
            yield from _read_posts(
                pieces, _Place(source_name, source, _printable(f"{raw.url}#{member.name}"))
            )


def site_of(url: str) -> str:
    """Return the site that a dump is of, by the name of its file or folder; empty if they do not say."""
    for part in reversed(unquote(url).lower().rsplit("/", 2)[-2:]):
        if found := _SITE.search(part):
            return found[0]
    return ""


def language_of(site: str) -> str:
    """Return the language of a site: sites named after a language are about it, in English, but for a few."""
    return _LANGUAGES.get(site.split(".")[0], "en")


def _is_posts(member: SevenZipMember) -> bool:
    name = member.name.replace("\\", "/").rsplit("/", 1)[-1]
    return member.kind == "file" and name.lower() == "posts.xml"


def _kind_of_member(member: SevenZipMember) -> str:
    stem = member.name.rsplit("/", 1)[-1].lower().removesuffix(".xml")
    return stem if stem in _OTHER_MEMBERS else "other_file"


def _printable(name: str) -> str:
    return name.encode("utf-8", "replace").decode().replace("\0", "")


def _read_posts(pieces: Iterator[bytes | str], place: "_Place") -> Iterator[Outcome]:
    limit = place.source.max_record_bytes
    rows = Elements(pieces, "posts", _ROW, _ROW_END, limit, keeps_unclosed=True)
    others: Counter[str] = Counter()
    noted: Counter[str] = Counter()
    with Spill(width=5) as spill:
        for offset, data in rows:
            found = data if isinstance(data, str) else _key(data, offset, noted)
            if isinstance(found, str):
                if found.startswith("kind."):
                    others[found.removeprefix("kind.")] += 1
                else:
                    yield Quarantined(f"{place.posts}#{offset}", offset, found)
            else:
                assert isinstance(data, bytes)
                spill.put(found, data)
        if noted:
            yield Noted(noted)
        for kind, count in sorted(others.items()):
            yield NonContent(kind, count)
        yield from _documents(spill, place)


def _key(data: bytes, offset: int, noted: Counter[str]) -> tuple[int, ...] | str:
    """Return what a question or an answer is sorted by: (question, type, -score, id, offset).

    Returns `kind.NAME` for another post, and the error's name for a row that cannot be read.
    """
    row = _attributes(data, noted)
    if isinstance(row, str):
        return row
    try:
        kind, post = int(row["PostTypeId"]), int(row["Id"])
        if kind not in (_QUESTION, _ANSWER):
            return f"kind.{_KINDS.get(kind, 'other_post')}"
        question = post if kind == _QUESTION else int(row.get("ParentId", 0))
        key = (question, kind, -_score(row), post, offset)
    except (KeyError, ValueError):
        return "bad_fields"
    if max(map(abs, key)) > _MAX_INT:
        return "bad_fields"
    return key


def _attributes(data: bytes, noted: Counter[str]) -> dict[str, str] | str:
    """Return the attributes of a row, or the name of what is wrong with it. Counts the `mended_rows`."""
    element = parse(data)
    if not isinstance(element, str):
        return element.attrib
    found = None if element == "too_many_elements" else loose_attributes(data)
    if found is None or not {"Id", "PostTypeId"} <= found.keys():
        return element if _CLOSED.search(data) else "unclosed"
    noted["mended_rows"] += 1
    return found


def _score(row: dict[str, str]) -> int:
    return int(row.get("Score") or 0)


@dataclass(frozen=True, slots=True)
class _Place:
    """The place of posts: a Posts.xml."""

    source_name: str
    source: StackExchange
    posts: str
    """Its URL; that of its archive, with the member's name after a `#`, where it is in one."""

    @property
    def site(self) -> str:
        return site_of(self.posts.partition("#")[0])


def _documents(rows: Iterable[tuple[tuple[int, ...], bytes]], place: _Place) -> Iterator[Outcome]:
    open_question: _Question | None = None
    for (number, kind, _, post_id, offset), data in rows:
        if open_question is None or open_question.id != number:
            if open_question is not None:
                yield from _finish(open_question, place)
            open_question = _Question(number)
        yield from _add(open_question, kind, post_id, offset, data, place)
    if open_question is not None:
        yield from _finish(open_question, place)


def _add(
    question: _Question, kind: int, post_id: int, offset: int, data: bytes, place: _Place
) -> Iterator[Outcome]:
    """Add a post to its question, or yield why not."""
    record = f"{place.posts}#{post_id}"
    if kind == _ANSWER and question.question is None:
        yield Dropped("orphan_answer", record)
        return
    if post_id in question.seen:
        yield Dropped("repeated_post", record)
        return
    question.bytes += len(data)
    if question.bytes > place.source.max_record_bytes:
        yield Quarantined(record, offset, "too_long")
        return
    question.seen.add(post_id)
    post = Post.of(data, offset)
    text = with_newlines(to_text(code_with_newlines(post.body)))  # white space of HTML first, then the rest
    if error := rules.text_error(text + post.title):
        yield Quarantined(record, offset, error)
    elif not text and (kind == _ANSWER or not post.title):
        yield Dropped("empty", record)
    elif kind == _QUESTION:
        question.question = post
        question.texts.append("\n\n".join(filter(None, (f"Q: {post.title}".rstrip(), text))))
    else:
        question.answers.append(post)
        question.texts.append(f"A: {text}")


def _finish(question: _Question, place: _Place) -> Iterator[Outcome]:
    post = question.question
    if post is None:
        return
    members = 1 + len(question.answers)
    text = "\n\n".join(question.texts)
    record = f"{place.posts}#{post.id}"
    if reason := rules.text_reason(text, place.source.min_chars):
        yield Dropped(reason, record, text)
        for answer in question.answers:
            yield Dropped(reason, f"{place.posts}#{answer.id}")
        return
    meta: dict[str, Any] = {
        "question": post.id,
        "title": post.title,
        "tags": post.tags,
        "score": post.score,
        "answers": [[answer.id, answer.score] for answer in question.answers],
        "offset": post.offset,
    }
    yield Document(
        id=document_id(place.source_name, record),
        text=text,
        source=place.source_name,
        url=f"https://{place.site}/questions/{post.id}" if place.site else record,
        license=_license(post) or place.source.license,
        language=language_of(place.site),
        date=post.date,
        meta=json.dumps(meta, ensure_ascii=False),
        members=members,
    )


def _license(post: Post) -> str:
    """Return the SPDX name of the licence that a post states, such as `CC BY-SA 4.0`, or else of its date's.

    Dumps older than the attribute state none. The name is empty where there is no date either.
    """
    if post.license or not _DATE.match(post.date):
        return "-".join(post.license.upper().split())
    return next(license for until, license in _LICENSES if post.date < until)
