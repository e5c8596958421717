r"""The final answer of a worked solution in LaTeX, in one spelling (Lewkowycz et al. 2022, appendix D).

The words that are left out and the spellings that are unified are those of the appendix, so that scores are
comparable. As in lm-eval, three of its rules are kept from doing what they do not mean: a unit is not cut out
of a command's name (`ft` of `\left`), the index of a root stays, and commas go from 100,000 but not from 0,1.
"""

import re

_SENTENCE = re.compile(r"Final Answer: The final answer is(.*?)\. I hope it is correct\.")
_BOX = re.compile(r"\\(?:boxed|fbox)\s*")

_WORDS = (
    *("square", "ways", "integers", "dollars", "mph", "inches", "ft", "hours", "km", "units", "sue"),
    *("points", "feet", "minutes", "digits", "cents", "degrees", "cm", "gm", "pounds", "meters", "meals"),
    *("edges", "students", "childrentickets", "multiples"),
)
_MARKS = (
    *(r"\ldots", r"\text{s}", r"\text{.}", "\\text{\ns}", r"\text{}^2", r"\text{}^3", "\\text{\n}"),
    *(r"\text{}", r"\mathrm{th}", r"^\circ", r"^{\circ}", r"\;", r",\!", "{,}", '"', r"\dots"),
)
_SPELLINGS = (
    *(("an ", ""), ("a ", ""), (".$", "$"), (r"\$", ""), (r"\ ", ""), (" ", ""), ("mbox", "text")),
    *((r",\text{and}", ","), (r"\text{and}", ","), (r"\text{m}", r"\text{}")),
)
_WHOLE_WORD = re.compile(rf"(?<!\\)\b(?:{'|'.join(_WORDS)})\b")
_COMMAND = re.compile(r"(\\[a-zA-Z]+)")
_REWRITTEN = (
    (re.compile(r"(.*?)(\$)(.*?)(\$)(.*)"), r"$\3$"),  # a formula in a sentence
    (re.compile(r"\\text\{(.*?)\}"), r"\1"),
    (re.compile(r"\\textbf\{(.*?)\}"), r"\1"),
    (re.compile(r"\\overline\{(.*?)\}"), r"\1"),
    (re.compile(r"\\boxed\{(.*)\}"), r"\1"),
    (re.compile(r"frac([^{])(.)"), r"frac{\1}{\2}"),  # \frac12
    (re.compile(r"sqrt(\[[^\]]*\])(\w)"), r"sqrt\1{\2}"),  # \sqrt[3]2
    (re.compile(r"sqrt(?!\[)([^{])"), r"sqrt{\1}"),  # \sqrt2
)
_WRAPPING = re.compile(r"\\text\{(.*?)\}|[\s$]")
_THOUSANDS = re.compile(r"-?\d{1,3}(?:,\d{3})+")


def final_answer(solution: str) -> str | None:
    """Return the answer that a solution ends in, normalised, or None where it has none.

    It stands in the first sentence `Final Answer: The final answer is ... . I hope it is correct.`, which the
    examples of the prompt end in; in a text without one, in its last box.
    """
    sentence = _SENTENCE.search(solution)
    answer = sentence[1] if sentence else boxed(solution)
    if answer is None:
        return None
    return normalized(answer) or _WRAPPING.sub(r"\1", answer) or None  # an answer may be `square` alone


def boxed(solution: str) -> str | None:
    r"""Return what stands in the last \boxed or \fbox of a solution, or None where none has an end."""
    boxes = list(_BOX.finditer(solution))
    if not boxes:
        return None
    start = boxes[-1].end()
    if not solution.startswith("{", start):  # \boxed 5$
        return solution[start:].partition("$")[0].strip() or None
    depth = 0
    for place in range(start, len(solution)):
        depth += {"{": 1, "}": -1}.get(solution[place], 0)
        if depth == 0:
            return solution[start + 1 : place]
    return None


def normalized(answer: str) -> str:
    """Return an answer in the one spelling in which answers are compared."""
    text = _WHOLE_WORD.sub("", answer.rpartition("=")[2])
    for before, after in _SPELLINGS:
        text = text.replace(before, after)
    pieces = _COMMAND.split(text)  # every second one is a command
    for word in _WORDS:
        pieces[::2] = [piece.replace(word, "") for piece in pieces[::2]]
    text = "".join(pieces)
    for mark in _MARKS:
        text = text.replace(mark, "")
    for pattern, spelling in _REWRITTEN:
        text = pattern.sub(spelling, text)
    text = text.replace("$", "")
    return text.replace(",", "") if _THOUSANDS.fullmatch(text) else text
