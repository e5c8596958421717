"""User macros expanded inline: definitions are learned as they are read, and every use gives way to its body.

Only what a paper defines is expanded: the commands of LaTeX itself pass through. Definitions hold to the
end of the paper (groups do not end them). Conditionals that cannot be decided take the branch of \\else.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from llama_core.corpus.sources.latex_commands import words
from llama_core.corpus.sources.latex_files import Files
from llama_core.corpus.sources.latex_lexer import PAR, Lexer, Verbatim
from llama_core.corpus.sources.latex_reader import MacroBomb, TokenReader

__all__ = ["Expander", "MacroBomb"]


class Frozen(str):
    """A control word that \\let has saved: it is not expanded any more."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Macro:
    """`after[i]`: what ends argument i, empty where it is a group. `before`: what stands ahead of the first.

    `body`: tokens, and the numbers of arguments. `option`: what the first argument is where it is left out.
    """

    after: tuple[str, ...]
    body: Sequence[str | int]
    before: str = ""
    option: list[str] | None = None


_PREFIXES = words("\\long \\global \\outer \\protected \\relax \\expandafter \\noexpand \\protect")
_DEFINES = words("\\def \\gdef \\edef \\xdef")
_COMMANDS = words(
    "\\newcommand \\renewcommand \\providecommand \\DeclareRobustCommand \\newrobustcmd \\renewrobustcmd"
)
_DOCUMENT_COMMANDS = words(
    "\\NewDocumentCommand \\RenewDocumentCommand \\ProvideDocumentCommand \\DeclareDocumentCommand"
)
_REGISTERS = words("\\newcount \\newdimen \\newskip \\newtoks \\newbox \\newmuskip \\newread \\newwrite")
_INPUTS = words("\\input \\include \\subfile \\subfileinclude \\InputIfFileExists \\@input")
_PACKAGES = words("\\usepackage \\RequirePackage")
_CONDITIONS = words(
    "\\if \\ifcat \\ifnum \\ifdim \\ifodd \\ifvmode \\ifhmode \\ifmmode \\ifinner \\ifvoid \\ifhbox \\ifvbox "
    "\\ifx \\ifeof \\iftrue \\iffalse \\ifcase \\ifdefined \\ifcsname \\ifpdf \\ifxetex \\ifluatex "
    "\\if@twocolumn \\if@compatibility"
)
_NO_CONDITIONS = words(
    "\\iff \\ifthenelse \\ifblank \\ifstrempty \\ifstrequal \\ifbool \\iftoggle \\ifdef \\ifundef \\ifcsdef"
)
_INTERNAL = words(
    "\\expandafter \\csname \\futurelet \\catcode \\@ifnextchar \\@ifstar \\afterassignment \\aftergroup "
    "\\lowercase \\uppercase \\scantokens \\afterassignment \\read"
)


