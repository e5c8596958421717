"""Algorithms of the package algorithm2e: a line for each step, with the keywords that it prints.

`\\For{condition}{body}` becomes the line `for condition` and the lines of the body. \\SetKw and its kin
define keywords, functions and blocks of a paper's own, which are macros from then on.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from llama_core.corpus.markup.latex.commands import ALGORITHMS, words
from llama_core.corpus.markup.latex.expansion.arguments import GROUP, Macro
from llama_core.corpus.markup.latex.expansion.macros import Expander

# Environments of algorithms.
ENVIRONMENTS = ALGORITHMS | words("procedure procedure* function function* procedure2e function2e")
_LINE = "\\newline "
_TEXTS_OF_IF = 5
Words = str | list[str] | None
CALL = "\\KwCall "  # stands before the name of a function or of data, which brackets may follow


def _group(expander: Expander) -> list[str]:
    """Return the tokens of `{...}`; nothing if no group comes next."""
    return expander.argument() if expander.group_ahead() else []


def _aside(expander: Expander) -> list[str]:
    """Return the comment in the round brackets after a keyword, as a line of its own; nothing without one."""
    expander.star()
    aside = expander.option("(", ")")
    return [*aside, _LINE] if aside else []


def _block(expander: Expander, word: Words = None, inline: bool = False) -> None:
    """Print `\\While(comment){condition}{body}`, `inline` on one line."""
    word = _word_of(expander, word)
    aside = _aside(expander)
    condition, body = _group(expander), _group(expander)
    line = [*condition, " ", *body, _LINE, *aside] if inline else [*condition, _LINE, *aside, *body, _LINE]
    expander.put_back([_LINE, *word, " ", *line])


def _program(expander: Expander) -> None:
    """Print `\\Function(comment){head}{body}`, whose head stands between two words."""
    before, after = expander.argument(), expander.argument()
    aside = _aside(expander)
    head, body = _group(expander), _group(expander)
    expander.put_back([_LINE, *before, " ", *head, *after, _LINE, *aside, *body, _LINE])


def _alone(expander: Expander, word: Words = None, inline: bool = False) -> None:
    """Print `\\Else{body}`."""
    word = _word_of(expander, word)
    aside = _aside(expander)
    expander.put_back([_LINE, *word, " ", *([] if inline else [_LINE]), *aside, *_group(expander), _LINE])


def _if_else(expander: Expander, first: Words = "if", second: Words = "else", inline: bool = False) -> None:
    """Print `\\eIf{condition}{body}{other body}`."""
    first, second = _word_of(expander, first), _word_of(expander, second)
    aside = _aside(expander)
    condition, body = _group(expander), _group(expander)
    aside += _aside(expander)
    line = [" "] if inline else [_LINE]
    other = _group(expander)
    head = [_LINE, *first, " ", *condition, *line, *aside, *body, *line]
    expander.put_back([*head, *second, " ", *line, *other, _LINE])


def _repeat(expander: Expander, first: Words = "repeat", last: Words = "until", inline: bool = False) -> None:
    """Print `\\Repeat{condition}{body}`, whose condition comes last."""
    first, last = _word_of(expander, first), _word_of(expander, last)
    aside = _aside(expander)
    condition, body = _group(expander), _group(expander)
    line = [" "] if inline else [_LINE]
    expander.put_back([_LINE, *first, *line, *aside, *body, *line, *last, " ", *condition, _LINE])


def _word_of(expander: Expander, word: Words) -> list[str]:
    """Return the tokens of a keyword; of the next argument if it is None: a keyword of the paper's own."""
    return expander.argument() if word is None else [word] if isinstance(word, str) else word


def _word(expander: Expander, word: str) -> None:
    expander.put_back([f"{word} "])


def _head(expander: Expander, word: str) -> None:
    """Print `\\KwIn{text}` on a line of its own."""
    expander.put_back([_LINE, f"{word} ", *_group(expander), _LINE])


