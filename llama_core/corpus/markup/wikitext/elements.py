"""Elements whose content is no wikitext, or no words: code and formulas are set aside, others taken out."""

import re

from llama_core.corpus.markup.html import unescape
from llama_core.corpus.markup.wikitext.tree import APART, HOLE

_FORMULAS = ("math", "chem", "ce")
_BLOCKS = ("pre", "syntaxhighlight", "source", "poem")
_REMOVED = (
    "ref", "references", "gallery", "timeline", "imagemap", "score", "hiero", "mapframe", "maplink", "graph",
    "templatestyles", "inputbox", "categorytree", "indicator", "includeonly", "section", "charinsert",
    "languages", "templatedata",
)  # fmt: skip
_NAMES = (*_FORMULAS, *_BLOCKS, "nowiki", *_REMOVED)
_SPECIAL = re.compile(rf"<!--|<({'|'.join(_NAMES)})\b|</?(noinclude|onlyinclude)\b", re.IGNORECASE)
_END = {name: re.compile(rf"</{name}\s*>", re.IGNORECASE) for name in _NAMES}
_END["--"] = re.compile("-->")

RESERVED = re.compile("[\x01-\x08]")  # characters that stand for something while a page is read


class Aside:
    """What is set aside of a page, and what its references hold, until its text is plain."""

    def __init__(self) -> None:
        self.cited: list[str] = []
        self._kept: list[str] = []

    def take(self, text: str) -> str:
        """Take comments, references and other elements without words out, and set code and formulas aside.

        A mark takes the place of each piece of code and each formula. The content of references moves to
        `cited`. A start tag may hold anything but `>`, as in MediaWiki.
        """
        out: list[str] = []
        at = 0
        without_end: set[str] = set()  # names of which no end tag follows any more
        for found in _SPECIAL.finditer(text):
            if found.start() < at:
                continue
            name = (found[1] or found[2] or "--").lower()
            inside_from = found.end() if name == "--" else text.find(">", found.end()) + 1
            if not inside_from:
                break
            out.append(text[at : found.start()])
            at = inside_from
            attributes = text[found.end() : inside_from - 1]
            if found[2]:
                continue  # on the page itself only the tag goes
            if name != "--" and attributes.rstrip().endswith("/"):
                out.append(APART)
                continue
            end = None if name in without_end else _END[name].search(text, at)
            if end is None:
                without_end.add(name)
                if name == "--":
                    at = len(text)  # as MediaWiki does
                    break
                continue
            inside, at = text[at : end.start()], end.end()
            if name == "--":
                if text.endswith("\n", 0, found.start()) and text.startswith("\n", at):
                    at += 1  # a comment that has a line of its own takes the line with it
            elif name in _REMOVED:
                if name in ("ref", "references"):
                    self.cited.append(inside)
                out.append(APART if name == "ref" else HOLE)
            else:
                out.append(self._keep(name, attributes, inside))
        out.append(text[at:])
        return "".join(out)

    def put_back(self, text: str) -> str:
        """Return the text with what was set aside in its place."""
        return re.sub(r"\x01(\d+)\x02", lambda found: self._kept[int(found[1])], text)

    def _keep(self, name: str, attributes: str, inside: str) -> str:
        """Set the content of an element aside, and return what takes its place in the text."""
        if name == "poem":
            return "\n" + inside.strip("\n") + "\n"
        inside = self.put_back(inside)  # of a template's argument, some may be set aside already
        place = f"\x01{len(self._kept)}\x02"
        if name in _FORMULAS:
            mark = "$$" if "block" in attributes else "$"
            formula = _formula(inside)
            self._kept.append(f"{mark}{formula}{mark}" if formula else "")
            return place
        if name in ("syntaxhighlight", "source"):
            self._kept.append(inside.strip("\n").rstrip())
            return place if re.search(r"\binline\b", attributes) else f"\n{place}\n"
        inside = RESERVED.sub("", unescape(re.sub(r"</?nowiki\s*/?>", "", inside)))
        self._kept.append(inside.strip("\n").rstrip() if name == "pre" else inside)
        return f"\n{place}\n" if name == "pre" else place


def _formula(inside: str) -> str:
    """Return a formula on one line. A backslash at its end, which commands a space, would escape a dollar."""
    formula = " ".join(inside.split())
    while (len(formula) - len(formula.rstrip("\\"))) % 2:
        formula = formula[:-1].rstrip()
    return formula
