"""A Project Gutenberg text without what is not the book: header, licence, credits, transcriber's notes.

The markers changed over fifty years. Since about 2003 a text stands between `*** START OF THE PROJECT
GUTENBERG EBOOK` and `*** END OF`; before, a header ended with `*END*THE SMALL PRINT!`; the oldest have no
marker at all, and their header is the paragraphs at the top that speak of the project. Text that is not from
there stays as it is.
"""

import re
from dataclasses import dataclass

_PROJECT = r"pro(?:[jy]e[ck]?t[eo]?s?|getto)\s+gutenberg"  # in the languages of the project's books
_IS_GUTENBERG = re.compile(_PROJECT, re.IGNORECASE)
_START = re.compile(
    rf"\W*(?:start|beginning)\s+of\s+(?:the|this)\s+(?:copyrighted\s+)?{_PROJECT}"
    r"|\W*end\W*(?:of\s+)?the\s+small\s+print",
    re.IGNORECASE,
)
_END = re.compile(rf"\s*\*+\s*end\s+of\s+(?:the|this)\s+(?:copyrighted\s+)?{_PROJECT}", re.IGNORECASE)
_SOFT_END = re.compile(
    rf"\W*(?:(?:this\s+is\s+the\s+)?end\s+of\s+(?:(?:the|this)\s+)?(?:e-?text\s+of\s+)?(?:the\s+)?{_PROJECT}"
    rf"|(?:ende\s+(?:d|von)|fin\s+d|fine\s+d|fim\s+d|einde\s+van|slut\s+på)"
    rf"[\w'’]*\s+(?:[\w'’-]+\s+){{0,4}}?{_PROJECT}"
    rf"|this\s+is\s+a\s+copyrighted\s+{_PROJECT}.*above)",
    re.IGNORECASE,
)
_LICENSE = re.compile(
    rf"\W*(?:start:\s+full\s+license|the\s+full\s+{_PROJECT}\s+license|updated\s+editions\s+will\s+replace"
    r"|(?:this|the)\s+file\s+should\s+be\s+named|section\s+1\.\s+general\s+terms\s+of\s+use)",
    re.IGNORECASE,
)
_COPYRIGHTED = re.compile(
    rf"copyrighted\s+{_PROJECT}|this\s+(?:e-?text|e-?book)\s+is\s+copyright", re.IGNORECASE
)

