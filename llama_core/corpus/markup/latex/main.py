"""The files that a bundle's papers begin in: which of its files are papers, not parts, letters or examples.

Each file is a candidate, with what it says of itself and what the files that it inputs say. Candidates are
ranked by kind, and then by signs such as a usual name.
"""

import json
import posixpath
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice

from llama_core.corpus.markup.latex.files import DOCUMENT, BundleFiles, uncommented

# The class that a file declares.
_CLASS = re.compile(r"\\document(?:class|style)\b\s*(?:\[[^]]{0,2000}\])?\s*\{?\s*([\w-]*)")
# Commands that show a file to be in plain TeX.
_PLAIN = re.compile(
    r"\\(?:bye|end(?!\s*\{)|magnification|vfill\\eject|newsec|beginsection|topmatter|centerline|baselineskip"
    r"|hsize|parindent|input\s+(?:harvmac|amstex|phyzzx|lanlmac|jnl|epsf|amssym))\b"
)
# Commands that show a file to have running text.
_PROSE = re.compile(r"\\(?:section|chapter|maketitle|title|abstract)\b|\\begin\s*\{abstract\}")
_END = re.compile(r"\\end\s*\{\s*document\s*\}")
_COMMAND = re.compile(r"\\[A-Za-z]")
_ENDS = re.compile(r"\\(?:bye|end)(?![A-Za-z])(?!\s*\{)")
# A definition, as far as its body is balanced to a depth of four, or another command with its operands.
_BODY = r"\{(?:[^{}]++|\{(?:[^{}]++|\{(?:[^{}]++|\{[^{}]*+\})*+\})*+\})*+\}"
_DEFINITION = re.compile(
    rf"\\(?:long|global|outer|protected)?\s*\\?(?:[egx]?def)\s*\\[^{{}}\n]{{1,100}}{_BODY}"
    rf"|\\(?:re)?(?:new|provide)(?:command|environment|theorem)\*?\s*(?:\{{[^{{}}]{{1,60}}\}}|\\[A-Za-z@]+)"
    rf"(?:\[[^]\n]{{0,60}}\])*\s*{_BODY}(?:\s*{_BODY})?"
    r"|\\(?:let|font|new\w{2,6}|\w*chardef|catcode)[^\n]{0,80}"
)
_WORD = re.compile(r"(?<![\\A-Za-z@])[A-Za-z]{2,}")
_FEW_WORDS = 0.2  # of a file's words, that are outside of definitions in one of macros
_INPUT = re.compile(r"\\(?:input|include)\b\s*(?:\{([^{}\n]{1,500})\}|([^\s{}\\]{1,500}))")
_MAX_INPUTS = 200  # that are followed in one file
# The kinds of files that may be a paper, the likeliest last: part of one by its class, plain TeX, a document
# without a class, and a document with one.
_PART, _PLAIN_TEX, _BEGUN, _DOCUMENT = 2, 3, 4, 5
# Names that papers have.
_USUAL_NAMES = ("main", "ms", "paper", "article", "manuscript", "root", "arxiv")
# What the names of files beside a paper have in them.
_ANOTHER = re.compile(
    r"supp|append|response|rebuttal|reply|cover|letter|old|diff|templ|sample", re.IGNORECASE
)
# What the names of supplements begin with.
_SUPPLEMENT = re.compile(r"supp|append|e?s[im]\b", re.IGNORECASE)
# Whole names of what authors send along with a paper: letters, and the example that comes with a class.
_ASIDE = re.compile(
    r"cover(?:[-_ ]?(?:letter|page))?|(?:response|reply|replies|rebuttal)s?(?:[-_ ]?letter)?"
    r"(?:[-_ ]?to)?(?:[-_ ]?(?:the|all))?(?:[-_ ]?(?:referee|reviewer|editor|report|comment).*)?[-_ ]?\d*"
    r"|.*template|.*sample|(?:template|sample)(?:[-_ ].*|\d*)",
    re.IGNORECASE,
)
_TIMES = 2  # a paper is so much longer than a letter or an example
_TEX = (".tex", ".ltx", ".latex")


