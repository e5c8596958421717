"""arXiv's sources: the bulk tars, or single bundles. One document a paper, as running text (`latex`).

A raw record is a file of a paper: those that its text was made of are the members of the document, the
others are non-content by kind (figures, bibliographies, styles), or dropped as `unused_file`. Each file of a
bundle that is a paper by itself gives a document, as arXiv prints it. Archives are read as streams, member
by member, and in a tar every `.gz` is a bundle.
"""

from collections.abc import Iterator

from llama_core.corpus.document import NonContent, Outcome, Quarantined
from llama_core.corpus.formats.member import name_error
from llama_core.corpus.formats.streams import GZIP, chunks
from llama_core.corpus.formats.tar import Stream, Tar, is_tar
from llama_core.corpus.recipe import Arxiv
from llama_core.corpus.sources.arxiv_paper import Bundle, BundlePlace, is_bundle, kind_of_paper
from llama_core.corpus.sources.raw import Raw, find_files, open_unchanged

ENDINGS = (".tar", ".tar.gz", ".tgz", ".gz", ".tex", ".ltx")

_HEAD = 1024  # first bytes of a file, which tell what it is
_TRAILING = "trailing_data"  # the error of bytes after a paper that is whole


def raw_files(source: Arxiv, key: str) -> list[Raw]:
    """Return the files of a source. Raises InputError."""
    return find_files(source, key, ENDINGS)


def read(source_name: str, source: Arxiv, raw: Raw) -> Iterator[Outcome]:
    """Yield an outcome for every file of every paper.

    Raises InputError, and StoreError where the file cannot be read on.
    """
    with open_unchanged(source, raw) as file:
        stream = Stream(chunks(file, ""))
        if stream.peek(2) == GZIP:
            stream = Stream(chunks(stream, ".gz", _TRAILING))
        yield from _read(stream, BundlePlace(source_name, source, raw.url))


def _read(stream: Stream, place: BundlePlace) -> Iterator[Outcome]:
    """Read a tar of bundles, a bundle, or the one file of a paper."""
    if not is_tar(stream.peek(_HEAD)):
        yield from _read_single(stream, place)
        return
    bundle, tar, stems = Bundle(place), Tar(stream), {place.stem}
    for member in tar:
        name = member.name.removeprefix("./")
        record = place.record(name or f"@{member.offset}")
        if member.error:
            yield Quarantined(record, member.offset, member.error)
        elif member.kind != "file":
            yield NonContent(member.kind)
        elif error := name_error(name):
            yield Quarantined(record, member.offset, error)
        elif place.in_tar or not is_bundle(name):
            yield from bundle.take(name, tar.read(), member.offset)
        else:
            inner = place.inside(name, member.offset, stems)
            stems.add(inner.stem)
            yield from _read_packed(tar.read(), inner)
    yield from bundle.papers()


def _read_packed(pieces: Iterator[bytes | str], place: BundlePlace) -> Iterator[Outcome]:
    """Read a bundle that is a member of a tar."""
    member = Stream(pieces)
    if member.peek(2) != GZIP:
        yield from _read(member, place)
        return
    unpacked = Stream(chunks(member, ".gz", _TRAILING))
    yield from _read(unpacked, place)
    if member.error and not unpacked.error:
        yield Quarantined(place.record(f"@{unpacked.at}"), unpacked.at, member.error)


def _read_single(stream: Stream, place: BundlePlace) -> Iterator[Outcome]:
    if kind := kind_of_paper(stream.peek(_HEAD)):
        yield NonContent(kind)
        while stream.read(1 << 20):
            pass
        if stream.error:
            yield Quarantined(place.record(f"@{stream.at}"), stream.at, stream.error)
        return
    bundle = Bundle(place)
    yield from bundle.take(place.stem + ".tex", _pieces(stream), 0)
    if stream.error == _TRAILING:
        yield Quarantined(place.record(f"@{stream.at}"), stream.at, stream.error)
    yield from bundle.papers()


def _pieces(stream: Stream) -> Iterator[bytes | str]:
    while piece := stream.read(1 << 20):
        yield piece
    if stream.error not in ("", _TRAILING):
        yield stream.error
