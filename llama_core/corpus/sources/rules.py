"""Which text is kept: pure functions. A rule returns the name of the reason to leave a text out, or None."""

import re

from llama_core.corpus.code.languages import HASH, Comments

_NOT_LETTERS = re.compile(r"[\W\d_]+")
_NOT_ALPHANUMERIC = re.compile(r"[\W_]+")
_WORDS = re.compile(r"[^\W\d_]+")
_LEGAL = re.compile(
    r"copyright|licen[sc]ed? (?:under|to|as|:)|licen[sc]e\s*:|under the (?:terms|\S+ licen[sc]e)|spdx-"
    r"|all rights reserved|(?:\(c\)|©) ?\d{4}|permission is hereby granted|redistribution and use"
    r"|public domain|warrant(?:y|ies)"
    r"|(?:mit|bsd|apache|general public|mozilla public)(?:[- ]style)? licen[sc]e",
    re.IGNORECASE,
)
_MAX_COMMENT = 400  # lines of a comment that are looked at
_LATE, _LATE_IN_STRING = 20, 3  # first lines of a comment, of a docstring, in which a licence is looked for
_NOTHING = ("\0",)  # no line starts with it
_COPYLEFT = re.compile(
    r"GNU (?:Lesser |Library |Affero )?General Public"
    r"|SPDX-License-Identifier:\s*(?:[AL]?GPL|MPL|EUPL|CC-BY-NC)",
    re.IGNORECASE,
)
_PREAMBLE = re.compile(
    r"#!|#.*coding[:=]|\S+\s*(?:vim?|ex):|\S+\s*-\*-|<\?|<!doctype|@echo off|['\"]use strict", re.IGNORECASE
)
_DECORATION = re.compile(
    r"\s*(?:\[?!\[|\.\. (?:\|[^|]*\| )?image::|\.\. _|\|[^|]+\|_?\s*$"
    r"|</?(?:p|img|a|div|br|picture|source|h1)\b|\[[^]]+\]:\s|:(?:alt|target|width|height|align):|<!--.*-->\s*$|:::)",
    re.IGNORECASE,
)
_STOP_WORD = re.compile(
    r"\b(?:the|be|to|of|and|that|have|with|is|are|for|in|this|it|if|a|not|or|by)\b", re.IGNORECASE
)


def text_error(text: str) -> str | None:
    """Return what makes a text unfit to be stored or tokenized, or None."""
    if "\0" in text:
        return "nul_byte"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "lone_surrogate"
    return None


def text_reason(text: str, min_chars: int) -> str | None:
    """Return the reason to leave out any document, or None. Lengths are in characters."""
    if not text.strip():
        return "empty"
    return "too_short" if len(text) < min_chars else None


def code_reason(text: str, *, max_line: int, max_mean_line: float, min_alphanumeric: float) -> str | None:
    """Return the reason to leave out source code, by its line lengths and its share of letters and digits.

    After Touvron et al. 2023, section 2.1. Lengths are in characters.
    """
    lines = text.split("\n")
    if max(map(len, lines)) > max_line:
        return "long_line"
    if len(text) / len(lines) > max_mean_line:
        return "long_mean_line"
    if len(_NOT_ALPHANUMERIC.sub("", text)) < min_alphanumeric * len(text):
        return "few_alphanumeric"
    if _share_of_letters(text) < 0.3:  # tables of numbers written as code; this rule is our own
        return "few_letters"
    return None


def prose_reason(text: str) -> str | None:
    """Return the reason to leave out documentation, if it is data, a list of words or markup; or None."""
    words = len(_WORDS.findall(text))
    if _share_of_letters(text) < 0.5:
        return "few_letters"
    lines = [line for line in text.split("\n") if line.strip()]
    if words < 2.5 * len(lines):
        return "short_lines"
    if len(_STOP_WORD.findall(text)) < 0.06 * words:
        return "few_stop_words"
    return None


def _share_of_letters(text: str) -> float:
    """Return the share that letters have in what is not white space."""
    return len(_NOT_LETTERS.sub("", text)) / max(1, len("".join(text.split())))


def is_copyleft(text: str) -> bool:
    """Tell whether the head of a source file says that its licence is not permissive."""
    return _COPYLEFT.search(text[:4000]) is not None


def strip_license_header(text: str, comments: Comments = HASH) -> str:
    """Return source code without the comments at its top that speak of copyright or licence.

    Comments, of lines or blocks, are looked at one by one until something comes that is neither a comment,
    nor a blank line, nor a first line such as `#!` or `<?xml`. A comment about something else stays.
    """
    lines = text.split("\n")
    kept: list[str] = []
    at = 0
    while at < len(lines):
        if not lines[at].strip() or (_PREAMBLE.match(lines[at]) and not _LEGAL.search(lines[at])):
            kept.append(lines[at])
            at += 1
            continue
        end = _end_of_comment(lines, at, comments)
        if end == at:
            break
        if not _is_legal(lines[at:end]):
            kept += lines[at:end]
        else:
            while kept and not kept[-1].strip():
                kept.pop()
        at = end
    return "\n".join(kept + lines[at:]) if at > len(kept) else text


def _end_of_comment(lines: list[str], at: int, comments: Comments) -> int:
    """Return the line after the comment that starts at line `at`.

    Returns `at` where no comment starts there, and where code follows it in its last line.
    """
    first = lines[at].lstrip()
    for begin, close in comments.block:
        if not first.startswith(begin):
            continue
        for number in range(at, min(len(lines), at + _MAX_COMMENT)):
            line = first[len(begin) :] if number == at else lines[number]
            _, found, after = line.partition(close)
            if found:
                return at if after.strip() else number + 1
        return at
    end = at
    while end < len(lines) and lines[end].lstrip().startswith(comments.line or _NOTHING):
        end += 1
    return end


def _is_legal(comment: list[str]) -> bool:
    """Tell whether a comment speaks of its licence in its first lines; one that does so later documents.

    In a docstring these are fewer lines than in a comment.
    """
    late = _LATE_IN_STRING if comment[0].lstrip().startswith(('"""', "'''")) else _LATE
    return any(_LEGAL.search(line) for line in comment[:late])


def strip_decoration(text: str) -> str:
    """Return a README without the lines that hold only badges, images, link targets or layout."""
    kept = "\n".join(line for line in text.split("\n") if not _DECORATION.match(line))
    return re.sub(r"\n{3,}", "\n\n", kept).strip()
