"""The files of one arXiv paper: which of them are text, what the others are, and the documents they make."""

import json
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from llama_core.corpus.document import Document, Dropped, NonContent, Outcome, Quarantined, document_id
from llama_core.corpus.markup.latex.encoding import declared_codec, decode, decode_as
from llama_core.corpus.markup.latex.expansion.reader import MacroBomb
from llama_core.corpus.markup.latex.files import language_of
from llama_core.corpus.markup.latex.main import top_files
from llama_core.corpus.markup.latex.paper import Paper, read_paper
from llama_core.corpus.recipe import Arxiv
from llama_core.corpus.sources import rules

_MAX_PAPERS = 8  # papers of a bundle
_MAX_FILES = 10_000  # files that a paper's text may be made of
_FILE_BYTES = 256  # what a file costs in memory beside its text
_MAX_TITLE_CHARS, _MAX_NOTED = 500, 50

_OLD_ARCHIVES = (
    "acc-phys|adap-org|alg-geom|ao-sci|astro-ph|atom-ph|bayes-an|chao-dyn|chem-ph|cmp-lg|comp-gas|cond-mat|cs"
    "|dg-ga|funct-an|gr-qc|hep-ex|hep-lat|hep-ph|hep-th|math|math-ph|mtrl-th|nlin|nucl-ex|nucl-th|patt-sol"
    "|physics|plasm-ph|q-alg|q-bio|quant-ph|solv-int|supr-con"
)
# https://info.arxiv.org/help/arxiv_identifier.html
_ID = re.compile(r"(?P<id>(?P<yy>\d\d)(?P<mm>0[1-9]|1[0-2])\.\d{4,5})(?P<version>v\d{1,3})?(?![0-9])")
_OLD_ID = re.compile(
    rf"(?:.*/)?(?P<archive>{_OLD_ARCHIVES})(?:\.[A-Za-z]{{2}})?[/_]?"
    r"(?P<number>(?P<yy>\d\d)(?P<mm>0[1-9]|1[0-2])\d{3})(?P<version>v\d{1,3})?(?![0-9])"
)
_PACKED = re.compile(r"(?:\.tar)?\.gz$|\.tgz$|\.tar$", re.IGNORECASE)
_WITHDRAWN = re.compile(r"\bwithdrawn\b", re.IGNORECASE)
_WITHDRAWN_CHARS = 2000  # a longer text is a paper that mentions a withdrawal

_KINDS = {
    f".{ending}": kind
    for kind, endings in {
        "tex": "tex ltx latex",
        "figure": "eps ps epsf epsi epsfi pdf png jpg jpeg gif svg bmp tif tiff ai fig emf wmf webp jp2 xbm",
        "bibliography": "bbl",
        "bibliography_data": "bib",
        "style": "sty cls bst clo cfg def fd ist ldf dtx ins bbx cbx lbx",
        "font": "ttf otf pfb pfm tfm afm vf mf pk enc map",
        "archive": "gz tgz tar zip bz2 xz 7z rar z",
        "video": "mp4 avi mov mpg mpeg wmv webm mp3 wav swf",
        "binary": "doc docx xls xlsx ppt pptx mat npy npz h5 hdf5 pkl exe dll fits nb root odt djvu",
        "build_file": "aux log out toc lof lot blg fls fdb_latexmk nav snm spl idx ind ilg glo gls run",
    }.items()
    for ending in endings.split()
}
_TEXT = frozenset(("tex", "style", "bibliography", "readme", "other_file"))  # \input may ask for these


