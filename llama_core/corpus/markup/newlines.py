"""What a line is: everywhere behind the sources, what stands between two `\\n`.

Raw text ends its lines in other ways, too. Each source turns these into `\\n` where text enters: so lines are
the same for CCNet's deduplication and Gopher's filters, which part text at `\\n`, and for C4's rules, whose
code parts it by `str.splitlines`.
"""

# What ends a line for `str.splitlines`: CR LF, CR, vertical tab, form feed, the separators of files, groups
# and records, NEL, and Unicode's separators of lines and paragraphs.
_ENDS = ("\r\n", "\r", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029")
# In source code the others are spaces between sections, or characters of a string.
_ENDS_OF_CODE = ("\r\n", "\r")


def with_newlines(text: str) -> str:
    """Return a text all of whose lines end in `\\n`."""
    return _replaced(text, _ENDS)


def code_with_newlines(text: str) -> str:
    """Return source code all of whose lines end in `\\n`, with its form feeds and separators as they are."""
    return _replaced(text, _ENDS_OF_CODE)


def _replaced(text: str, ends: tuple[str, ...]) -> str:
    for end in ends:
        if end in text:
            text = text.replace(end, "\n")
    return text