def _comment(expander: Expander) -> None:
    """Print `\\tcc*[r]{comment}` as a line of its own."""
    expander.star()
    expander.option()
    expander.put_back([_LINE, *_group(expander), _LINE])


def _skip(expander: Expander, arguments: int) -> None:
    expander.star()
    expander.option()
    for _ in range(arguments):
        _group(expander)


# What each block of an algorithm begins with: those with a condition, and those without one.
_BLOCKS = {
    "For": "for", "ForEach": "for each", "ForAll": "for all", "ForPar": "for", "While": "while", "If": "if",
    "ElseIf": "else if", "Switch": "switch", "Case": "case",
}  # fmt: skip
_ALONE = {"Else": "else", "Other": "otherwise", "Loop": "loop", "Begin": "begin"}
# What is done for each command in an algorithm.
_STEPS: dict[str, Callable[[Expander], None]] = {
    **{f"{name} u{name}": partial(_block, word=word) for name, word in _BLOCKS.items()},
    **{f"{name} u{name}": partial(_alone, word=word) for name, word in _ALONE.items()},
    **{f"l{name}": partial(_block, word=word, inline=True) for name, word in _BLOCKS.items()},
    **{f"l{name}": partial(_alone, word=word, inline=True) for name, word in _ALONE.items()},
    "eIf": _if_else,
    "leIf": partial(_if_else, inline=True),
    "Repeat": _repeat,
    "lRepeat": partial(_repeat, inline=True),
    "KwTo": partial(_word, word="to"),
    "KwRet Return": partial(_word, word="return"),
    "KwIn": partial(_head, word="Input:"),
    "KwOut": partial(_head, word="Output:"),
    "KwData": partial(_head, word="Data:"),
    "KwResult": partial(_head, word="Result:"),
    "tcc tcp": _comment,
    "lnl nllabel nlset SetAlFnt SetAlCapFnt SetAlCapNameFnt SetCommentSty SetKwSty SetFuncSty SetArgSty "
    "SetDataSty SetProgSty SetAlgorithmName SetAlgoCaptionSeparator "
    "SetAlgoSkip SetAlgoInsideSkip SetVlineSkip SetAlCapSkip SetAlCapHSkip SetAlgoHangIndent "
    "SetAlTitleFnt SetFuncArgSty SetAlgoRefName SetCustomAlgoRuledWidth": partial(_skip, arguments=1),
    "SetNlSkip SetInd ResetInOut SetAlgoRefRelativeSize": partial(_skip, arguments=1),
    "SetNlSty": partial(_skip, arguments=3),
}
STEPS = {f"\\{name}": step for names, step in _STEPS.items() for name in names.split()} | {
    "\\SetInd": partial(_skip, arguments=2),
    "\\SetAlgorithmName": partial(_skip, arguments=3),
}


def call(expander: Expander) -> None:
    """Print the name of a function or of data, and its argument in brackets: `\\Union{$a$, $b$}`."""
    name = expander.argument()
    arguments = expander.argument() if expander.peek() == "{" else None
    brackets = [] if arguments is None else ["(", *arguments, ")"]
    if expander.math:
        brackets = [t for t in brackets if t != "$"]
        expander.put_back(["\\mathrm", "{", *name, "}", *brackets])
    else:
        joint = [] if expander.peek().startswith("(") else ["\\xspace "]
        expander.put_back([*name, *(brackets or joint)])


def _define(
    expander: Expander, body: Callable[[Sequence[list[str]]], Sequence[str | int]], texts: int, arity: int
) -> None:
    """Read `\\SetKwX{name}{text}...`, and define `\\name` as the macro of its texts."""
    expander.star()
    expander.option()
    name = expander.word().removeprefix("\\")
    read = [expander.argument() for _ in range(texts)]
    if name:
        expander.learn(f"\\{name}", Macro((GROUP,) * arity, body(read)))


