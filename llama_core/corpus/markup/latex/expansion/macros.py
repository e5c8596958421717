"""User macros expanded inline: definitions are learned as they are read, and every use gives way to its body.

This module does what TeX does while it reads: it expands, inputs files, decides conditionals. `definitions`
reads definitions, which hold to the end of the paper (groups do not end them). Only what a paper defines is
expanded: the commands of LaTeX itself pass through. Conditionals that cannot be decided take the \\else.
"""

import posixpath
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from llama_core.corpus.markup.latex.commands import BOXES, words
from llama_core.corpus.markup.latex.expansion import counters
from llama_core.corpus.markup.latex.expansion.arguments import Macro, fill
from llama_core.corpus.markup.latex.expansion.branches import IFS, Branches
from llama_core.corpus.markup.latex.expansion.definitions import Frozen
from llama_core.corpus.markup.latex.expansion.lexer import COMMENTS, Lexer, Verbatim
from llama_core.corpus.markup.latex.files import BundleFiles, shorthands_of
from llama_core.corpus.markup.latex.packages.acronym_list import Acronyms
from llama_core.corpus.markup.latex.packages.conditions import CONDITIONS
from llama_core.corpus.markup.latex.packages.internals import INTERNALS
from llama_core.corpus.markup.latex.packages.preludes import PRELUDES
from llama_core.corpus.markup.latex.packages.primitives import register
from llama_core.corpus.markup.latex.packages.shorthands import SWITCHES, Shorthands

# The commands that are obeyed here (`_OBEYED`), by kind. Prefixes are left out.
_PREFIXES = words("\\long \\global \\outer \\protected \\relax \\noexpand \\protect \\immediate")
_DEFINES = words("\\def \\gdef \\edef \\xdef")
_AMS_DEFINES = words("\\define \\redefine")
_COMMANDS = words(
    "\\newcommand \\renewcommand \\providecommand \\DeclareRobustCommand \\newrobustcmd \\renewrobustcmd "
    "\\algnewcommand \\algrenewcommand"
)
_DOCUMENT_COMMANDS = words(
    "\\NewDocumentCommand \\RenewDocumentCommand \\ProvideDocumentCommand \\DeclareDocumentCommand "
    "\\NewExpandableDocumentCommand \\DeclareExpandableDocumentCommand"
)
_DOCUMENT_ENVIRONMENTS = words(
    "\\NewDocumentEnvironment \\RenewDocumentEnvironment \\DeclareDocumentEnvironment"
)
_DELIMITERS = words("\\DeclarePairedDelimiter \\DeclarePairedDelimiterX \\DeclarePairedDelimiterXPP")
_REGISTERS = words(
    "\\newcount \\newdimen \\newskip \\newtoks \\newbox \\newmuskip \\newread \\newwrite \\newfam"
)
_INPUTS = words("\\input \\include \\subfile \\subfileinclude \\@input \\@@input")
_IMPORTS = words("\\import \\subimport \\inputfrom \\includefrom \\subincludefrom")
# Formats whose commands the renderer knows: a file of a bundle that defines them is not read.
_FORMATS = words("harvmac lanlmac phyzzx phyzzx.plus amstex amsppt")
# Headings of LaTeX that papers in plain TeX define, and those of harvmac that they are like.
_OWN_HEADINGS = {"\\section": "\\newsec ", "\\subsection": "\\subsec "}
_PACKAGES = words("\\usepackage \\RequirePackage")
# What is left out up to the end that belongs to it: code, and what only TeX can repeat.
_SKIPPED = {"loop": "\\repeat", "ExplSyntaxOn": "\\ExplSyntaxOff", "DIFdelbegin": "\\DIFdelend",
            "DIFdelbeginFL": "\\DIFdelendFL", "CodeBefore": "\\Body"}  # fmt: skip
_PRINTS = words("\\the \\number \\romannumeral")
_OWN_STYLE = 20_000  # characters up to which a style or a class is a paper's own
_MAX_AFTER = 50  # of \expandafter in a row
_MAX_COMMENTS = 50  # environments that are left out