# What paragraphs of the oldest headers say, and then what volunteers put before and after a book.
_HEADER = re.compile(
    rf"{_PROJECT}|\be-?texts?\b"
    r"|^[^\w\n]*(?:title|author|release date|posting date|language|edition|character set encoding)\s*:"
    r"|copyright laws are changing|plain vanilla|information on contacting|please do not remove this"
    r"|\[e-?(?:text|book) ?#\d+\]",
    re.IGNORECASE | re.MULTILINE,
)
_CREDIT = re.compile(
    r"\W*(?:produced\s+by|transcribed\s+(?:by|from)|scanned\s+(?:by|and)|digiti[sz]ed\s+by|proof-?read\s+by"
    r"|html\s+(?:version|file)"
    r"|e-?(?:text|book)s?\s+(?:\w+\s+){0,4}?(?:by|from)\b|this\s+e-?(?:text|book)\b"
    r"|this\s+(?:file|text|book)\s+was\s+(?:first\s+)?(?:produced|prepared|transcribed|scanned|converted|typed))"
    r"|.*(?:distributed\s+proofread|proofreading\s+team|pgdp\.net|www\.gutenberg\."
    rf"|{_PROJECT}\s+(?:also\s+has|e-?texts?\s+was|edition|volunteer)"
    rf"|(?:for|of\s+the)\s+{_PROJECT}\s+(?:by|e-?text)"
    r"|https?://(?:www\.)?archive\.org|generously\s+made\s+available)",
    re.IGNORECASE | re.DOTALL,
)
_NOTE = re.compile(
    r"[\W_]*(?:(?:transcriber|transcription|transcriptor)(?:['’]?s?['’]?)?\s+(?:end\s*)?notes?\b"
    r"|anmerkung(?:en)?\s+(?:zur|des)\s+(?:transkript|bearbeit)|note?s?\s+(?:d[eu]l?|sur)\s+(?:la\s+)?trans(?:cri|kri)"
    r"|not[ae]\s+del\s+trascrit|opmerking(?:en)?\s+van\s+de\s+(?:be|trans)"
    r"|(?:errata|errors|corrections)\b[^\n]{0,40}\btranscriber)"
    r"|\s*\[this\s+(?:e-?text|text|file|e-?book)\b",
    re.IGNORECASE,
)
_FIELD = re.compile(r"(title|author|language|release date|posting date)\s*:\s*(.*)", re.IGNORECASE)
_NUMBER = re.compile(r"\[\s*e-?(?:book|text)\s*(?:#|no\.?)\s*(\d{1,6})\s*\]", re.IGNORECASE)
_WORK = rf"^[^\w\n]*(?:the\s+|this\s+is\s+the\s+)?{_PROJECT}"
_BY = re.compile(
    rf"{_WORK}(?:(?:['’]?s)?\s+e-?(?:text|book)\s+(?:of|,)?|['’]?s)"
    r"\s*([^\n].{0,200}?),?\s+by\s+(.{1,100}?)[^\w\n]*$",
    re.IGNORECASE | re.MULTILINE,
)
_OF = re.compile(
    rf"{_WORK}(?:['’]?s)?\s+e-?(?:text|book)\s+of\s+([^\n]{{1,200}}?)[\s*]*$", re.IGNORECASE | re.MULTILINE
)
_DATE = re.compile(
    r"(?:([a-z]{3,9}),?\s+(?:(\d{1,2}),?\s+)?)?((?:19|20)\d\d)(?:-(\d\d)(?:-(\d\d))?)?", re.IGNORECASE
)
_MONTHS = ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october"]
_MONTHS += ["november", "december"]
_LANGUAGES = {
    "bulgarian": "bg", "catalan": "ca", "chinese": "zh", "croatian": "hr", "czech": "cs", "danish": "da",
    "dutch": "nl", "english": "en", "esperanto": "eo", "finnish": "fi", "french": "fr", "german": "de",
    "greek": "el", "hungarian": "hu", "icelandic": "is", "irish": "ga", "italian": "it", "japanese": "ja",
    "latin": "la", "norwegian": "no", "polish": "pl", "portuguese": "pt", "romanian": "ro", "russian": "ru",
    "serbian": "sr", "slovenian": "sl", "spanish": "es", "swedish": "sv", "tagalog": "tl", "ukrainian": "uk",
    "welsh": "cy",
}  # fmt: skip

_TAIL_LINES = 800  # the licence has some 400 lines
_HEAD_LINES = 1000
# Lines: the paragraphs of a header without a mark are no further apart, and no longer, than this.
_HEADER_GAP, _HEADER_PARAGRAPH = 15, 60
_HEAD_PARAGRAPHS, _TAIL_PARAGRAPHS = 12, 8  # paragraphs at either end that may be credits
_NOTE_LINES = 250  # a transcriber's notes begin within so many lines of the end
_CREDIT_LINES = 15  # a longer paragraph is the text of a book without blank lines
_LINE = 300  # the patterns see so many characters of a line


@dataclass(frozen=True, slots=True)
class Book:
    """The text of a book, and what its Project Gutenberg header says of it; what that does not say is empty.

    `number` is Project Gutenberg's own and `date` that of the release there, in ISO 8601. `language` is an
    ISO 639-1 code. `is_copyrighted` says whether the header states that the book is under copyright.
    """

    text: str
    number: str = ""
    title: str = ""
    author: str = ""
    language: str = ""
    date: str = ""
    is_copyrighted: bool = False


