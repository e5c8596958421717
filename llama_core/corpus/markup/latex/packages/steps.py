"""Keywords of algorithmic and algorithmicx, and those that a paper defines with \\algblock and its kin.

Each keyword becomes a macro: a new line, with its text. `word` is what those of the packages print.
"""

import re
from collections.abc import Callable
from functools import partial

from llama_core.corpus.markup.latex.commands import words
from llama_core.corpus.markup.latex.expansion.arguments import GROUP, Macro, body_of, option
from llama_core.corpus.markup.latex.expansion.macros import Expander

# What a line begins with at each step of the algorithmic packages.
ALGORITHMIC = {
    f"\\{name}": text
    for names, text in {
        "STATE State Statex Comment COMMENT BEGIN Begin LComment BODY ENDBODY ENDINPUTS ENDOUTPUTS": "",
        "IF If": "if ",
        "ELSIF ElsIf ElseIf": "else if ",
        "ELSE Else": "else ",
        "FOR For": "for ",
        "FORALL ForAll ForEach": "for all ",
        "WHILE While": "while ",
        "LOOP Loop": "loop ",
        "REPEAT Repeat": "repeat ",
        "UNTIL Until": "until ",
        "RETURN Return": "return ",
        "ENDIF EndIf": "end if",
        "ENDFOR EndFor": "end for",
        "ENDWHILE EndWhile": "end while",
        "ENDLOOP EndLoop": "end loop",
        "REQUIRE Require": "Require: ",
        "ENSURE Ensure": "Ensure: ",
        "INPUT Input KwIn KwData": "Input: ",
        "OUTPUT Output KwOut KwResult": "Output: ",
        "PROCEDURE Procedure": "procedure ",
        "FUNCTION Function": "function ",
        "EndProcedure": "end procedure",
        "EndFunction": "end function",
        "PRINT": "print ",
        "INPUTS": "Inputs: ",
        "OUTPUTS": "Outputs: ",
        "GLOBALS": "Globals: ",
        "Initialize": "Initialize: ",
        "Switch": "switch ",
        "Case": "case ",
        "Default": "default",
        "EndSwitch": "end switch",
        "EndCase": "end case",
        "EndDefault": "end default",
        "EndBlock": "end",
        "AND": "and ",
        "OR": "or ",
        "XOR": "xor ",
        "NOT": "not ",
        "TO": "to ",
        "TRUE": "true",
        "FALSE": "false",
    }.items()
    for name in names.split()
}
# Those of them that stand within a step.
WITHIN_STEPS = words(r"\AND \OR \XOR \NOT \TO \TRUE \FALSE")
_COMMENTED = words(r"\IF \ELSIF \ELSE \FOR \FORALL \WHILE \LOOP \REPEAT")
_LINE = "\\newline "
_NAMED = re.compile(r"\\algorithmic([a-z]+)")
# What \algorithmicWORD prints, where that is not the word, and is not what a step begins with.
_WORDS = {"algorithmicend": "end", "algorithmicdo": "do", "algorithmicthen": "then", "algorithmiccomment": ""}


def _text(expander: Expander, name: str, prints: bool = True) -> None:
    """Read `[2][default]{text}`, and define a keyword that prints the text on a line of its own."""
    count = "".join(expander.option() or ["0"]).strip()
    n = int(count) if count in set("123456789") else 0
    default = expander.option() if n else None
    first = () if default is None else (option(default),)
    text = expander.argument() if prints and expander.group_ahead() else []
    if name:
        macro = Macro((*first, *(GROUP,) * (n - len(first))), [_LINE, *body_of(text), " "])
        expander.learn(f"\\{name}", macro)


def _block(expander: Expander, texts: bool, names: int = 2, groups: int = 0) -> None:
    """Read `\\algblockdefx[kind]{For}{EndFor}[1]{for #1}{end for}`; without texts, the names are printed.

    `groups`: how many come before the names.
    """
    expander.option()
    for _ in range(groups):
        expander.argument()
    read = [expander.word() for _ in range(names)]
    for name in read:
        if texts:
            _text(expander, name)
        elif name:
            expander.learn(f"\\{name}", Macro((), [_LINE, f"{name} "]))


def _define(expander: Expander) -> None:
    """Read `\\algdef{SE}[kind]{Do}{While}{do}[1]{while #1}`: each capital letter stands for a text."""
    letters = expander.word()
    while expander.option() is not None:
        pass
    flags = [c for c in letters if c in "sScClLeE"]
    names = [expander.word() for _ in flags]
    for flag, name in zip(flags, names, strict=True):
        if flag.isupper():
            _text(expander, name)


def _renew(expander: Expander) -> None:
    """Read `\\algrenewtext[kind]{For}[1]{for #1}`; \\algtext*{EndFor} prints nothing."""
    nothing = expander.star()
    expander.option()
    name = expander.word()
    if nothing:
        expander.learn(f"\\{name}", Macro((), []))
    else:
        _text(expander, name)


def word(expander: Expander, name: str) -> list[str] | None:
    """Return the tokens of what a step begins with, which the paper has redefined; None if it has not."""
    own = f"\\algorithmic{name[1:].lower()}"
    return [f"{own} ", " "] if own in expander.macros else None


def aside(expander: Expander, name: str) -> None:
    """Put the comment of `\\IF[comment]{condition}` behind the condition."""
    if name in _COMMENTED and (comment := expander.option()):
        condition = expander.argument() if expander.group_ahead() else []
        expander.put_back([*condition, _LINE, *comment, _LINE])


def named(name: str) -> str | None:
    """Return what a word such as \\algorithmicdo prints; None for other commands."""
    found = _NAMED.fullmatch(name)
    if found is None:
        return None
    return _WORDS.get(name[1:], ALGORITHMIC.get(f"\\{found[1].upper()}", f"{found[1]} ").rstrip())


# What is done for each command that defines keywords.
STEPS_OF_PAPERS: dict[str, Callable[[Expander], None]] = {
    "\\algblock": partial(_block, texts=False),
    "\\algblockdefx": partial(_block, texts=True),
    "\\algcblock": partial(_block, texts=False, groups=1),
    "\\algcblockdefx": partial(_block, texts=True, groups=1),
    "\\algloop": partial(_block, texts=False, names=1),
    "\\algloopdefx": partial(_block, texts=True, names=1),
    "\\algdef": _define,
    "\\algrenewtext": _renew,
    "\\algtext": _renew,
}
