"""Formulas, kept as TeX: read to their end, with their macros expanded and their labels taken out."""

from llama_core.corpus.markup.latex.commands import HEADINGS, words
from llama_core.corpus.markup.latex.expansion.lexer import PAR
from llama_core.corpus.markup.latex.expansion.macros import Expander
from llama_core.corpus.markup.latex.packages.acronyms import ACRONYMS
from llama_core.corpus.markup.latex.packages.algorithms import CALL, call
from llama_core.corpus.markup.latex.packages.changes import CHANGES
from llama_core.corpus.markup.latex.text import reference

# What closes each formula that is no environment.
_CLOSING = {"$": "$", "$$": "$$", "\\(": "\\)", "\\[": "\\]"}
_SILENT = words(
    "\\ensuremath \\xspace \\relax \\added \\chadded \\DIFadd \\DIFaddFL \\DIFaddbegin \\DIFaddend"
)  # are left out
# What prints nothing in a formula, and is left out with its arguments, of which it has so many.
_NOTES = {
    **dict.fromkeys(
        ("\\index", "\\sindex", "\\glossary", "\\nocite", "\\todo", "\\marginpar", "\\marginnote"), 1
    ),
    "\\nomenclature": 2,
    "\\footnotemark": 0,
    **dict.fromkeys(words("\\deleted \\DIFdel \\DIFdelFL \\chdeleted \\sout \\st \\xout"), 1),
}
_UNNUMBERED = frozenset(("\\nonumber", "\\notag"))  # stand in rows without a number


# Commands of packages that print words.
_OBEYED = ACRONYMS | {
    CALL.strip(): call,
    "\\Call": call,
    **{name: CHANGES[name] for name in ("\\replaced", "\\chreplaced")},
}


Row = tuple[list[str], bool, str]


class Formula:
    """A formula in TeX.

    `text`: with what opens and closes it. `rows`: for each, its labels, whether it has a number, and the tag
    that stands in the number's place.
    """

    __slots__ = ("rows", "text")

    def __init__(self, text: str, rows: list[Row]):
        self.text, self.rows = text, rows


def read_formula(expander: Expander, opening: str) -> Formula:
    """Return the formula that `opening` has begun: `$`, `$$`, `\\(`, `\\[` or `\\begin{name}`.

    One that is not closed ends where TeX would close it: `$`, `$$` and `\\(` with the paragraph, others at a
    heading or at the end of the paper. Raises MacroBomb.
    """
    closing = _CLOSING.get(opening) or opening.replace("\\begin", "\\end")
    dollars = opening[0] == "$"
    pieces, labels, rows = [opening], [], []
    depth, inner, numbered, tag = 0, 0, True, ""
    expander.math = True
    while (token := expander.next()) is not None:
        word = token.rstrip() if token[0] == "\\" else token
        if token == "{":
            depth += 1
        elif token == "}":
            depth -= 1
            if depth < 0:
                if dollars or opening == "\\(":
                    expander.put_back([token])
                    break
                depth = 0
                continue
        elif word == closing and (not dollars or depth == 0):
            break
        elif token == "$" and depth == 0 and dollars and expander.peek() == "$":
            expander.raw()
            break
        elif token == PAR:
            if dollars or opening == "\\(":
                expander.put_back([token])
                break
            token = "\n"
        elif token[0] != "\\":
            pass  # characters
        elif word == "\\label":
            labels.append(expander.word())
            continue
        elif word in _SILENT:
            continue
        elif word in _NOTES:
            expander.star()
            expander.option()
            for _ in range(_NOTES[word]):
                expander.argument()
            continue
        elif word in ("\\ref", "\\eqref"):
            token = reference(expander.word(), "eq" if word == "\\eqref" else "")
        elif obeyed := _OBEYED.get(word):
            obeyed(expander)
            continue
        elif word in _UNNUMBERED:
            numbered = False
        elif word == "\\tag":
            token = "\\tag*" if expander.star() else "\\tag"
            argument, numbered = expander.argument(), False
            tag = expander.text_of(argument)
            expander.put_back(["{", *argument, "}"])
        elif word in ("\\kern", "\\mkern"):
            expander.length(word)
            expander.mark(" ")
            continue
        elif word == "\\end{document}" or word in HEADINGS:
            expander.put_back([token])
            break
        elif word == "\\\\" and not inner and depth == 0:
            rows.append((labels, numbered, tag))
            labels, numbered, tag = [], True, ""
        elif word.startswith("\\begin{"):
            inner += 1
        elif word.startswith("\\end{"):
            inner -= 1
        pieces.append(_joint(pieces[-1], token) + token)
    expander.math = False
    rows.append((labels, numbered, tag))
    return Formula(_close(pieces, closing), rows)


def _joint(before: str, token: str) -> str:
    """Return a space if two tokens would run together, or else nothing."""
    return (
        " " if before[0] == "\\" and before[-1].isalpha() and len(before) > 1 and token[0].isalpha() else ""
    )


def _close(pieces: list[str], closing: str) -> str:
    """Return a formula as TeX: one line if it is in a sentence, else several; empty if it says nothing."""
    body = "".join(pieces[1:])
    if pieces[0] in ("$", "\\("):
        body = " ".join(body.split())
        if body.endswith("\\") and pieces[-1] != "\\\\":
            body += " "  # belongs to the control space at the end
        return f"{pieces[0]}{body}{closing}" if body else ""
    lines = "\n".join(line.rstrip() for line in body.split("\n") if line.strip())
    if not lines.strip():
        return ""
    if pieces[0].startswith("\\begin"):
        return f"{pieces[0]}\n{lines}\n{closing}"
    return f"{pieces[0]}{lines}{closing}"