def read_book(text: str) -> Book:
    """Return the book in a file's text, which has `\\n` line ends. Text from elsewhere comes back whole."""
    lines = text.split("\n")
    short = [line[:_LINE] for line in lines]
    if not _IS_GUTENBERG.search("\n".join(short[:_HEAD_LINES] + short[-_TAIL_LINES:])):
        return Book(text)
    start = _start(short)
    end = _end(short, start)
    header = "\n".join(short[:start])
    body = [
        line for line in lines[start:end] if not _START.match(line[:_LINE]) and not _END.match(line[:_LINE])
    ]
    paragraphs = _trim(_paragraphs(body))
    fields = _fields(header)
    number = _NUMBER.search(header)
    dated = header[: number.start()].rpartition("\n")[2] if number else ""  # `June, 1998  [Etext #4242]`
    dates = map(_date, (fields.get("release date", ""), fields.get("posting date", ""), dated))
    title, author = _named(header)
    return Book(
        text="\n".join("\n" * gap + "\n".join(p) for gap, p in paragraphs).strip("\n") + "\n",
        number=number[1] if number else "",
        title=fields.get("title") or title,
        author=fields.get("author") or author,
        language=_LANGUAGES.get(fields.get("language", "").lower(), ""),
        date=next(filter(None, dates), ""),
        is_copyrighted=_COPYRIGHTED.search(header) is not None,
    )


def declared_encoding(head: bytes) -> str:
    """Return the encoding that a file's header states in `head`, its first bytes; empty if it states none."""
    found = re.search(rb"character set encoding:[^\S\n]*([^\r\n]{1,80})", head[:20_000], re.IGNORECASE)
    return found[1].decode("ascii", "replace").strip() if found else ""