class Expander(TokenReader):
    """The tokens of a paper, its inputs in their places and its macros expanded.

    `files`: text by path. `known`: control words whose meaning a paper cannot change. `math` is set by
    whoever reads the tokens. Raises MacroBomb.
    """

    def __init__(self, files: Mapping[str, str], main: str, known: Collection[str] = ()):
        super().__init__(sum(map(len, files.values())))
        self.files, self.known = Files(files), known
        self.used: list[str] = []
        self.missing: list[str] = []
        self.macros: dict[str, Macro] = {}
        self.environments: dict[str, tuple[Macro, list[str]]] = {}
        self.math = False
        self._flags: dict[str, bool] = {}
        self._setters: dict[str, tuple[str, bool]] = {}
        self._branches = 0  # open conditionals whose branch is being read
        self._open_file(main)

    def next(self) -> str | None:
        """The next token that is no macro and defines nothing."""
        while (token := self.raw()) is not None:
            if token[0] != "\\":
                return token
            if type(token) is not str:
                return str(token) if type(token) is Frozen else token
            name = token.rstrip()
            if name in self.macros:
                self._expand(self.macros[name])
            elif name[-1] == "}" and (name.startswith(("\\begin{", "\\end{"))):
                if not self._expand_environment(name):
                    return token
            elif not self._obey(name):
                return token
        return None

    # --- use

    def _expand(self, macro: Macro) -> None:
        arguments: list[list[str]] = []
        if macro.before and self.until(macro.before) is None:
            return
        for i, end in enumerate(macro.after):
            if i == 0 and macro.option is not None:
                found = self.option()
                arguments.append(macro.option if found is None else found)
            elif end:
                arguments.append(self.until(end) or [])
            else:
                arguments.append(self.argument())
        self.put_back(_fill(macro.body, arguments))

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

    # --- what TeX obeys while it reads

    def _obey(self, name: str) -> bool:
        if name in _PREFIXES:
            pass
        elif name in _DEFINES:
            self._define()
        elif name in _COMMANDS:
            self._new_command(name)
        elif name in _DOCUMENT_COMMANDS:
            self._new_document_command()
        elif name == "\\let":
            self._let()
        elif name in ("\\newenvironment", "\\renewenvironment"):
            self._new_environment()
        elif name in ("\\DeclareMathOperator", "\\operatorname@def"):
            star = "*" if self.star() else ""
            macro = self._name()
            body = self.argument()
            self._learn(macro, Macro((), [f"\\operatorname{star}", "{", *body, "}"]))
        elif name in _INPUTS:
            self._input(name)
        elif name in ("\\import", "\\subimport", "\\inputfrom", "\\includefrom", "\\subincludefrom"):
            self.star()
            folder, file = self.word(), self.word()
            self._open_file(f"{folder}/{file}")
        elif name in _PACKAGES:
            self.option()
            for package in self.word().split(","):
                self._open_style(package.strip())
        elif name == "\\newif":
            self._new_if()
        elif name in self._setters:
            flag, value = self._setters[name]
            self._flags[flag] = value
        elif name in self._flags or name in _CONDITIONS:
            self._condition(name)
        elif name in ("\\else", "\\or"):
            if self._branches:
                self._branches -= 1
                self._skip_branch(to_else=False)
        elif name == "\\fi":
            self._branches = max(0, self._branches - 1)
        elif name in ("\\ifthenelse", "\\IfFileExists"):
            test, yes, no = self.argument(), self.argument(), self.argument()
            self.put_back(yes if self._is_true(test) else no)
        elif name in ("\\makeatletter", "\\makeatother"):
            self.lexer.at_is_letter(name == "\\makeatletter")
        elif name == "\\excludecomment":
            self.lexer.comments |= {self.word()}
        elif name in _REGISTERS:
            self.argument()
        elif name == "\\endinput":
            self.lexer.stop()
        elif name in ("\\begin", "\\end") and self.peek() == "{":
            self.put_back([f"{name}{{{self.word()}}}"])
        elif name == "\\csname":
            letters = self.until("\\endcsname")
            self.put_back(["\\" + "".join(letters).strip()] if letters and len(letters) == 1 else [])
        else:
            return False
        return True

    # --- definitions

    def _name(self) -> str:
        """The control word that is defined: `\\name` or `{\\name}`."""
        tokens = [t for t in self.argument(long=False) if t.strip()]
        name = tokens[0].rstrip() if len(tokens) == 1 else ""
        return name if name.startswith("\\") and len(name) > 1 else ""

    def _learn(self, name: str, macro: Macro | None) -> None:
        if not name or name in self.known:
            return
        if macro is None or any(_is_internal(t) for t in macro.body):
            self.macros.pop(name, None)
        else:
            self.macros[name] = macro

    def _define(self) -> None:
        name = self._name()
        pattern: list[str] = []
        while (token := self.raw()) is not None and token != "{":
            if token == PAR or len(pattern) > 40:
                self.put_back([token])
                return
            pattern.append(token)
        body = _body(self._group(long=True))
        self._learn(name, _pattern(pattern, body))

    def _new_command(self, kind: str) -> None:
        self.star()
        name = self._name()
        macro = self._signature()
        if kind == "\\providecommand" and name in self.macros:
            return
        self._learn(name, macro)

    def _signature(self) -> Macro:
        """`[n][default]{body}`."""
        count = "".join(self.option() or ["0"]).strip()
        option = self.option() if count.isdecimal() and count != "0" else None
        n = int(count) if len(count) == 1 and count.isdecimal() else 0
        return Macro(("",) * n, _body(self.argument()), option=option)

    def _new_document_command(self) -> None:
        name, letters = self._name(), self.argument()
        body = _body(self.argument())
        signature = "".join(t for t in letters if t.strip()).replace(" ", "").replace("+", "")
        if set(signature) <= {"m"}:
            self._learn(name, Macro(("",) * len(signature), body))
        elif signature.startswith(("o", "O{")):
            default, _, rest = (
                signature.removeprefix("O{").partition("}")
                if signature[0] == "O"
                else ("", "", signature[1:])
            )
            if set(rest) <= {"m"}:
                self._learn(name, Macro(("",) * (1 + len(rest)), body, option=[default] if default else []))

    def _let(self) -> None:
        name = self._name()
        token = self.solid()
        if token is not None and token.startswith("="):
            self.put_back([token[1:]])
            token = self.solid()
        if token is None:
            return
        if type(token) is str and token[0] not in "\\{}" and len(token) > 1:
            self.put_back([token[1:]])
            token = token[0]
        target = token.rstrip()
        if target in self.macros:
            self._learn(name, self.macros[target])
        elif target in ("\\undefined", "\\relax"):
            self.macros.pop(name, None)
        elif target != name and target not in "{}":
            self._learn(name, Macro((), [Frozen(target + " " if target[-1:].isalpha() else target)]))

    def _new_environment(self) -> None:
        self.star()
        name = self.word()
        begin = self._signature()
        end = [t for t in _body(self.argument()) if isinstance(t, str)]
        if f"\\begin{{{name}}}" in self.known or not name:
            return
        if any(map(_is_internal, begin.body)):
            begin = Macro(begin.after, [], option=begin.option)
        self.environments[name] = (begin, [t for t in end if not _is_internal(t)])

    # --- files

    def _input(self, kind: str) -> None:
        token = self.solid()
        if token == "{":
            name = "".join(self._group(long=False)).strip()
        else:  # as plain TeX: up to the next space
            name, space, rest = (token or "").partition(" ")
            self.put_back([space + rest])
            while (token := self.peek()) and not space and token[0] in "_^&~#":
                self.raw()
                more, space, rest = (self.raw() or "").partition(" ")
                name += token + more
                self.put_back([space + rest])
        if kind == "\\InputIfFileExists":
            yes, no = self.argument(), self.argument()
            self.put_back(yes if self.files.find(name, self.lexer.name) else no)
        self._open_file(name)

    def _open_file(self, name: str) -> None:
        found = self.files.find(name, self.lexer.name if self._frames else "")
        if found is None:
            self.missing.append(name)
            return
        text = self.files[found]
        if self.open(Lexer(text, found, found.endswith(".sty")), len(text)) and found not in self.used:
            self.used.append(found)

    def _open_style(self, name: str) -> None:
        found = self.files.find(name + ".sty", self.lexer.name) if name else None
        if found and found not in self.used:
            self._open_file(found)

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
            first, second = self.solid(), self.solid()
            holds = first is not None and second is not None and self._same(first.rstrip(), second.rstrip())
        elif name == "\\ifdefined":
            holds = (self.solid() or "").rstrip() in self.macros
        else:
            holds = name == "\\iftrue" or (name == "\\ifmmode" and self.math)
        if holds:
            self._branches += 1
        else:
            self._skip_branch(to_else=True)

    def _same(self, first: str, second: str) -> bool:
        a, b = self.macros.get(first), self.macros.get(second)
        return a == b if a or b else first == second

    def _skip_branch(self, to_else: bool) -> None:
        """Skip to the \\fi, or the \\else, of this conditional, which is in the same file."""
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
        """Of \\ifthenelse: \\equal of what has been expanded, \\boolean of a flag. All else is false."""
        if test and test[0].rstrip() == "\\equal":
            a, _, b = "".join(t.strip() for t in test[1:]).removeprefix("{").removesuffix("}").partition("}{")
            return a == b
        if test and test[0].rstrip() == "\\boolean":
            return self._flags.get("\\if" + "".join(test[1:]).strip("{} "), False)
        return False