class Expander(Branches):
    """The tokens of a paper, with its inputs in their places and its macros expanded.

    `files`: text by path. `main`: where the paper begins. `known`: control words whose meaning a paper cannot
    change. The reader of a formula sets `math` while it reads. Raises MacroBomb.
    """

    def __init__(
        self,
        files: Mapping[str, str],
        main: str,
        known: Collection[str] = (),
        plain: bool = False,
        is_careful: bool = False,
    ):
        super().__init__(sum(map(len, files.values())), known, is_careful)
        self.plain = plain  # not LaTeX
        self.files = BundleFiles(files)
        self.used: dict[str, None] = {}  # the paths that were read, in order
        self.missing: list[str] = []
        self.acronyms = Acronyms.of(files)
        self.shorthands = Shorthands(shorthands_of(files[main]))
        self._registers: set[str] = set()
        self._comments = set(COMMENTS)
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
            if (macro := self.macros.get(name)) and (not macro.inner or self._is_expandable(macro)):
                self._expand(macro)
            elif name[-1] == "}" and (name.startswith(("\\begin{", "\\end{"))):
                if not (self._expand_environment(name) or self._is_inner(name) or self._obey(name)):
                    return token
            elif not self._obey(name):
                return token
        return None

    def learn(self, name: str, macro: Macro | None) -> None:
        """Define a control word. A heading in plain TeX stays one, with the arguments of the paper's own."""
        if self.plain and macro is not None and name in _OWN_HEADINGS:
            if count := len(macro.arguments):
                texts = [part for number in range(1, count + 1) for part in (number, " ")]
                macro = replace(macro, body=[_OWN_HEADINGS[name], "{", *texts, "}"])
            self.macros[name] = macro
        else:
            super().learn(name, macro)

    # --- uses of macros

    def expand_ahead(self) -> None:
        """Expand the macros that come next, where a number or a length is read."""
        while (macro := self.macros.get(name := self.peek().rstrip())) and name[:1] == "\\":
            if macro.inner and not self._is_expandable(macro):
                return
            self.raw()
            self._expand(macro)

    def _is_expandable(self, macro: Macro) -> bool:
        """Tell whether all commands with `@` in the body of a macro are known."""
        known = (self.macros, _OBEYED, self.flags, self.counts, self.delimiters)
        return all(any(name in place for place in known) for name in macro.inner)

    def _expand(self, macro: Macro) -> None:
        if macro.before and self.until(macro.before) is None:
            return
        arguments: list[list[str]] = []
        for argument in macro.arguments:
            arguments.append(argument.read(self, arguments))
        self.put_back(fill(macro.body, arguments))

    def _expand_after(self) -> None:
        """Obey `\\expandafter`: the second of the tokens that follow is expanded once, before the first."""
        first: list[str] = []
        for _ in range(_MAX_AFTER):
            if (token := self.raw()) is None:
                break
            first.append(token)
            name = self.peek().rstrip()
            if name != "\\expandafter":
                if (macro := self.macros.get(name)) and (not macro.inner or self._is_expandable(macro)):
                    self.raw()
                    self._expand(macro)
                elif name in ("\\csname", "\\fi", "\\else", "\\romannumeral"):
                    self.raw()
                    self._obey(name)
                break
            self.raw()
        self.put_back(first)

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
        elif name in self.counts:
            counters.assign(self, name)
        elif name in self._registers:
            self.length(name)
        elif name in _PRINTS and (count := self.peek().rstrip()) in self.counts:
            self.raw()
            self.put_back([counters.printed(self.counts[count], name[1:].removesuffix("numeral"))])
        elif name == "\\romannumeral" and (number := counters.number(self)) is not None:
            self.put_back([counters.printed(number, "roman")])
        elif name in BOXES and not self.math:
            self.box_size()
        elif name in ("\\begin", "\\end") and self.peek() == "{":
            self.put_back([f"{name}{{{self.word()}}}"])
        else:
            return False
        return True

    def _new_register(self, kind: str) -> None:
        if register := self._name():
            self.macros.pop(register, None)
            if kind == "\\newcount":
                self.counts[register] = 0
            else:
                self._registers.add(register)

    def _advance(self, name: str) -> None:
        if name == "\\advance" and (count := self.peek().rstrip()) in self.counts:
            self.raw()
            counters.advance(self, count)
            return
        self.word_ahead()
        if (token := self.solid()) is not None:
            self.put_back([token.removeprefix("by") if type(token) is str else token])
        self.length(name)

    def _ams_define(self) -> None:
        if self.plain and self.peek()[:1] == "\\":
            self._define()

    def _predefine(self) -> None:
        """Obey AMS-TeX's `\\predefine\\new{\\old}`."""
        name = self._name()
        self.put_back([name, *self.argument()])
        self._let()

    def _csname(self) -> None:
        name = self.text_of(self.until("\\endcsname") or [])
        self.put_back(["\\" + name] if name and "\\" not in name else [])

    def _string(self) -> None:
        token = self.raw()
        self.put_back([Verbatim(token.rstrip())] if token else [])

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

    def _input(self) -> None:
        token = self.solid()
        if token == "{":
            name = self.text_of(self._group(long=False))
        else:  # plain TeX's form: the name ends at the next space
            self.put_back([token or ""])
            self.expand_ahead()
            name = space = ""
            while not space and (token := self.peek()) and token[0] not in "\\{}$\n":
                self.raw()
                more, space, rest = token.partition(" ")
                name += more
                self.put_back([space + rest])
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
            if len(text) > _OWN_STYLE and "\\ProvidesPackage" in text:
                self.published.add(path)

    def _open_style(self, name: str, ending: str = ".sty") -> None:
        if prelude := PRELUDES.get(name) or PRELUDES.get(f"{name} {self.shorthands.language}"):
            self.open(Lexer(prelude, f"{name}.sty"), len(prelude))
            return
        found = self._find(name + ending) if name else None
        if found and found not in self.used and (ending == ".sty" or len(self.files[found]) <= _OWN_STYLE):
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
        name = self.word()
        self.packages.add(name)
        self.languages |= {option.strip() for option in options}
        self._open_style(name, ".cls")

    # --- conditionals

    def _if_file(self, kind: str) -> None:
        name, yes, no = self.word(), self.argument(), self.argument()
        inputs = ["\\input", "{", name, "}"] if kind == "\\InputIfFileExists" else []
        self.put_back([*yes, *inputs] if self._find(name) else no)


