"""Wikipedia's `pages-articles` dumps: one document an article, as plain text (`wikitext`).

A raw record is a page. Redirects, pages outside of the article namespace and pages that are not wikitext are
non-content; disambiguation pages, which are lists of links, are dropped by that name.

A first reading collects the templates that the files of a language define, for they stand in any of them.
"""

import datetime
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO
from urllib.parse import quote
from xml.etree import ElementTree

import pyarrow as pa

from llama_core.corpus.document import (
    Document,
    Dropped,
    NonContent,
    Noted,
    Outcome,
    Quarantined,
    document_id,
)
from llama_core.corpus.formats.streams import chunks
from llama_core.corpus.formats.xml_stream import Elements, parse
from llama_core.corpus.markup.newlines import with_newlines
from llama_core.corpus.markup.wikitext.expand.definitions import (
    NONE,
    Definition,
    Definitions,
    bounded,
    defined,
)
from llama_core.corpus.markup.wikitext.names import REDIRECTS
from llama_core.corpus.markup.wikitext.page import read_page
from llama_core.corpus.markup.wikitext.tree import TooDeepError
from llama_core.corpus.recipe import Wikipedia
from llama_core.corpus.sources import rules
from llama_core.corpus.sources.raw import Raw, find_files, open_unchanged
from llama_core.errors import InputError

# Not `.xml.bz2`: the parts of a large dump are named `….xml-p1p41242.bz2`.
ENDINGS = (".xml", ".bz2", ".xml.gz", ".xml.zst", ".gz")

_DBNAME = re.compile(rb"<dbname>\s*([a-z0-9_]{1,40}?)wiki\s*</dbname>")
_BASE = re.compile(rb"<base>\s*https?://([a-z-]{2,20})\.(?:m\.)?wikipedia\.org/")
_OTHER_PROJECT = re.compile(rb"<dbname>\s*([a-z0-9_]{1,40})\s*</dbname>")
_NAMESPACE = re.compile(r'<namespace key="(-?[0-9]{1,5})"[^>]{0,80}>([^<]{1,80})</namespace>')
_HIDDEN = ("-2", "6", "14")  # namespaces of media, of files and of categories
_FILE_NAME = re.compile(r"(?:^|/)([a-z_]{2,20})wiki-[^/]*$")
_REDIRECT = re.compile(rf"\s*#\s*(?:{'|'.join(sorted(REDIRECTS))})\s*:?\s*\[\[", re.IGNORECASE)
_TARGET = re.compile(_REDIRECT.pattern + r"\s*([^|\[\]\n]{1,255})", re.IGNORECASE)
_NS = re.compile(rb"<ns>\s*(-?[0-9]{1,6})\s*</ns>")
COLLECTED_SCHEMA = pa.schema([("title", pa.string()), ("target", pa.string()), ("text", pa.string())])


def raw_files(source: Wikipedia, key: str) -> list[Raw]:
    """Return the files of a source. Raises InputError."""
    return find_files(source, key, ENDINGS)