def _start(lines: list[str]) -> int:
    """Return the number of the line where the book, or credits before it, begins."""
    marks = [i for i, line in enumerate(lines[:_HEAD_LINES]) if _START.match(line)]
    if marks:
        return _end_of_mark(lines, marks[-1])
    end = 0
    for at, paragraph in _placed(lines[: _HEAD_LINES // 2]):
        if at - end > _HEADER_GAP or len(paragraph) > _HEADER_PARAGRAPH:
            break  # further down, it is the book itself that speaks of the project
        text = "\n".join(paragraph)
        if _HEADER.search(text) and not _SOFT_END.match(text):
            end = at + len(paragraph)
    return end


def _end_of_mark(lines: list[str], at: int) -> int:
    """Return the line after the mark at `at`. A long title runs over to the line with the closing stars."""
    if "*" not in lines[at].lstrip(" *"):
        for number in range(at + 1, min(at + 4, len(lines))):
            if not lines[number].strip():
                break
            if lines[number].rstrip().endswith("***"):
                return number + 1
    return at + 1


def _end(lines: list[str], start: int) -> int:
    """Return the number of the line after the book and any credits behind it."""
    marks = [i for i in range(start, len(lines)) if _END.match(lines[i])]
    if not marks:
        first = max(start, len(lines) - _TAIL_LINES)
        marks = [i for i in range(first, len(lines)) if _LICENSE.match(lines[i])][:1]
        marks = marks or [i for i in range(first, len(lines)) if _SOFT_END.match(lines[i])]
    return marks[-1] if marks else len(lines)


Paragraph = tuple[int, list[str]]  # (number of blank lines before it, its lines)


def _paragraphs(lines: list[str]) -> list[Paragraph]:
    found: list[Paragraph] = []
    end = 0
    for at, paragraph in _placed(lines):
        found.append((at - end, paragraph))
        end = at + len(paragraph)
    return found


def _placed(lines: list[str]) -> list[tuple[int, list[str]]]:
    """Return the paragraphs of `lines`, each with the number of its first line."""
    found: list[tuple[int, list[str]]] = []
    at: int | None = None
    for number, line in enumerate([*lines, ""]):
        if line.strip():
            at = number if at is None else at
        elif at is not None:
            found.append((at, lines[at:number]))
            at = None
    return found


def _trim(paragraphs: list[Paragraph]) -> list[Paragraph]:
    """Take off the credits and transcriber's notes before and after the book."""
    kept = _without_last_notes(paragraphs)
    for number in range(len(kept) - 1, max(len(kept) // 2, len(kept) - _TAIL_PARAGRAPHS) - 1, -1):
        kept[number : number + 1] = _without_credit(kept[number])
    first: list[Paragraph] = []
    at = 0
    while at < min(len(kept), _HEAD_PARAGRAPHS):
        end = _end_of_note(kept, at)
        if end == at:
            first += _without_credit(kept[at])
            end = at + 1
        at = end
    return first + kept[at:]


def _without_last_notes(paragraphs: list[Paragraph]) -> list[Paragraph]:
    """Take off the transcriber's notes at the end: those in brackets to the bracket, others to the end."""
    kept = list(paragraphs)
    number, lines_after = len(kept) - 1, 0
    while number > len(kept) // 2 and lines_after < _NOTE_LINES:
        lines_after += len(kept[number][1]) + kept[number][0]
        end = _end_of_note(kept, number)
        if end > number:
            in_brackets = _joined(kept[number]).lstrip().startswith("[")
            if in_brackets:
                del kept[number:end]
            else:
                del kept[number:]
                while kept and not _joined(kept[-1]).strip(" *\n"):  # a row of stars before the note
                    kept.pop()
                    number -= 1
        number -= 1
    return kept


def _without_credit(paragraph: Paragraph) -> list[Paragraph]:
    """Return the paragraph in a list, or an empty list if it is a credit."""
    gap, lines = paragraph
    if len(lines) <= _CREDIT_LINES:
        text = _joined(paragraph)
        return [] if _CREDIT.match(text) or _SOFT_END.match(text) else [paragraph]
    start, end = 0, len(lines)  # in a file without blank lines, only the outer lines can be credits
    while start < end and _CREDIT.match(lines[start][:_LINE]):
        start += 1
    while start < end and _SOFT_END.match(lines[end - 1][:_LINE]):
        end -= 1
    return [(gap, lines[start:end])] if start < end else []


def _joined(paragraph: Paragraph) -> str:
    """Return the part of a paragraph that the patterns see."""
    return "\n".join(line[:_LINE] for line in paragraph[1][: 2 * _CREDIT_LINES])


def _end_of_note(paragraphs: list[Paragraph], at: int) -> int:
    """Return the number of the paragraph after the note that begins at `at`; `at` itself if none does."""
    text = _joined(paragraphs[at])
    found = _NOTE.match(text)
    if not found:
        return at
    end = at + 1
    if "[" in found[0]:
        while "]" not in text and end < min(len(paragraphs), at + 20):
            text = _joined(paragraphs[end])
            end += 1
        return end
    is_box = text.lstrip()[0] in "+|"
    is_heading = not text[found.end() :].strip(" :.*_=-\n|+")
    while end < min(len(paragraphs), at + 20):
        gap, lines = paragraphs[end]
        is_inside = lines[0].lstrip()[0] in "+|" if is_box else is_heading and gap < 2
        if not is_inside:
            break
        end += 1
    return end


def _named(header: str) -> tuple[str, str]:
    """Return (title, author) from a line such as `The Project Gutenberg EBook of Emma, by Jane Austen`."""
    of, by = _OF.search(header), _BY.search(header)
    if of and (not by or of.start() < by.start()):
        return _words(of[1]), ""
    return (_words(by[1]), _words(by[2])) if by else ("", "")


def _fields(header: str) -> dict[str, str]:
    """Return what the first `Title:`, `Author:` and so on say. A value may run over into indented lines."""
    fields: dict[str, str] = {}
    lines = header.split("\n")
    for number, line in enumerate(lines):
        found = _FIELD.match(line)
        if not found or found[1].lower() in fields:
            continue
        parts = [found[2]]
        for more in lines[number + 1 : number + 4]:
            if not more.startswith((" ", "\t")) or not more.strip():
                break
            parts.append(more)
        fields[found[1].lower()] = _words(" ".join(parts))
    return fields


def _words(text: str) -> str:
    """Put one space between the words of `text`."""
    return " ".join(text.split())


def _date(text: str) -> str:
    """Return the first date in `text` in ISO 8601, as far as it is given; empty if there is none."""
    found = _DATE.search(text)
    if not found:
        return ""
    month = found[1].lower() if found[1] else ""
    if found[4]:
        return "-".join(part for part in (found[3], found[4], found[5]) if part)
    if month not in _MONTHS:
        return found[3]
    date = f"{found[3]}-{_MONTHS.index(month) + 1:02}"
    return f"{date}-{int(found[2]):02}" if found[2] else date
