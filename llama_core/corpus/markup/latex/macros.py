"""User macros expanded inline: definitions are learned as they are read, and every use gives way to its body.

This module does what TeX does while it reads: it expands, inputs files, decides conditionals. `definitions`
reads definitions, which hold to the end of the paper (groups do not end them). Only what a paper defines is
expanded: the commands of LaTeX itself pass through. Conditionals that cannot be decided take the \\else.
"""

import posixpath
from collections.abc import Callable, Collection, Mapping

from llama_core.corpus.markup.latex.commands import BOXES, words
from llama_core.corpus.markup.latex.definitions import NO_VALUE, Definitions, Frozen, Macro, fill
from llama_core.corpus.markup.latex.files import BundleFiles
from llama_core.corpus.markup.latex.lexer import COMMENTS, Lexer

# The commands that are obeyed here, by kind: `_OBEYED` says what is done for each. Prefixes are left out.
_PREFIXES = words("\\long \\global \\outer \\protected \\relax \\expandafter \\noexpand \\protect")
_DEFINES = words("\\def \\gdef \\edef \\xdef")
_AMS_DEFINES = words("\\define \\redefine")
_COMMANDS = words(
    "\\newcommand \\renewcommand \\providecommand \\DeclareRobustCommand \\newrobustcmd \\renewrobustcmd"
)
_DOCUMENT_COMMANDS = words(
    "\\NewDocumentCommand \\RenewDocumentCommand \\ProvideDocumentCommand \\DeclareDocumentCommand"
)
_REGISTERS = words(
    "\\newcount \\newdimen \\newskip \\newtoks \\newbox \\newmuskip \\newread \\newwrite \\newfam"
)
_INPUTS = words("\\input \\include \\subfile \\subfileinclude \\InputIfFileExists \\@input")
_IMPORTS = words("\\import \\subimport \\inputfrom \\includefrom \\subincludefrom")
# Formats whose commands the renderer knows: a file of a bundle that defines them is not read.
_FORMATS = words("harvmac lanlmac phyzzx phyzzx.plus amstex amsppt")
_PACKAGES = words("\\usepackage \\RequirePackage")
_CONDITIONS = words(
    "\\if \\ifcat \\ifnum \\ifdim \\ifodd \\ifvmode \\ifhmode \\ifmmode \\ifinner \\ifvoid \\ifhbox \\ifvbox "
    "\\ifx \\ifeof \\iftrue \\iffalse \\ifcase \\ifdefined \\ifcsname \\ifpdf \\ifxetex \\ifluatex "
    "\\if@twocolumn \\if@compatibility"
)
# Names that begin with \if, of commands that no \fi ends.
_NO_CONDITIONS = words(
    "\\iff \\ifthenelse \\ifblank \\ifstrempty \\ifstrequal \\ifbool \\iftoggle \\ifdef \\ifundef \\ifcsdef"
)
# xparse's tests, such as \IfValueTF: what each tests, and the branches that follow.
_VALUES = {
    f"\\If{kind}{branches}": (kind, branches)
    for kind in ("Value", "NoValue", "Boolean")
    for branches in ("TF", "T", "F")
}

_MAX_COMMENTS = 50  # environments that are left out