@dataclass(slots=True)
class _Candidate:
    """A file that may be a paper, with what it says of itself, or what the files say that it inputs."""

    path: str
    tie: tuple[int, ...] = ()  # what ranks files of one kind: the greater, the likelier
    is_tex: bool = False  # by its name
    is_ignored: bool = False  # the file asks arXiv to ignore it
    is_part: bool = False  # a part of a paper, by its class
    declares: bool = False  # a class
    begins: bool = False  # a document
    begins_itself: bool = False  # a document, in this file and not in one that it inputs
    is_whole: bool = False  # from its class to the end of its document
    chars: int = 0  # without comments
    is_plain: bool = False  # in plain TeX
    has_prose: bool = False
    has_bibliography: bool = False  # a .bbl of its own
    is_input: bool = False  # another file inputs it
    ends: bool = False  # in plain TeX: with \\bye or \\end
    is_macros: bool = False  # definitions, and no text beside them
    inputs: list[str] = field(default_factory=list)  # names as written, then paths (`_find_inputs`)

    @property
    def kind(self) -> int:
        """One of the kinds above; 1 for other files of TeX, and 0 for a file that is no paper at all."""
        if self.is_ignored or (self.is_macros and not self.begins):
            return 1
        if self.declares and self.begins:
            return _PART if self.is_part else _DOCUMENT
        if self.begins:
            return _BEGUN
        return _PLAIN_TEX if self.is_plain else int(self.is_tex)

    def key(self) -> tuple[list[int], str]:
        """Return what to sort by, likeliest first. A file that another one inputs is only a part of it."""
        kind = min(self.kind, 1) if self.is_input else self.kind
        is_book = kind == _PLAIN_TEX and self.ends and bool(self.inputs)  # of parts that it inputs
        return [-n for n in (kind, int(is_book), *self.tie)], self.path

    @property
    def stem(self) -> str:
        """The name of the file, without its folder and its ending."""
        return posixpath.splitext(posixpath.basename(self.path))[0]

    def take(self, other: "_Candidate") -> None:
        """Take over what another file says, which this one inputs."""
        if other.is_whole and not other.is_part and not self.declares:
            return  # this file is only a note around a whole paper, which stays the paper
        other.is_input = True
        if not other.is_part:
            self.declares |= other.declares
            self.begins |= other.begins
            self.is_plain |= other.is_plain
            self.has_prose |= other.has_prose


def top_files(files: Mapping[str, str]) -> list[str]:
    """Return the paths of the files that papers begin in, the likeliest first.

    They are the ones that 00README names, or else the best candidate; and each other file in their folders
    that is a document by itself and no letter or example. `files`: text by path.
    """
    found = {path: _candidate(files, path) for path in files if is_tex(path)}
    _find_inputs(found, BundleFiles(files))
    for path in _named_by_readme(files, "ignore"):
        if path in found:
            found[path].is_ignored = True
    _join(found)
    named = _named_by_readme(files, "toplevel")
    asides = _asides(found.values(), named)
    ranked = sorted((c for c in found.values() if c.path not in asides), key=_Candidate.key)
    best = named or [c.path for c in ranked[:1] if c.kind]
    folders = {posixpath.dirname(path) for path in best}
    others = (c.path for c in ranked if c.kind == _DOCUMENT and c.begins_itself)
    return [*best, *(p for p in others if p not in best and posixpath.dirname(p) in folders)]


def is_tex(path: str) -> bool:
    """Tell by its name whether a file may be a paper: it is no style, bibliography or note to arXiv."""
    name = posixpath.basename(path).lower()
    if name.startswith(("00readme", ".")):
        return False
    return name.endswith(_TEX) or posixpath.splitext(name)[1] not in (".sty", ".bbl", ".cls", ".tikz", ".bib")


def _named_by_readme(files: Mapping[str, str], usage: str) -> list[str]:
    """Return the files that 00README gives a usage, in the old form or the new one; none if it is not there.

    See https://info.arxiv.org/help/00README.html.
    """
    for path, text in files.items():
        name = posixpath.basename(path).lower()
        if name == "00readme.json":
            try:
                sources = json.loads(text)["sources"]
                named = [s["filename"] for s in sources if s.get("usage") == usage]
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                continue
        elif name.startswith("00readme"):
            named = re.findall(rf"^\s*(\S+)\s+{usage}", text, re.MULTILINE)
        else:
            continue
        if found := [n for n in named if isinstance(n, str) and n in files]:
            return [*dict.fromkeys(found)]
    return []