def _is_internal(token: str | int) -> bool:
    return isinstance(token, str) and token[0] == "\\" and ("@" in token or token.rstrip() in _INTERNAL)


def _body(tokens: Sequence[str]) -> list[str | int]:
    """A body as it is kept: `#1` is a number, and `##` of an inner definition is one `#` less."""
    body: list[str | int] = []
    doubled = False
    for token in tokens:
        if token == "#" and not doubled:
            doubled = True
            continue
        if token[0] == "#" and len(token) == 2 and not doubled:
            body.append(int(token[1]))
        else:
            body.append(token)
        doubled = False
    return body


def _fill(body: Sequence[str | int], arguments: Sequence[Sequence[str]]) -> list[str]:
    filled: list[str] = []
    for token in body:
        if isinstance(token, str):
            filled.append(token)
        elif token <= len(arguments):
            filled.extend(arguments[token - 1])
    return filled


def _pattern(pattern: Sequence[str], body: Sequence[str | int]) -> Macro | None:
    """The macro of \\def with its parameter text; None for what is not simply delimited."""
    parts: list[str] = [""]
    for token in pattern:
        if token[0] == "#" and len(token) == 2:
            if int(token[1]) != len(parts):
                return None
            parts.append("")
        elif isinstance(token, Verbatim) or (parts[-1] and (token[0] == "\\" or parts[-1][0] == "\\")):
            return None
        else:
            parts[-1] += token.rstrip() if token[0] == "\\" else token
    if len(parts) == 1:
        return Macro((), body) if not parts[0].strip() else Macro((), body, before=parts[0].strip())
    return Macro(tuple(parts[1:]), body, before=parts[0].strip())