class Expander(Definitions):
    """The tokens of a paper, with its inputs in their places and its macros expanded.

    `files`: text by path. `main`: where the paper begins. `known`: control words whose meaning a paper cannot
    change. The reader of a formula sets `math` while it reads. Raises MacroBomb.
    """

    def __init__(self, files: Mapping[str, str], main: str, known: Collection[str] = (), plain: bool = False):
        super().__init__(sum(map(len, files.values())), known)
        self.plain = plain  # not LaTeX
        self.files = BundleFiles(files)
        self.used: dict[str, None] = {}  # the paths that were read, in order
        self.missing: list[str] = []
        self.math = False
        self._registers: set[str] = set()
        self._comments = set(COMMENTS)
        self._flags: dict[str, bool] = {}  # \newif's, by \ifname
        self._setters: dict[str, tuple[str, bool]] = {}  # what \nametrue and \namefalse set
        self._toggles: dict[str, bool] = {}  # etoolbox's, by name
        self._branches = 0  # open conditionals whose branch is being read
        self._main = main
        self._document = 0  # the number of files that were open where the document began
        self._open_file(main)

    def next(self) -> str | None:
        """Return the next token that is no macro and is not obeyed here; None at the end of the paper."""
        while (token := self.raw()) is not None:
            if token[0] != "\\":
                return token
            if type(token) is not str:
                return str(token) if type(token) is Frozen else token
            name = token.rstrip()
            if name in self.macros:
                self._expand(self.macros[name])
            elif name[-1] == "}" and (name.startswith(("\\begin{", "\\end{"))):
                if not (self._expand_environment(name) or self._is_inner(name)):
                    return token
            elif not self._obey(name):
                return token
        return None

    # --- uses of macros

    def _expand(self, macro: Macro) -> None:
        arguments: list[list[str]] = []
        if macro.before and self.until(macro.before) is None:
            return
        for i, end in enumerate(macro.after):
            if i < len(macro.options) and (default := macro.options[i]) is not None:
                found = self.option()
                arguments.append(default if found is None else found)
            elif end == "*":
                arguments.append(["*"] if self.star() else [])
            elif end:
                arguments.append(self.until(end) or [])
            else:
                arguments.append(self.argument())
        self.put_back(fill(macro.body, arguments))

    def _expand_environment(self, name: str) -> bool:
        kind, _, environment = name[1:-1].partition("{")
        if environment not in self.environments:
            return False
        begin, end = self.environments[environment]
        if kind == "begin":
            self._expand(begin)
        else:
            self.put_back(end)
        return True

    def _is_inner(self, name: str) -> bool:
        """Tell whether this begins or ends a document inside of another (package subfiles), and obey it."""
        if name == "\\begin{document}":
            if not self._document:
                self._document = len(self._frames)
                return False
            return len(self._frames) > self._document
        if name == "\\end{document}" and len(self._frames) > self._document > 0:
            self.leave()
            return True
        return False

    # --- what TeX obeys while it reads

    def _obey(self, name: str) -> bool:
        if obeyed := _OBEYED.get(name):
            obeyed(self, name)
        elif name in self._flags:
            self._condition(name)
        elif name in self._setters:
            flag, value = self._setters[name]
            self._flags[flag] = value
        elif name in self._registers:
            self.length(name)
        elif name in BOXES and not self.math:
            self._box()
        elif name in ("\\begin", "\\end") and self.peek() == "{":
            self.put_back([f"{name}{{{self.word()}}}"])
        else:
            return False
        return True

    def _new_register(self) -> None:
        if register := self._name():
            self._registers.add(register)
            self.macros.pop(register, None)

    def _advance(self, name: str) -> None:
        self.argument()
        if (token := self.solid()) is not None:
            self.put_back([token.removeprefix("by") if type(token) is str else token])
        self.length(name)

    def _box(self) -> None:
        """Leave out the size of a box: `\\hbox to 3cm{...}`."""
        for word in ("to", "spread"):
            if type(token := self.peek()) is str and token.lstrip().startswith(word):
                self.raw()
                self.put_back([token.lstrip().removeprefix(word)])
                self.length("\\hskip")

    def _ams_define(self) -> None:
        if self.plain and self.peek()[:1] == "\\":
            self._define()

    def _predefine(self) -> None:
        """Obey AMS-TeX's `\\predefine\\new{\\old}`."""
        name = self._name()
        self.put_back([name, *self.argument()])
        self._let()

    def _csname(self) -> None:
        letters = self.until("\\endcsname")
        self.put_back(["\\" + "".join(letters).strip()] if letters and len(letters) == 1 else [])

    def _value(self, name: str) -> None:
        """Decide the test of an optional argument, or of a star, in the body of a \\NewDocumentCommand."""
        kind, branches = _VALUES[name]
        test = "".join(self.argument()).strip()
        holds = test == "*" if kind == "Boolean" else (test != NO_VALUE) == (kind == "Value")
        yes = self.argument() if "T" in branches else []
        no = self.argument() if "F" in branches else []
        self.put_back(yes if holds else no)

    # --- files

    def _input(self, kind: str) -> None:
        token = self.solid()
        if token == "{":
            name = "".join(self._group(long=False)).strip()
        else:  # plain TeX's form: the name ends at the next space
            name, space, rest = (token or "").partition(" ")
            self.put_back([space + rest])
            while (token := self.peek()) and not space and token[0] in "_^&~#":
                self.raw()
                more, space, rest = (self.raw() or "").partition(" ")
                name += token + more
                self.put_back([space + rest])
        if kind == "\\InputIfFileExists":
            yes, no = self.argument(), self.argument()
            self.put_back(yes if self._find(name) else no)
        self._input_file(name)

    def _find(self, name: str) -> str | None:
        beside = self.lexer.name if self._frames else ""
        return self.files.find(name, posixpath.dirname(self._main), posixpath.dirname(beside))

    def _find_wanted(self, name: str) -> str | None:
        """Return the file that `_find` finds; the name of one that is not there is kept in `missing`."""
        found = self._find(name)
        if found is None:
            self.missing.append(name)
        return found

    def _input_file(self, name: str) -> None:
        if name.lower().removesuffix(".tex").removesuffix(".sty") in _FORMATS:
            return
        if (found := self._find_wanted(name)) is not None:
            self._open_file(found)

    def _open_file(self, path: str) -> None:
        text = self.files[path]
        if not text.endswith("\n"):
            text += "\n"  # as TeX ends each line
        if self.open(Lexer(text, path, self._comments), len(text)):
            self.used[path] = None

    def _open_style(self, name: str) -> None:
        found = self._find(name + ".sty") if name else None
        if found and found not in self.used:
            self._open_file(found)

    def listing(self, name: str) -> str | None:
        """Return the text of a file that is printed as it is; None if it is not there. Raises MacroBomb."""
        found = self._find_wanted(name)
        if found is None:
            return None
        self.pay(len(self.files[found]))
        self.used[found] = None
        return self.files[found]

    def _exclude(self) -> None:
        name = self.word()
        if len(self._comments) < _MAX_COMMENTS:  # each is looked for once in every file
            self._comments.add(name)

    def _import(self) -> None:
        self.star()
        folder, file = self.word(), self.word()
        self._input_file(f"{folder}/{file}")

    def _packages(self) -> None:
        self.option()
        for package in self.word().split(","):
            self._open_style(package.strip())

    # --- conditionals

    def _new_if(self) -> None:
        name = self._name()
        if name.startswith("\\if"):
            self._flags[name] = False
            self._setters["\\" + name[3:] + "true"] = (name, True)
            self._setters["\\" + name[3:] + "false"] = (name, False)

    def _condition(self, name: str) -> None:
        if name in self._flags:
            holds = self._flags[name]
        elif name == "\\ifx":
            holds = self._same(self.single(), self.single())
        elif name == "\\ifdefined":
            holds = self.single() in self.macros
        else:
            holds = name == "\\iftrue" or (name == "\\ifmmode" and self.math)
        if holds:
            self._branches += 1
        else:
            self._skip_branch(to_else=True)

    def _else(self) -> None:
        if self._branches:
            self._branches -= 1
            self._skip_branch(to_else=False)

    def _fi(self) -> None:
        self._branches = max(0, self._branches - 1)

    def _if_then_else(self) -> None:
        test, yes, no = self.argument(), self.argument(), self.argument()
        self.put_back(yes if self._is_true(test) else no)

    def _set_toggle(self, value: bool | None = None) -> None:
        name = self.word()
        self._toggles[name] = self.word() == "true" if value is None else value

    def _if_set(self, switches: Mapping[str, bool], prefix: str = "") -> None:
        name, yes, no = prefix + self.word(), self.argument(), self.argument()
        holds = switches.get(name, len(yes) >= len(no))  # a missing class may set it: the longer branch
        self.put_back(yes if holds else no)

    def _new_bool(self) -> None:
        """Make a flag, as \\newif does: etoolbox's `\\newbool{name}`."""
        if (name := "\\if" + self.word()) not in _CONDITIONS:
            self._flags[name] = False

    def _set_bool(self, value: bool | None = None) -> None:
        name = "\\if" + self.word()
        value = self.word() == "true" if value is None else value
        if name in self._flags:
            self._flags[name] = value

    def _same(self, first: str, second: str) -> bool:
        """Tell whether two tokens mean the same, as \\ifx does."""
        a, b = self.macros.get(first), self.macros.get(second)
        return a == b if a or b else first == second

    def _skip_branch(self, to_else: bool) -> None:
        """Skip to the \\fi of this conditional, or to its \\else, but no further than the end of the file."""
        depth, frames = 0, len(self._frames)
        while (token := self.raw()) is not None:
            if len(self._frames) < frames:
                self.put_back([token])
                return
            if token[0] != "\\":
                continue
            name = token.rstrip()
            if name == "\\fi":
                if depth == 0:
                    return
                depth -= 1
            elif name == "\\else" and depth == 0 and to_else:
                self._branches += 1
                return
            elif name.startswith("\\if") and name not in _NO_CONDITIONS:
                depth += name in self._flags or name in _CONDITIONS or name.startswith("\\if@")

    def _is_true(self, test: list[str]) -> bool:
        """Decide a test of \\ifthenelse: \\equal compares texts, \\boolean asks a flag. Others are false."""
        if test and test[0].rstrip() == "\\equal":
            a, _, b = "".join(t.strip() for t in test[1:]).removeprefix("{").removesuffix("}").partition("}{")
            return a == b
        if test and test[0].rstrip() == "\\boolean":
            return self._flags.get("\\if" + "".join(test[1:]).strip("{} "), False)
        return False


