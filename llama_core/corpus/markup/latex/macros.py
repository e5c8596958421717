"""User macros expanded inline: definitions are learned as they are read, and every use gives way to its body.

This module does what TeX does while it reads: it expands, inputs files, decides conditionals. `definitions`
reads definitions, which hold to the end of the paper (groups do not end them). Only what a paper defines is
expanded: the commands of LaTeX itself pass through. Conditionals that cannot be decided take the \\else.
"""

import posixpath
from collections.abc import Callable, Collection, Mapping

from llama_core.corpus.markup.latex.commands import BOXES, words
from llama_core.corpus.markup.latex.comparisons import COMPARISONS, number
from llama_core.corpus.markup.latex.definitions import Definitions, Frozen, Macro, fill
from llama_core.corpus.markup.latex.files import BundleFiles, language_of
from llama_core.corpus.markup.latex.lexer import COMMENTS, Lexer
from llama_core.corpus.markup.latex.packages.acronym_list import Acronyms
from llama_core.corpus.markup.latex.packages.conditions import CONDITIONS
from llama_core.corpus.markup.latex.packages.shorthands import SWITCHES, Shorthands
from llama_core.corpus.markup.latex.primitives import register

# The commands that are obeyed here (`_OBEYED`), by kind. Prefixes are left out.
_PREFIXES = words("\\long \\global \\outer \\protected \\relax \\expandafter \\noexpand \\protect")
_DEFINES = words("\\def \\gdef \\edef \\xdef")
_AMS_DEFINES = words("\\define \\redefine")
_COMMANDS = words(
    "\\newcommand \\renewcommand \\providecommand \\DeclareRobustCommand \\newrobustcmd \\renewrobustcmd "
    "\\algnewcommand \\algrenewcommand"
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
        self.acronyms = Acronyms.of(files)
        self.shorthands = Shorthands(language_of(files[main]))
        self._registers: set[str] = set()
        self._comments = set(COMMENTS)
        self._setters: dict[str, tuple[str, bool]] = {}  # what \nametrue and \namefalse set
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
                if not (self._expand_environment(name) or self._is_inner(name) or self._obey(name)):
                    return token
            elif not self._obey(name):
                return token
        return None

    # --- uses of macros

    def expand_ahead(self) -> None:
        """Expand the macros that come next, where a number or a length is read."""
        while (name := self.peek().rstrip()) in self.macros and name[:1] == "\\":
            self.raw()
            self._expand(self.macros[name])

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
        elif name in self.flags:
            self._condition(name)
        elif name in self._setters:
            flag, value = self._setters[name]
            self.flags[flag] = value
        elif name in self._registers:
            self.length(name)
        elif name in BOXES and not self.math:
            self.box_size()
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
        self.word_ahead()
        if (token := self.solid()) is not None:
            self.put_back([token.removeprefix("by") if type(token) is str else token])
        self.length(name)

    def box_size(self) -> None:
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

    def _choose_form(self) -> None:
        """Read \\mathchoice: of its four forms the one for text, without boxes and the formulas in them."""
        forms = [self.argument() for _ in range(4)]
        before = self.waiting
        self.put_back(forms[1])
        form: list[str] = []
        while self.waiting > before and (token := self.raw()) is not None:
            name = token.rstrip()
            if name == "\\raisebox" and self.group_ahead():
                self.argument()
                self.option()
                self.option()
                self.put_back(self.argument() if self.group_ahead() else [])
            elif name in ("\\raise", "\\lower", "\\kern", "\\mkern"):
                self.length(name)
            elif name in BOXES or name in ("\\mbox", "\\vcenter"):
                self.box_size()
                self.put_back(self.argument() if self.group_ahead() else [])
            elif name not in ("\\textstyle", "$"):
                form.append(token)
        self.put_back(form)

    def _category(self) -> None:
        """Obey ``\\catcode`\\@=11``, which makes `@` a letter, and its like; others are left out."""
        token = self.raw() or ""
        if not token.startswith("`"):
            self.put_back([token])
            register(self)
            return
        self.put_back([token[1:]])
        character = self.single()
        code = self.number()
        if character.removeprefix("\\") == "@" and code is not None:
            self.lexer.at_is_letter(code == "11")

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
        options = "".join(self.option() or []).split(",")
        for name in self.word().split(","):
            self.packages.add(package := name.strip())
            if package == "babel":
                self.languages = {o.rpartition("=")[2].strip() for o in options[-1:]}
            self._open_style(package)

    def _class(self) -> None:
        options = "".join(self.option() or []).split(",")
        self.packages.add(self.word())
        self.languages = {option.strip() for option in options}

    # --- conditionals

    def _new_if(self) -> None:
        name = self._name()
        if name.startswith("\\if"):
            self.flags[name] = False
            self._setters["\\" + name[3:] + "true"] = (name, True)
            self._setters["\\" + name[3:] + "false"] = (name, False)

    def _condition(self, name: str) -> None:
        if name in self.flags:
            holds = self.flags[name]
        elif decide := COMPARISONS.get(name):
            holds = decide(self)
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

    def _if_file(self) -> None:
        name, yes, no = self.word(), self.argument(), self.argument()
        self.put_back(yes if self._find(name) else no)

    def _case(self) -> None:
        """Read the branch of a number: `\\ifcase 1 none\\or one\\else more\\fi`."""
        if (case := number(self)) != 0:
            self._skip_branch(to_else=True, cases=max(0, case or 0))
        else:
            self._branches += 1

    def _skip_branch(self, to_else: bool, cases: int = 0) -> None:
        """Skip to the \\fi of a conditional, its \\else or one of its \\or (`cases`: which), in this file."""
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
            elif depth == 0 and name in ("\\else", "\\or"):
                cases -= name == "\\or"
                if to_else and (name == "\\else" or cases == 0):
                    self._branches += 1
                    return
            elif name.startswith("\\if") and name not in CONDITIONS:
                depth += name in self.flags or name in _CONDITIONS or name.startswith("\\if@")


# What is done for each command that TeX obeys while it reads.
_OBEYED: dict[str, Callable[[Expander, str], None]] = {
    **dict.fromkeys(_PREFIXES, lambda e, name: None),
    **dict.fromkeys(_DEFINES, lambda e, name: e._define()),
    **dict.fromkeys(_COMMANDS, lambda e, name: e._new_command(name)),
    **dict.fromkeys(_DOCUMENT_COMMANDS, lambda e, name: e._new_document_command()),
    **dict.fromkeys(_INPUTS, lambda e, name: e._input(name)),
    **dict.fromkeys(_IMPORTS, lambda e, name: e._import()),
    **dict.fromkeys(_PACKAGES, lambda e, name: e._packages()),
    **dict.fromkeys(words("\\documentclass \\documentstyle"), lambda e, name: e._class()),
    **dict.fromkeys(_CONDITIONS, lambda e, name: e._condition(name)),
    **dict.fromkeys(_REGISTERS, lambda e, name: e._new_register()),
    **dict.fromkeys(words("\\advance \\multiply \\divide"), lambda e, name: e._advance(name)),
    **dict.fromkeys(words("\\newenvironment \\renewenvironment"), lambda e, name: e._new_environment()),
    **dict.fromkeys(words("\\else \\or"), lambda e, name: e._else()),
    **CONDITIONS,
    **dict.fromkeys(SWITCHES, lambda e, name: SWITCHES[name](e, e.shorthands)),
    "\\IfFileExists": lambda e, name: e._if_file(),
    **dict.fromkeys(_AMS_DEFINES, lambda e, name: e._ams_define()),
    "\\predefine": lambda e, name: e._predefine(),
    "\\let": lambda e, name: e._let(),
    "\\newif": lambda e, name: e._new_if(),
    "\\fi": lambda e, name: e._fi(),
    "\\ifcase": lambda e, name: e._case(),
    "\\DeclareMathOperator": lambda e, name: e._new_operator(),
    "\\makeatletter": lambda e, name: e.lexer.at_is_letter(True),
    "\\makeatother": lambda e, name: e.lexer.at_is_letter(False),
    "\\excludecomment": lambda e, name: e._exclude(),
    "\\endinput": lambda e, name: e.lexer.stop(),
    "\\csname": lambda e, name: e._csname(),
    "\\mathchoice": lambda e, name: e._choose_form(),
    "\\catcode": lambda e, name: e._category(),
}