def _candidate(files: Mapping[str, str], path: str) -> _Candidate:
    text = files[path]
    code = uncommented(text)
    if _COMMAND.search(code) is None:
        return _Candidate(path)
    stem, name = posixpath.splitext(path)[0], posixpath.basename(path)
    declared, begins = _CLASS.search(code), DOCUMENT.search(code) is not None
    has_bibliography, has_prose = stem + ".bbl" in files, _PROSE.search(code) is not None
    tie = (
        int(has_bibliography),
        int(posixpath.basename(stem).lower() in _USUAL_NAMES),
        int(_ANOTHER.search(posixpath.basename(stem)) is None),
        int(has_prose),
        -path.count("/"),
        len(code),
    )
    return _Candidate(
        path,
        tie,
        is_tex=path.lower().endswith(_TEX) or "." not in name,
        is_ignored=text.lstrip().startswith("%auto-ignore"),
        is_part=declared is not None and declared[1] in ("standalone", "subfiles"),
        declares=declared is not None,
        begins=begins,
        begins_itself=begins,
        is_whole=declared is not None and begins and _END.search(code) is not None,
        chars=len(code),
        is_plain=_PLAIN.search(code) is not None,
        ends=_ENDS.search(code) is not None,
        is_macros=_is_macros(code),
        has_prose=has_prose,
        has_bibliography=has_bibliography,
        inputs=[*dict.fromkeys(m[1] or m[2] for m in islice(_INPUT.finditer(code), _MAX_INPUTS))],
    )


def _is_macros(code: str) -> bool:
    """Tell whether a file is one of macros by what it holds: definitions, and few words beside them."""
    if "\\def" not in code and "\\newcommand" not in code:
        return False
    rest = _DEFINITION.sub(" ", code)
    if len(rest) > 0.6 * len(code):
        return False
    return len(_WORD.findall(rest)) < _FEW_WORDS * len(_WORD.findall(code))


def _find_inputs(found: Mapping[str, _Candidate], files: BundleFiles) -> None:
    """Replace the names that each candidate inputs by the paths of those that are candidates, too."""
    for path, candidate in found.items():
        if candidate.kind == 0 or candidate.is_ignored:
            candidate.inputs = []
        paths = (files.find(name, posixpath.dirname(path)) for name in candidate.inputs)
        candidate.inputs = [p for p in paths if p and p in found]


def _join(found: Mapping[str, _Candidate]) -> None:
    """Give each file what the files say that it inputs, in one walk.

    Of files that input one another in a circle, the likeliest counts as the one that inputs the others.
    """
    done: set[str] = set()
    for first in sorted(found.values(), key=_Candidate.key):
        above = {} if first.path in done else {first.path: iter(first.inputs)}
        while above:
            path = next(reversed(above))
            other = next((p for p in above[path] if p not in above), None)
            if other is None:
                above.popitem()
                done.add(path)
                if above:
                    found[next(reversed(above))].take(found[path])
            elif other in done:
                found[path].take(found[other])
            else:
                above[other] = iter(found[other].inputs)


def _asides(candidates: Collection[_Candidate], named: Collection[str]) -> set[str]:
    """Return the paths of the letters and examples.

    Each has the name of one and no bibliography of its own, and a much longer paper is beside or above it.
    """
    longest: dict[str, int] = {}  # by folder: the characters of its longest paper
    for candidate in candidates:
        is_other = candidate.is_input or _SUPPLEMENT.match(candidate.stem) or _looks_aside(candidate)
        if candidate.path in named or (candidate.kind >= _BEGUN and candidate.has_prose and not is_other):
            folder = posixpath.dirname(candidate.path)
            longest[folder] = max(candidate.chars, longest.get(folder, 0))
    return {
        candidate.path
        for candidate in candidates
        if _looks_aside(candidate) and candidate.path not in named
        if any(longest.get(f, 0) >= _TIMES * candidate.chars for f in _above(candidate.path))
    }


def _looks_aside(candidate: _Candidate) -> bool:
    return _ASIDE.fullmatch(candidate.stem) is not None and not candidate.has_bibliography


def _above(path: str) -> Iterable[str]:
    """Yield the folders that a file is in, from its own to the bundle's."""
    while path:
        path = posixpath.dirname(path)
        yield path
