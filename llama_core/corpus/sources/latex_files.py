"""The files of a paper: which is the main one, what a name in \\input stands for, how bytes become text."""

import codecs
import json
import posixpath
import re
from collections.abc import Mapping

_COMMENT = re.compile(r"(?<!\\)%[^\n]*+")
_CLASS = re.compile(r"\\document(?:class|style)\b\s*(?:\[[^]]{0,2000}\])?\s*\{?\s*([\w-]*)")
_BEGIN = re.compile(r"\\begin\s*\{document\}")
_PLAIN = re.compile(
    r"\\(?:bye|end|magnification|vfill\\eject|newsec|beginsection|topmatter|centerline|baselineskip|hsize|parindent"
    r"|input\s+(?:harvmac|amstex|phyzzx|lanlmac|jnl|epsf|amssym))\b"
)
_PROSE = re.compile(r"\\(?:section|chapter|maketitle|title|abstract)\b|\\begin\s*\{abstract\}")
_COMMAND = re.compile(r"\\[A-Za-z]")
_DOCUMENT = 5  # the rank of a file that is a document by itself
_MAX_NAME = 500
_USUAL_NAMES = ("main", "ms", "paper", "article", "manuscript", "root", "arxiv")
_ANOTHER = re.compile(r"supp|append|response|rebuttal|cover|letter|old|diff|templ|sample", re.IGNORECASE)
_TEX = (".tex", ".ltx", ".latex")

_INPUTENC = re.compile(rb"\\(?:usepackage|RequirePackage)\s*\[([^]\n]{1,60})\]\s*\{inputenc\}")
_CJK = re.compile(rb"\\begin\s*\{CJK\*?\}\s*(?:\[[^]\n]{0,40}\])?\{(\w{1,10})\}")
_CODECS = {
    "gbk": "gb18030",
    "gb": "gb18030",
    "bg5": "big5",
    "sjis": "shift_jis",
    "ks": "euc_kr",
    "latin1": "cp1252",
    "ansinew": "cp1252",
    "cp1252": "cp1252",
    "latin9": "iso8859-15",
    "latin2": "iso8859-2",
    "latin3": "iso8859-3",
    "latin4": "iso8859-4",
    "latin5": "iso8859-9",
    "latin10": "iso8859-16",
    "cp1250": "cp1250",
    "cp1251": "cp1251",
    "koi8-r": "koi8-r",
    "koi8-ru": "koi8-u",
    "applemac": "mac-roman",
    "cp437": "cp437",
    "cp850": "cp850",
    "cp866": "cp866",
}
_PREAMBLE_CHARS = 50_000
_BABEL = re.compile(r"\\usepackage\s*\[([^]]{1,200})\]\s*\{babel\}")
_POLYGLOSSIA = re.compile(r"\\set(?:main|default)language\s*(?:\[[^]]{0,80}\])?\{(\w{1,20})\}")
_LANGUAGES = {
    "french": "fr", "francais": "fr", "frenchb": "fr", "german": "de", "ngerman": "de", "spanish": "es",
    "italian": "it", "portuguese": "pt", "portuges": "pt", "brazil": "pt", "brazilian": "pt", "russian": "ru",
    "ukrainian": "uk", "polish": "pl", "czech": "cs", "dutch": "nl", "english": "en", "american": "en",
    "british": "en", "USenglish": "en", "UKenglish": "en", "hungarian": "hu", "magyar": "hu",
}  # fmt: skip
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROL = re.compile(r"[\x01-\x08\x0b\x0e-\x1f\x7f\x80-\x9f\ue000-\ue00f\ufeff]")


def uncommented(text: str) -> str:
    return _COMMENT.sub("", text)