# What is done for each command that TeX obeys while it reads.
_OBEYED: dict[str, Callable[[Expander, str], None]] = {
    **dict.fromkeys(_PREFIXES, lambda e, name: None),
    **dict.fromkeys(_DEFINES, lambda e, name: e._define()),
    **dict.fromkeys(_COMMANDS, lambda e, name: e._new_command(name)),
    **dict.fromkeys(_DOCUMENT_COMMANDS, lambda e, name: e._new_document_command()),
    **dict.fromkeys(_INPUTS, lambda e, name: e._input(name)),
    **dict.fromkeys(_IMPORTS, lambda e, name: e._import()),
    **dict.fromkeys(_PACKAGES, lambda e, name: e._packages()),
    **dict.fromkeys(_CONDITIONS, lambda e, name: e._condition(name)),
    **dict.fromkeys(_REGISTERS, lambda e, name: e._new_register()),
    **dict.fromkeys(_VALUES, lambda e, name: e._value(name)),
    **dict.fromkeys(words("\\advance \\multiply \\divide"), lambda e, name: e._advance(name)),
    **dict.fromkeys(words("\\newenvironment \\renewenvironment"), lambda e, name: e._new_environment()),
    **dict.fromkeys(words("\\else \\or"), lambda e, name: e._else()),
    **dict.fromkeys(words("\\ifthenelse \\IfFileExists"), lambda e, name: e._if_then_else()),
    **dict.fromkeys(_AMS_DEFINES, lambda e, name: e._ams_define()),
    "\\newtoggle": lambda e, name: e._set_toggle(False),
    "\\toggletrue": lambda e, name: e._set_toggle(True),
    "\\togglefalse": lambda e, name: e._set_toggle(False),
    "\\settoggle": lambda e, name: e._set_toggle(),
    "\\iftoggle": lambda e, name: e._if_set(e._toggles),
    "\\newbool": lambda e, name: e._new_bool(),
    "\\booltrue": lambda e, name: e._set_bool(True),
    "\\boolfalse": lambda e, name: e._set_bool(False),
    "\\setbool": lambda e, name: e._set_bool(),
    "\\ifbool": lambda e, name: e._if_set(e._flags, "\\if"),
    "\\predefine": lambda e, name: e._predefine(),
    "\\let": lambda e, name: e._let(),
    "\\newif": lambda e, name: e._new_if(),
    "\\fi": lambda e, name: e._fi(),
    "\\DeclareMathOperator": lambda e, name: e._new_operator(),
    "\\makeatletter": lambda e, name: e.lexer.at_is_letter(True),
    "\\makeatother": lambda e, name: e.lexer.at_is_letter(False),
    "\\excludecomment": lambda e, name: e._exclude(),
    "\\endinput": lambda e, name: e.lexer.stop(),
    "\\csname": lambda e, name: e._csname(),
}