def _spaced(tokens: Iterable[str]) -> list[str | int]:
    text: list[str | int] = [*tokens]
    return [*text, " "] if text else []


def _kin(expander: Expander, names: int, texts: int) -> None:
    """Read `\\SetKwIF{If}{ElseIf}{Else}{if}{then}{else if}{else}{end if}` or another family of blocks.

    Each block is defined by the keyword that begins it, and its form on one line by `l` and the keyword.
    """
    expander.star()
    read = [expander.word().removeprefix("\\") for _ in range(names)]
    heads = [expander.argument() for _ in range(texts)]
    for name, at, kind in zip(read, (0, 2, 3), ("KwBlock", "KwBlock", "KwAlone"), strict=False):
        for prefix, ending in (("", ""), ("u", ""), ("l", "InLine")) if name else ():
            expander.learn(f"\\{prefix}{name}", _macro(kind + ending, heads[at]))
    if texts == _TEXTS_OF_IF and read[0]:
        for prefix, kind in (("e", "KwBoth"), ("le", "KwBothInLine")):
            expander.learn(f"\\{prefix}{read[0]}", _macro(kind, heads[0], heads[3]))


def _macro(kind: str, *heads: list[str]) -> Macro:
    return Macro((), [f"\\{kind} ", *(t for head in heads for t in ("{", *head, "}"))])


# What is done for each command that defines keywords.
KEYWORDS: dict[str, Callable[[Expander], None]] = {
    "\\SetKw": partial(_define, body=lambda t: _spaced(t[0]), texts=1, arity=0),
    "\\SetKwHangingKw": partial(_define, body=lambda t: [_LINE, *_spaced(t[0]), 1], texts=1, arity=1),
    "\\SetKwFunction": partial(_define, body=lambda t: [CALL, "{", *t[0], "}"], texts=1, arity=0),
    "\\SetKwData": partial(_define, body=lambda t: [CALL, "{", *t[0], "}"], texts=1, arity=0),
    "\\SetKwArray": partial(_define, body=lambda t: [*t[0], "[", 1, "]"], texts=1, arity=1),
    "\\SetKwInOut": partial(_define, body=lambda t: [_LINE, *t[0], ": ", 1, _LINE], texts=1, arity=1),
    "\\SetKwInput": partial(_define, body=lambda t: [_LINE, *t[0], ": ", 1, _LINE], texts=1, arity=1),
    "\\SetKwInParam": partial(
        _define, body=lambda t: [_LINE, *t[0], *t[1], 1, *t[2], _LINE], texts=3, arity=1
    ),
    "\\SetKwComment": partial(_define, body=lambda t: ["\\KwComment "], texts=2, arity=0),
    "\\SetKwProg": partial(_define, body=lambda t: _macro("KwProgram", *t[:2]).body, texts=3, arity=0),
    "\\SetKwFor": partial(_kin, names=1, texts=3),
    "\\SetKwRepeat": partial(_define, body=lambda t: _macro("KwRepeat", *t).body, texts=2, arity=0),
    "\\SetKwBlock": partial(_define, body=lambda t: _macro("KwAlone", t[0]).body, texts=2, arity=0),
    "\\SetKwIF": partial(_kin, names=3, texts=_TEXTS_OF_IF),
    "\\SetKwSwitch": partial(_kin, names=3, texts=6),
    CALL.strip(): call,
    "\\Call": call,
    # What the keywords of a paper's own stand for.
    "\\KwBlock": _block,
    "\\KwBlockInLine": partial(_block, inline=True),
    "\\KwProgram": _program,
    "\\KwComment": _comment,
    "\\KwAlone": _alone,
    "\\KwAloneInLine": partial(_alone, inline=True),
    "\\KwBoth": partial(_if_else, first=None, second=None),
    "\\KwBothInLine": partial(_if_else, first=None, second=None, inline=True),
    "\\KwRepeat": partial(_repeat, first=None, last=None),
}
