"""The numbers that LaTeX gives to sections, floats, equations and theorems, and the labels that name them."""

import re
from collections import Counter

# The counter of each level of headings.
_LEVELS = ("chapter", "section", "subsection", "subsubsection", "paragraph", "subparagraph")

_REFERENCE = re.compile(r"\\(?:eq)?ref\s*\{([^{}]*)\}")
_MAX_WITHIN = 200  # counters that begin again with another: each step looks at all of them


class Numbers:
    """The counters of a paper, and the labels that name their numbers.

    `found`: what a reference prints, by `kind\\0label`; kinds: "" 2.1, "eq" (2.1), "auto" Section 2.1.
    """

    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        self._counts: Counter[str] = Counter()
        self._within = {"subsection": "section", "subsubsection": "subsection", "paragraph": "subsubsection"}
        self._current = ("", "")  # the name and the number that \label takes
        self._appendix = False
        self.title = ""  # that of the last heading, which \\nameref prints

    def step(self, counter: str, name: str = "") -> str:
        """Return the next number of a counter, which \\label will name from now on.

        `name`: what "auto" references call it; by default the counter's.
        """
        self._counts[counter] += 1
        for inner, outer in self._within.items():
            if outer == counter and inner != counter:
                self._counts[inner] = 0
                if inner in _LEVELS:
                    for deeper in _LEVELS[_LEVELS.index(inner) :]:
                        self._counts[deeper] = 0
        number = self._number(counter)
        self._current = (name or counter.capitalize(), number)
        return number

    def heading(self, level: int) -> None:
        """Number a heading, whose level is one of `commands.HEADINGS`."""
        counter = _LEVELS[level]
        if counter == "chapter" and "section" not in self._within:
            self._within |= dict.fromkeys(("section", "figure", "table", "equation"), "chapter")
        name = "Chapter" if level == 0 else "Section"
        self.step(counter, "Appendix" if self._appendix and level <= 1 else name)

    def item(self, number: int) -> None:
        """Let \\label name an item of a list from now on."""
        self._current = ("Item", str(number))

    def appendix(self) -> None:
        """Begin the appendix, whose chapters or sections are letters, from A on."""
        self._appendix = True
        self._counts["chapter" if "section" in self._within else "section"] = 0

    def within(self, counter: str, outer: str, keep: bool = False) -> None:
        """Let a counter begin again with each number of `outer`, as \\numberwithin does.

        Nothing changes if that makes a circle. `keep`: nor if it has been said of the counter before.
        """
        if keep and counter in self._within:
            return
        at: str | None = outer
        while at is not None and at != counter:
            at = self._within.get(at)
        if at is None and len(self._within) < _MAX_WITHIN:
            self._within[counter] = outer

    def label(self, label: str) -> None:
        """Give the current number a label."""
        kind, number = self._current
        label = label.strip()
        if number:
            self.found |= {
                f"\0{label}": number,
                f"eq\0{label}": f"({number})",
                f"auto\0{label}": f"{kind} {number}",
            }
        if self.title and label:
            self.found[f"name\0{label}"] = self.title

    def rows(self, rows: list[tuple[list[str], bool, str]]) -> None:
        """Number the rows of a display. For each row: its labels, whether it has a number, and its tag."""
        for labels, numbered, tag in rows:
            if tag:
                tag = _REFERENCE.sub(lambda m: self.found.get(f"\0{m[1]}", ""), tag)
                self._current = ("Equation", tag)
            elif numbered or labels:
                self.step("equation")
            for label in labels:
                self.label(label)

    def _number(self, counter: str) -> str:
        """Return the number of a counter as it is printed, after those of its outer counters."""
        parts: list[str] = []
        at: str | None = counter
        while at is not None and (self._counts[at] or at == counter):
            lettered = self._appendix and at == ("chapter" if "section" in self._within else "section")
            count = self._counts[at]
            parts.append(chr(64 + count) if lettered and count <= 26 else str(count))
            at = self._within.get(at)
        return ".".join(reversed(parts))
