"""TeX's conditionals: which branch of \\if...\\else...\\fi is read, and what is skipped.

Those that cannot be decided take the \\else.
"""

from collections.abc import Collection

from llama_core.corpus.markup.latex.commands import words
from llama_core.corpus.markup.latex.expansion.comparisons import COMPARISONS
from llama_core.corpus.markup.latex.expansion.counters import number
from llama_core.corpus.markup.latex.expansion.definitions import Definitions
from llama_core.corpus.markup.latex.packages.conditions import CONDITIONS

# TeX's own conditionals, which end with \\fi.
IFS = words(
    "\\if \\ifcat \\ifnum \\ifdim \\ifodd \\ifvmode \\ifhmode \\ifmmode \\ifinner \\ifvoid \\ifhbox \\ifvbox "
    "\\ifx \\ifeof \\iftrue \\iffalse \\ifcase \\ifdefined \\ifcsname \\ifpdf \\ifxetex \\ifluatex "
    "\\if@twocolumn \\if@compatibility"
)


class Branches(Definitions):
    """The conditionals of a paper, over its definitions.

    The reader of a formula sets `math` while it reads.
    """

    def __init__(self, chars: int, known: Collection[str], is_careful: bool = False):
        super().__init__(chars, known, is_careful)
        self.math = False
        self._setters: dict[str, tuple[str, bool]] = {}  # what \nametrue and \namefalse set
        self._branches = 0  # open conditionals whose branch is being read
        self._no_end = False  # a branch has no end: none is skipped any more

    def _new_if(self) -> None:
        name = self._name()
        if name.startswith("\\if"):
            self.flags[name] = False
            self._setters["\\" + name[3:] + "true"] = (name, True)
            self._setters["\\" + name[3:] + "false"] = (name, False)

    def _condition(self, name: str, negated: bool = False) -> None:
        if name in self.flags:
            holds = self.flags[name]
        elif decide := COMPARISONS.get(name):
            holds = decide(self)
        else:
            holds = name == "\\iftrue" or (name == "\\ifmmode" and self.math)
        if holds != negated:
            self._branches += 1
        else:
            self._skip_branch(to_else=True)

    def _unless(self) -> None:
        name = self.peek().rstrip()
        if name in self.flags or name in IFS:
            self.raw()
            self._condition(name, negated=True)

    def _else(self) -> None:
        if self._branches:
            self._branches -= 1
            self._skip_branch(to_else=False)

    def _fi(self) -> None:
        self._branches = max(0, self._branches - 1)

    def _case(self) -> None:
        """Read the branch of a number: `\\ifcase 1 none\\or one\\else more\\fi`."""
        if (case := number(self)) != 0:
            self._skip_branch(to_else=True, cases=max(0, case or 0))
        else:
            self._branches += 1

    def _skip_branch(self, to_else: bool, cases: int = 0) -> None:
        """Skip to the \\fi of a conditional, its \\else or one of its \\or (`cases`: which), in this file.

        Nothing is skipped if the file ends before.
        """
        depth, frames = 0, len(self._frames)
        skipped: list[str] = []
        while not self._no_end and (token := self.raw()) is not None:
            skipped.append(token)
            if len(self._frames) < frames:
                self.put_back(skipped)
                return
            if token[0] != "\\":
                continue
            name = token.rstrip()
            if name == "\\fi":
                if depth == 0:
                    return
                depth -= 1
            elif depth == 0 and name in ("\\else", "\\or"):
                cases -= name == "\\or"
                if to_else and (name == "\\else" or cases == 0):
                    self._branches += 1
                    return
            elif name.startswith("\\if") and name not in CONDITIONS:
                depth += name in self.flags or name in IFS or name.startswith("\\if@")
        self._no_end = True
        self.put_back(skipped)
