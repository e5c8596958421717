"""Dumps of Wikipedia and of Stack Exchange in the shapes of the real ones, made by hand."""

import bz2
import gzip
import io
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import py7zr
import zstandard

PROSE = (
    "Der Text eines Artikels ist lang genug, um nicht als zu kurz verworfen zu werden, und er besteht aus "
    "ganzen Sätzen, wie sie in einer Enzyklopädie stehen. Er hat noch einen zweiten Satz, zum Lesen. "
    "Ein dritter schließt ihn ab. "
)
PACKINGS = {
    "": lambda data: data,
    ".bz2": bz2.compress,
    ".gz": lambda data: gzip.compress(data, mtime=0),
    ".zst": lambda data: zstandard.ZstdCompressor().compress(data),
}


def page(
    number: int,
    title: str,
    text: str,
    ns: int = 0,
    redirect: str = "",
    model: str = "wikitext",
    more: str = "",
) -> str:
    target = f"    <redirect title={quoteattr(redirect)} />\n" if redirect else ""
    return f"""  <page>
    <title>{escape(title)}</title>
    <ns>{ns}</ns>
    <id>{number}</id>
{target}    <revision>
      <id>{1000 + number}</id>
      <parentid>1</parentid>
      <timestamp>2022-06-0{number % 9 + 1}T12:00:00Z</timestamp>
      <contributor><username>A &amp; B</username><id>7</id></contributor>
      <comment>/* x */ &lt;page&gt;</comment>
      <model>{model}</model>
      <format>text/x-wiki</format>
      <text xml:space="preserve">{escape(text)}</text>
      <sha1>abc</sha1>{more}
    </revision>
  </page>
"""


def head(language: str = "de", namespaces: dict[int, str] | None = None, version: str = "0.10") -> str:
    names = {6: "Datei", 10: "Vorlage", 14: "Kategorie"} if namespaces is None else namespaces
    listed = "".join(
        f'      <namespace key="{k}" case="first-letter">{v}</namespace>\n' for k, v in names.items()
    )
    schema = f'xmlns="http://www.mediawiki.org/xml/export-{version}/" version="{version}"'
    return f"""<mediawiki {schema} xml:lang="{language}">
  <siteinfo>
    <sitename>Wikipedia</sitename>
    <dbname>{language}wiki</dbname>
    <base>https://{language}.wikipedia.org/wiki/Main</base>
    <namespaces>
      <namespace key="0" case="first-letter" />
{listed}    </namespaces>
  </siteinfo>
"""


def wiki(*pages: str, **of_head: Any) -> bytes:
    return (head(**of_head) + "".join(pages) + "</mediawiki>\n").encode()


def multistream(data: bytes, streams: int = 4) -> bytes:
    """Pack a dump as Wikimedia's `-multistream` files are: several bzip2 streams, cut between pages."""
    pieces = data.split(b"  <page>")
    parts = [pieces[0], *(b"  <page>" + piece for piece in pieces[1:])]
    size = -(-len(parts) // streams)
    return b"".join(bz2.compress(b"".join(parts[i : i + size])) for i in range(0, len(parts), size))


def row(number: int, kind: int = 1, **fields: Any) -> str:
    """A row of Posts.xml: `parent`, `score`, `body`, `title`, `tags`, and others by their own names."""
    names = {"parent": "ParentId", "score": "Score", "body": "Body", "title": "Title", "tags": "Tags"}
    given = {"score": 0, "CreationDate": "2020-01-02T03:04:05.678"} | fields
    attributes = {"Id": number, "PostTypeId": kind} | {names.get(k, k): v for k, v in given.items()}
    listed = " ".join(f"{k}={_attribute(str(v))}" for k, v in attributes.items() if v is not None)
    return f"  <row {listed} />\n"


def _attribute(value: str) -> str:
    """Quote an attribute as .NET does: between double quotes, with `>` and line ends escaped."""
    return '"' + escape(value, {'"': "&quot;", "\n": "&#xA;", "\r": "&#xD;"}) + '"'


def posts(*rows: str, encoding: str = "utf-8") -> bytes:
    text = f'<?xml version="1.0" encoding="{encoding}"?>\n<posts>\n{"".join(rows)}</posts>'
    return (b"\xef\xbb\xbf" if encoding == "utf-8" else b"") + text.encode(encoding)


def sevenzip(members: dict[str, bytes], packed_directory: bool = True, **how: Any) -> bytes:
    packed = io.BytesIO()
    with py7zr.SevenZipFile(packed, "w", **how) as archive:
        archive.set_encoded_header_mode(packed_directory)
        for name, data in members.items():
            archive.writef(io.BytesIO(data), name)
    return packed.getvalue()


def site(*rows: str) -> dict[str, bytes]:
    """The members of a site's archive."""
    others = ("Badges", "Comments", "PostHistory", "PostLinks", "Tags", "Users", "Votes")
    empty = {f"{name}.xml": f"<{name.lower()}>\n</{name.lower()}>".encode() for name in others}
    return dict(sorted((empty | {"Posts.xml": posts(*rows)}).items()))