@dataclass(frozen=True, slots=True)
class BundlePlace:
    """The place of a bundle: a raw file, or a member of one."""

    source_name: str
    source: Arxiv
    url: str
    member: str = ""
    """Its name in the tar that it is a member of; empty where it is the raw file itself."""
    offset: int = 0
    """Where the member begins in the decompressed tar."""
    again: bool = False
    """True if an earlier bundle of the same tar has the same name."""

    def inside(self, member: str, offset: int, stems: Collection[str]) -> "BundlePlace":
        """Return the place of a member of this tar, which has had bundles of the names `stems`."""
        place = replace(self, member=member, offset=offset)
        return replace(place, again=place.stem in stems)

    @property
    def in_tar(self) -> bool:
        """True if the bundle is a member of a tar."""
        return bool(self.member)

    @property
    def stem(self) -> str:
        """The bundle's name without what says how it is packed."""
        name = (self.member or self.url).rsplit("/", 1)[-1]
        return _PACKED.sub("", name).removesuffix(".tex").removesuffix(".ltx") or "paper"

    def record(self, file: str = "") -> str:
        """Return the name of a file of the bundle as a raw record."""
        return "#".join(filter(None, (self.url, self.member, file)))

    def identity(self) -> tuple[str, str, str]:
        """Return what the document's id is made of, its URL and its date.

        They come from the arXiv id where the bundle's name gives one.
        """
        stem = self.stem
        found = _ID.match(stem) or _OLD_ID.match(_PACKED.sub("", self.member or self.url))
        record = self.record(f"@{self.offset}" if self.again else "")
        if not found:
            return record, record, ""
        number = found["id"] if "id" in found.re.groupindex else f"{found['archive']}/{found['number']}"
        year = int(found["yy"])
        date = f"{1900 + year if year > 90 else 2000 + year}-{found['mm']}"
        url = f"https://arxiv.org/abs/{number}{found['version'] or ''}"
        return record if self.again else f"arXiv:{stem}", url, date


