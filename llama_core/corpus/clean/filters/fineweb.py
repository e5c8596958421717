"""FineWeb's filters for lists, menus and repeated lines (Penedo et al. 2024, section 3.6)."""

MAX_LINES_ENDED = 0.12
MIN_DUPLICATE_CHARS = 0.1
SHORT_LINE_CHARS = 30
MIN_SHORT_LINES = 0.67
# The ASCII marks are FineWeb's own; the others are their counterparts in typeset text and in other scripts.
TERMINAL = (".", "?", "!", '"', "'", "”", "’", "…", "。", "？", "！", "։", "।", "؟", "۔")


def reason(text: str) -> str | None:
    """Return the reason to drop a text, or None.

    Either few lines end in punctuation, or many characters are in repeated lines, or many lines are short.
    The thresholds are the paper's; datatrove's code uses 0.01 for repeated lines, and has a fourth filter.
    """
    lines = [line for line in map(str.rstrip, text.split("\n")) if line]
    if not lines:
        return "fineweb_empty"
    ended = sum([line.endswith(TERMINAL) for line in lines])
    if ended <= MAX_LINES_ENDED * len(lines):
        return "fineweb_few_lines_ended"
    lengths = [*map(len, lines)]
    different = set(lines)
    if len(different) < len(lines):
        repeated = sum(lengths) - sum(map(len, different))
        if repeated >= MIN_DUPLICATE_CHARS * sum(lengths):
            return "fineweb_duplicate_lines"
    short = sum([length < SHORT_LINE_CHARS for length in lengths])
    if short >= MIN_SHORT_LINES * len(lines):
        return "fineweb_short_lines"
    return None