def collect(source: Wikipedia, raw: Raw) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the templates that a dump defines, as rows of `COLLECTED_SCHEMA`, each with the dump's language.

    Raises InputError and StoreError as `read` does.
    """
    with open_unchanged(source, raw) as file:
        pages = _pages(source, raw, file)
        dump: _Dump | None = None
        for _, data in pages:
            if isinstance(data, str):
                continue
            dump = dump or _Dump("", source, raw.url, pages.head)
            if found := dump.template(data):
                yield dump.language, (found.title, found.target, found.text)


def gathered(rows: Iterable[tuple[str, ...]]) -> Definitions:
    """Return the templates of a language out of the rows of all its files."""
    return Definitions(bounded(Definition(*row) for row in rows))


def read(
    source_name: str, source: Wikipedia, raw: Raw, collected: Callable[[str], Definitions] | None = None
) -> Iterator[Outcome]:
    """Yield an outcome for every page of a dump, and what became of the calls of templates on its articles.

    `collected` returns the templates of a language. Raises InputError where the dump is not of a language of
    the recipe or has changed, and StoreError where the file cannot be read on.
    """
    with open_unchanged(source, raw) as file:
        pages = _pages(source, raw, file)
        dump: _Dump | None = None
        for offset, data in pages:
            if isinstance(data, str):
                yield Quarantined(f"{raw.url}#{offset}", offset, data)
                continue
            dump = dump or _Dump(source_name, source, raw.url, pages.head, collected)
            outcome = dump.outcome(offset, data)
            if dump.calls:  # before the page: reading may end with it
                yield Noted({f"templates.{became}": n for became, n in sorted(dump.calls.items())})
                dump.calls.clear()
            yield outcome


def _pages(source: Wikipedia, raw: Raw, file: BinaryIO) -> Elements:
    data = chunks(file, raw.url.lower())
    return Elements(data, "mediawiki", rb"<page>", rb"</page>", source.max_record_bytes)


class _Dump:
    """What the head of a dump says about all of its pages. Raises InputError."""

    def __init__(
        self,
        source_name: str,
        source: Wikipedia,
        url: str,
        head: bytes,
        collected: Callable[[str], Definitions] | None = None,
    ):
        self._source_name, self._source, self._url = source_name, source, url
        self.language = language_of(head, url)
        if self.language not in source.languages:
            raise InputError(
                f"{url} is a dump of {self.language or 'no Wikipedia that its head names'}: "
                f"the source's `languages` are {', '.join(source.languages)}"
            )
        names = _NAMESPACE.findall(head.decode("utf-8", "replace"))
        self._namespaces = {name.strip().lower(): number for number, name in names}
        self._hidden = frozenset(name for name, number in self._namespaces.items() if number in _HIDDEN)
        self._definitions = collected(self.language) if collected else NONE
        self.calls: Counter[str] = Counter()  # of templates on a page, by what became of them

    def template(self, data: bytes) -> Definition | None:
        """Return the template that a page defines, None if it is no page of a template or cannot be read."""
        said = _NS.search(data)
        if (said and int(said[1]) != 10) or isinstance(page := parse(data), str):
            return None
        title, revisions = _text(page, "title"), page.findall("revision")
        if not revisions or (not said and self._namespace_of(title) != "10"):
            return None
        wikitext, redirect = _text(revisions[-1], "text"), page.find("redirect")
        target = redirect.get("title", "") if redirect is not None else ""
        if not target and (found := _TARGET.match(wikitext)):
            target = found[1]
        return defined(title, target, wikitext)

    def outcome(self, offset: int, data: bytes) -> Outcome:
        record = f"{self._url}#{offset}"
        page = parse(data)
        if isinstance(page, str):
            return Quarantined(record, offset, page)
        title, number = _text(page, "title"), _text(page, "id")
        namespace = _text(page, "ns") or self._namespace_of(title)
        revisions = page.findall("revision")
        if not revisions or not re.fullmatch(r"-?[0-9]{1,6}", namespace):
            return Quarantined(record, offset, "no_revision" if not revisions else "bad_fields")
        if int(namespace) != 0:
            return NonContent(f"namespace_{int(namespace)}")
        revision = revisions[-1]
        wikitext = _text(revision, "text")
        if page.find("redirect") is not None or _REDIRECT.match(wikitext):
            return NonContent("redirect")
        if (_text(revision, "model") or "wikitext") != "wikitext":
            return NonContent("not_wikitext")
        return self._article(title, number, revision, wikitext, offset)

    def _namespace_of(self, title: str) -> str:
        """Return the namespace before a title's colon: dumps before the end of 2011 have no `<ns>`."""
        prefix, colon, _ = title.partition(":")
        return self._namespaces.get(prefix.strip().lower(), "0") if colon else "0"

    def _article(
        self, title: str, number: str, revision: ElementTree.Element, wikitext: str, offset: int
    ) -> Outcome:
        record = f"{self._url}#{offset}"
        try:
            today = _day(_text(revision, "timestamp"))
            found = read_page(wikitext, title, self._hidden, self.language, self._definitions, today)
        except TooDeepError:
            return Quarantined(record, offset, "too_deep")
        self.calls.update(found.outcomes)
        text = with_newlines(found.text)
        if error := rules.text_error(text + title):
            return Quarantined(record, offset, error)
        if found.is_disambiguation:
            return Dropped("disambiguation", record, text)
        if reason := rules.text_reason(text, self._source.min_chars):
            return Dropped(reason, record, text)
        meta = {
            "page": number,
            "revision": _text(revision, "id"),
            "title": title,
            "offset": offset,
            "references": found.references,
        }
        return Document(
            id=document_id(self._source_name, record),
            text=text,
            source=self._source_name,
            url=f"https://{self.language}.wikipedia.org/wiki/{quote(title.replace(' ', '_'), safe='/:(),')}",
            license=self._source.license,
            language=self.language,
            date=_text(revision, "timestamp"),
            meta=json.dumps(meta, ensure_ascii=False),
        )


def language_of(head: bytes, url: str) -> str:
    """Return the language of a dump by its head, else by the name of its file; empty if neither says."""
    if found := _DBNAME.search(head):
        return found[1].decode().replace("_", "-")
    if _OTHER_PROJECT.search(head):
        return ""
    if found := _BASE.search(head):
        return found[1].decode()
    named = _FILE_NAME.search(url.lower())
    return named[1].replace("_", "-") if named else ""


def _day(timestamp: str) -> datetime.datetime | None:
    try:
        return datetime.datetime.strptime(timestamp, "%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        return None


def _text(element: ElementTree.Element, name: str) -> str:
    text = element.findtext(name) or ""
    return text if name == "text" else text.strip()