def _one_byte(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    bad = error.object[error.start : error.end]
    return bad.decode("cp1252", "ignore") or bad.decode("latin-1"), error.end


codecs.register_error("tex_cp1252", _one_byte)


def decode(data: bytes) -> str | None:
    """The text of a TeX file, with `\\n` at the end of its lines and no control characters.

    A byte order mark decides, then UTF-8, then the file's own \\inputenc; what is none of these is Windows'
    Latin-1, byte by byte, so that a mixed file keeps its UTF-8. None: bytes that are no text.
    """
    for bom, name in _BOMS:
        if data.startswith(bom):
            try:
                return _tidy(data.decode(name))
            except UnicodeDecodeError:
                return None
    data = data.rstrip(b"\0\x1a")
    if b"\0" in data:
        return None
    try:
        return _tidy(data.decode())
    except UnicodeDecodeError:
        pass
    declared = _CJK.search(data) or _INPUTENC.search(data)
    codec = _CODECS.get(declared[1].decode("latin-1").strip().lower()) if declared else None
    if codec:
        return _tidy(data.decode(codec, "replace").replace("\ufffd", ""))
    return _tidy(data.decode("utf-8", "tex_cp1252"))


def _tidy(text: str) -> str | None:
    if "\0" in text:
        return None
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n\n").replace("\xa0", " ")
    return _CONTROL.sub("", text)


class Files(dict[str, str]):
    """The text of a bundle's files by path."""

    def __init__(self, files: Mapping[str, str]):
        super().__init__(files)
        self._by_name: dict[str, list[str]] = {}
        for path in files:
            self._by_name.setdefault(posixpath.basename(path).lower(), []).append(path)

    def find(self, name: str, *folders: str) -> str | None:
        """The file that a name in \\input stands for, relative to the first of the folders that has it.

        A name is only a name: what it would reach outside the bundle is not there. The file's own name
        alone, in any case of letters, is tried last, in any folder.
        """
        name = name.strip().strip('"').replace("\\", "/")
        if not name or len(name) > _MAX_NAME:
            return None
        for folder in (*folders, ""):
            path = posixpath.normpath(posixpath.join(folder, name))
            for candidate in (path + ".tex", path, path + ".ltx", path + ".latex"):
                if candidate in self:
                    return candidate
        wanted = posixpath.basename(posixpath.normpath(name)).lower()
        for candidate in (wanted + ".tex", wanted):
            alike = self._by_name.get(candidate, ())
            if len(alike) == 1:
                return alike[0]
        return None


def top_files(files: Mapping[str, str]) -> list[str]:
    """The files that papers start in, the paper's own first: the ones that 00README names, or the best of
    those that look it, with every other beside it that is a document by itself."""
    named = _named_by_readme(files)
    ranks = {path: _rank(files, path) for path in files if is_tex(path)}
    ranked = sorted(ranks, key=lambda path: ([-n for n in ranks[path]], path))
    best = named or [path for path in ranked[:1] if ranks[path][0]]
    folders = {posixpath.dirname(path) for path in best}
    others = (p for p in ranked if ranks[p][0] == _DOCUMENT and posixpath.dirname(p) in folders)
    return [*best, *(path for path in others if path not in best)]


def language_of(text: str) -> str:
    """By the last language that babel or polyglossia loads; English without."""
    code = _COMMENT.sub("", text[:_PREAMBLE_CHARS])
    if found := _BABEL.findall(code) or _POLYGLOSSIA.findall(code):
        options = [option.strip().partition("=")[-1] or option.strip() for option in found[-1].split(",")]
        for option in reversed(options):
            if option in _LANGUAGES:
                return _LANGUAGES[option]
    return "en"


def is_tex(path: str) -> bool:
    """Whether a file may be a paper: not a style, a bibliography or a note to arXiv."""
    name = posixpath.basename(path).lower()
    if name.startswith(("00readme", ".")):
        return False
    return name.endswith(_TEX) or posixpath.splitext(name)[1] not in (".sty", ".bbl", ".cls", ".tikz", ".bib")


def _named_by_readme(files: Mapping[str, str]) -> list[str]:
    """https://info.arxiv.org/help/00README.html, the old form and the new one."""
    for path, text in files.items():
        name = posixpath.basename(path).lower()
        if name == "00readme.json":
            try:
                sources = json.loads(text)["sources"]
                named = [s["filename"] for s in sources if s.get("usage") == "toplevel"]
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                continue
        elif name.startswith("00readme"):
            named = re.findall(r"^\s*(\S+)\s+toplevelfile", text, re.MULTILINE)
        else:
            continue
        if found := [n for n in named if isinstance(n, str) and n in files]:
            return [*dict.fromkeys(found)]
    return []


def _rank(files: Mapping[str, str], path: str) -> tuple[int, ...]:
    """What makes a file the main one, most telling first; a rank of 0 is no paper at all."""
    text = files[path]
    code = _COMMENT.sub("", text)
    if _COMMAND.search(code) is None:
        return (0,)
    declared = _CLASS.search(code)
    begins = _BEGIN.search(code) is not None
    stem = posixpath.splitext(path)[0]
    if declared and begins:
        kind = 2 if declared[1] in ("standalone", "subfiles") else _DOCUMENT
    elif begins:
        kind = 4
    elif _PLAIN.search(code):
        kind = 3
    else:
        kind = int(path.lower().endswith(_TEX) or "." not in posixpath.basename(path))
    if text.lstrip().startswith("%auto-ignore"):
        kind = 1
    return (
        kind,
        int(stem + ".bbl" in files),
        int(posixpath.basename(stem).lower() in _USUAL_NAMES),
        int(_ANOTHER.search(posixpath.basename(stem)) is None),
        int(_PROSE.search(code) is not None),
        -path.count("/"),
        len(code),
    )