def _skips(end: str) -> Callable[[Expander, str], None]:
    """Return what leaves out all up to a control word."""

    def skip(expander: Expander, name: str) -> None:
        expander.skip(end)

    return skip


# What is done for each command that TeX obeys while it reads.
_OBEYED: dict[str, Callable[[Expander, str], None]] = {
    **dict.fromkeys(_PREFIXES, lambda e, name: None),
    **dict.fromkeys(_DEFINES, lambda e, name: e._define(expand=name in ("\\edef", "\\xdef"))),
    **dict.fromkeys(_COMMANDS, lambda e, name: e._new_command(name)),
    **dict.fromkeys(_DOCUMENT_COMMANDS, lambda e, name: e._new_document_command()),
    **dict.fromkeys(_DOCUMENT_ENVIRONMENTS, lambda e, name: e._new_document_environment()),
    **dict.fromkeys(_DELIMITERS, lambda e, name: e._new_delimiter(name)),
    **dict.fromkeys(_INPUTS, lambda e, name: e._input()),
    **dict.fromkeys(_IMPORTS, lambda e, name: e._import()),
    **dict.fromkeys(_PACKAGES, lambda e, name: e._packages()),
    **dict.fromkeys(words("\\documentclass \\documentstyle \\LoadClass"), lambda e, name: e._class()),
    **dict.fromkeys(IFS, lambda e, name: e._condition(name)),
    **dict.fromkeys(_REGISTERS, lambda e, name: e._new_register(name)),
    **dict.fromkeys(words("\\advance \\multiply \\divide"), lambda e, name: e._advance(name)),
    **dict.fromkeys(words("\\newenvironment \\renewenvironment"), lambda e, name: e._new_environment()),
    **dict.fromkeys(words("\\else \\or"), lambda e, name: e._else()),
    **CONDITIONS,
    **INTERNALS,
    **counters.COUNTERS,
    **dict.fromkeys(SWITCHES, lambda e, name: SWITCHES[name](e, e.shorthands)),
    **dict.fromkeys(("\\IfFileExists", "\\InputIfFileExists"), lambda e, name: e._if_file(name)),
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
    "\\expandafter": lambda e, name: e._expand_after(),
    "\\unless": lambda e, name: e._unless(),
    "\\string": lambda e, name: e._string(),
    **{f"\\{name}": _skips(end) for name, end in _SKIPPED.items()},
    "\\csname": lambda e, name: e._csname(),
    "\\catcode": lambda e, name: e._category(),
}