class Bundle:
    """The files of one paper, or of several that were sent together."""

    def __init__(self, place: BundlePlace):
        self._place = place
        self._files: dict[str, str] = {}
        self._undecoded: dict[str, bytes] = {}  # files whose text in `_files` is empty until they are decoded
        self._codecs: dict[str, str] = {}  # the encodings that files declare
        # Bytes that may still be read: data and styles have a share of their own, to leave the paper its own.
        self._left = {"tex": place.source.max_record_bytes, "": place.source.max_record_bytes // 4}

    def take(self, name: str, pieces: Iterable[bytes | str], offset: int) -> Iterator[Outcome]:
        """Read a file, or yield why it is not read. A file that is read gets its outcome from `papers`."""
        kind, record = kind_of_file(name), self._place.record(name)
        if kind not in _TEXT:
            yield NonContent("pdf" if kind == "figure" and _is_paper(name) else kind)
            return
        data = self._collect(kind, pieces)
        if data in ("too_long", "too_many_files") and kind != "tex":
            yield NonContent(kind)
            return
        if isinstance(data, str):
            yield Quarantined(record, offset, data)
            return
        text = decode(data)
        if text is None:
            error = "invalid_text" if data.startswith((b"\xff", b"\xfe")) else "nul_byte"
            yield Quarantined(record, offset, error) if kind == "tex" else NonContent("binary")
            return
        if name in self._files:
            yield Dropped("replaced", record)
        self._keep(name, data, text)

    def _keep(self, name: str, data: bytes, text: str | bytes) -> None:
        for held in (self._undecoded, self._codecs):
            held.pop(name, None)
        if (codec := declared_codec(data)) is not None:
            self._codecs[name] = codec
        if isinstance(text, bytes):
            self._undecoded[name] = text
        self._files[name] = "" if isinstance(text, bytes) else text

    def _collect(self, kind: str, pieces: Iterable[bytes | str]) -> bytes | str:
        """Return all bytes of a file, or the error's name."""
        if len(self._files) >= _MAX_FILES:
            return "too_many_files"
        share = kind if kind == "tex" else ""
        held: list[bytes] = []
        left = self._left[share] - _FILE_BYTES
        for piece in pieces:
            if isinstance(piece, str):
                return piece
            left -= len(piece)
            if left < 0:
                return "too_long"
            held.append(piece)
        self._left[share] = left
        return b"".join(held)

    def papers(self) -> Iterator[Outcome]:
        """Yield the documents, and an outcome for each file that is in none of them."""
        self._decode_rest()
        rest = dict.fromkeys(self._files)
        left_out: list[tuple[list[str], str, str]] = []  # files, the reason, and their text
        for main in top_files(self._files)[:_MAX_PAPERS]:
            if main not in rest:
                continue
            try:
                paper = read_paper(self._files, main)
            except MacroBomb:
                left_out.append(([main], "macro_bomb", ""))
                rest.pop(main)
                continue
            mine = [p for p in paper.used if p in rest and kind_of_file(p) != "bibliography"]
            for path in mine:
                rest.pop(path)
            if reason := self._reason(paper, main):
                left_out.append((mine, reason, paper.text))
            else:
                yield self._document(paper, main, len(mine))
        for paths, reason, text in left_out:
            for path in paths:
                record = self._place.record(path)
                if reason == "macro_bomb":
                    yield Quarantined(record, self._place.offset, reason)
                else:
                    yield Dropped(reason, record, text if path == paths[0] else "")
        some = len(rest) < len(self._files)
        for path in rest:
            kind = kind_of_file(path)
            if kind == "tex":
                yield Dropped("unused_file" if some else "no_main_file", self._place.record(path))
            else:
                yield NonContent(kind)

    def _decode_rest(self) -> None:
        """Decode the files that declare no encoding as the paper's main file does, else as any other file."""
        said = (*top_files(self._files), *self._codecs) if self._undecoded else ()
        codec = next((self._codecs[path] for path in said if path in self._codecs), "")
        for path in [*self._undecoded]:
            self._files[path] = decode_as(self._undecoded.pop(path), codec)

    def _reason(self, paper: Paper, main: str) -> str | None:
        if len(paper.text) < _WITHDRAWN_CHARS and _WITHDRAWN.search(self._files[main]):
            return "withdrawn"
        return rules.text_reason(paper.text, self._place.source.min_chars)

    def _document(self, paper: Paper, main: str, members: int) -> Document:
        place = self._place
        key, url, date = place.identity()
        meta = {
            "title": paper.title[:_MAX_TITLE_CHARS],
            "main": main,
            "files": paper.used[:_MAX_NOTED],
            "missing": paper.missing[:_MAX_NOTED],
            "offset": place.offset,
        } | ({"member": place.member} if place.member else {})
        return Document(
            id=document_id(place.source_name, f"{key}#{main}"),
            text=paper.text,
            source=place.source_name,
            url=url,
            license=place.source.license,
            language=language_of(self._files[main]),
            date=date,
            meta=json.dumps(meta, ensure_ascii=False),
            members=members,
        )


def is_bundle(name: str) -> bool:
    """Tell whether a member of a tar is a bundle of its own: a `.gz` file that is not a figure."""
    bare = _PACKED.sub("", name)
    return name.lower().endswith((".gz", ".tgz")) and kind_of_file(bare) in ("other_file", "tex")


def kind_of_paper(head: bytes) -> str:
    """Return what a paper that is a single file is, by its first bytes; empty if it may be TeX."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:200].lower()
    for kind, signs in {
        "pdf": (b"%pdf",),
        "postscript": (b"%!ps", b"%!\n", b"\xc5\xd0\xd3\xc6", b"\x04%!"),
        "html": (b"<!doctype html", b"<html", b"<?xml"),
        "archive": (b"pk\x03\x04", b"\x1f\x8b", b"bzh", b"\xfd7zxz", b"7z\xbc\xaf"),
        "binary": (b"\xd0\xcf\x11\xe0", b"\x89png", b"\xff\xd8\xff", b"gif8"),
    }.items():
        if start.startswith(signs):
            return kind
    return ""


def kind_of_file(name: str) -> str:
    """Return what a file of a bundle is, by its name: `tex`, or the kind of another file."""
    parts = name.lower().split("/")
    base = parts[-1]
    if base.startswith(".") or "__macosx" in parts:
        return "system_file"
    if parts[0] == "anc":
        return "ancillary"
    if base.startswith("00readme"):
        return "readme"
    stem, dot, ending = base.rpartition(".")
    return _KINDS.get(f".{ending}", "other_file") if stem and dot else "other_file"


def _is_paper(name: str) -> bool:
    return _ID.match(name.rsplit("/", 1)[-1]) is not None or _OLD_ID.match(name) is not None
