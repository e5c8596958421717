"""Algorithms of the package algorithm2e: a line for each step, with the keywords that it prints.

`\\For{condition}{body}` becomes the line `for condition` and the lines of the body. \\SetKw and its kin
define keywords, functions and blocks of a paper's own, which are macros from then on.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from llama_core.corpus.markup.latex.commands import words
from llama_core.corpus.markup.latex.definitions import Macro
from llama_core.corpus.markup.latex.macros import Expander

# Environments of algorithms.
ENVIRONMENTS = words(
    "algorithm algorithm* algorithm2e algorithm2e* procedure procedure* function function* algo algo* "
    "procedure2e function2e"
)
_LINE = "\\newline "
CALL = "\\KwCall "  # stands before the name of a function or of data, which brackets may follow


def _group(expander: Expander) -> list[str]:
    """Return the tokens of `{...}`; nothing if no group comes next."""
    return expander.argument() if expander.group_ahead() else []


def _aside(expander: Expander) -> list[str]:
    """Return the comment in the round brackets after a keyword, as a line of its own; nothing without one."""
    aside = expander.option("(", ")")
    return [*aside, _LINE] if aside else []


def _block(expander: Expander, word: str, inline: bool = False) -> None:
    """Print `\\While(comment){condition}{body}`, `inline` on one line."""
    aside = _aside(expander)
    condition, body = _group(expander), _group(expander)
    between = [" "] if inline else [_LINE]
    expander.put_back([_LINE, f"{word} ", *condition, *between, *aside, *body, _LINE])


def _alone(expander: Expander, word: str, inline: bool = False) -> None:
    """Print `\\Else{body}`."""
    aside = _aside(expander)
    expander.put_back([_LINE, f"{word} ", *([] if inline else [_LINE]), *aside, *_group(expander), _LINE])


def _if_else(expander: Expander, inline: bool = False) -> None:
    """Print `\\eIf{condition}{body}{other body}`."""
    aside = _aside(expander)
    condition, body = _group(expander), _group(expander)
    aside += _aside(expander)
    line = [" "] if inline else [_LINE]
    other = _group(expander)
    expander.put_back([_LINE, "if ", *condition, *line, *aside, *body, *line, "else ", *line, *other, _LINE])


def _repeat(expander: Expander, inline: bool = False, first: str = "repeat", last: str = "until") -> None:
    """Print `\\Repeat{condition}{body}`, whose condition comes last."""
    aside = _aside(expander)
    condition, body = _group(expander), _group(expander)
    line = [" "] if inline else [_LINE]
    expander.put_back([_LINE, first, *line, *aside, *body, *line, f"{last} ", *condition, _LINE])


def _word(expander: Expander, word: str) -> None:
    expander.put_back([f"{word} "])


def _statement(expander: Expander, word: str) -> None:
    """Print `\\KwRet{value}`, or what else begins a line."""
    expander.put_back([_LINE, f"{word} "])


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


# What is done for each command in an algorithm.
_STEPS: dict[str, Callable[[Expander], None]] = {
    "For": partial(_block, word="for"),
    "ForEach": partial(_block, word="for each"),
    "ForAll": partial(_block, word="for all"),
    "While": partial(_block, word="while"),
    "If uIf": partial(_block, word="if"),
    "ElseIf uElseIf": partial(_block, word="else if"),
    "Switch": partial(_block, word="switch"),
    "Case uCase": partial(_block, word="case"),
    "Else uElse": partial(_alone, word="else"),
    "Other uOther": partial(_alone, word="otherwise"),
    "Loop": partial(_alone, word="loop"),
    "Begin": partial(_alone, word="begin"),
    "ForPar": partial(_block, word="for"),
    "lForPar": partial(_block, word="for", inline=True),
    "eIf": _if_else,
    "leIf": partial(_if_else, inline=True),
    "lFor": partial(_block, word="for", inline=True),
    "lForEach": partial(_block, word="for each", inline=True),
    "lForAll": partial(_block, word="for all", inline=True),
    "lWhile": partial(_block, word="while", inline=True),
    "lIf": partial(_block, word="if", inline=True),
    "lElseIf": partial(_block, word="else if", inline=True),
    "lSwitch": partial(_block, word="switch", inline=True),
    "lCase": partial(_block, word="case", inline=True),
    "lElse": partial(_alone, word="else", inline=True),
    "lOther": partial(_alone, word="otherwise", inline=True),
    "Repeat": _repeat,
    "lRepeat": partial(_repeat, inline=True),
    "KwTo": partial(_word, word="to"),
    "KwRet Return": partial(_statement, word="return"),
    "KwIn": partial(_statement, word="Input:"),
    "KwOut": partial(_statement, word="Output:"),
    "KwData": partial(_statement, word="Data:"),
    "KwResult": partial(_statement, word="Result:"),
    "tcc tcp": _comment,
    "lnl nllabel nlset SetAlFnt SetAlCapFnt SetAlCapNameFnt SetCommentSty SetKwSty SetFuncSty SetArgSty "
    "SetDataSty SetProgSty SetAlgorithmName SetAlgoCaptionSeparator RestyleAlgo IncMargin DecMargin "
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
        expander.put_back([*name, *(brackets or ["\\xspace "])])


def _define(
    expander: Expander, body: Callable[[Sequence[list[str]]], list[str | int]], texts: int, arity: int
) -> None:
    """Read `\\SetKwX{name}{text}...`, and define `\\name` as the macro of its texts."""
    expander.star()
    expander.option()
    name = expander.word().removeprefix("\\")
    read = [expander.argument() for _ in range(texts)]
    if name:
        expander.learn(f"\\{name}", Macro(("",) * arity, body(read)))


def _spaced(tokens: Iterable[str]) -> list[str | int]:
    text: list[str | int] = [*tokens]
    return [*text, " "] if text else []


def _if_kin(expander: Expander) -> None:
    """Read `\\SetKwIF{If}{ElseIf}{Else}{if}{then}{else if}{else}{end if}`: a family of blocks."""
    names = [expander.word() for _ in range(3)]
    texts = [expander.argument() for _ in range(5)]
    heads = (texts[0], texts[2], texts[3])
    for at, (name, head) in enumerate(zip(names, heads, strict=True)):
        if not name:
            continue
        for prefix, line in (("", _LINE), ("u", _LINE), ("l", " ")):
            body: list[str | int] = (
                [_LINE, *_spaced(head), 1, line, 2, _LINE] if at < 2 else [_LINE, *head, line, 1, _LINE]
            )
            expander.learn(f"\\{prefix}{name}", Macro(("",) * (2 if at < 2 else 1), body))
    if names[0]:
        both: list[str | int] = [_LINE, *_spaced(heads[0]), 1, _LINE, 2, _LINE, *heads[2], _LINE, 3, _LINE]
        expander.learn(f"\\e{names[0]}", Macro(("", "", ""), both))


def _loop_kin(expander: Expander) -> None:
    """Read `\\SetKwFor{Loop}{loop}{do}{end}`: `\\Loop{head}{body}`, and `\\lLoop` on one line."""
    expander.star()
    name, head, *_ = expander.word().removeprefix("\\"), *(expander.argument() for _ in range(3))
    for prefix, line in (("", _LINE), ("l", " ")) if name else ():
        expander.learn(f"\\{prefix}{name}", Macro(("", ""), [_LINE, *_spaced(head), 1, line, 2, _LINE]))


def _block_kin(expander: Expander) -> None:
    """Read `\\SetKwProg{Fn}{Function}{:}{end}`: `\\Fn{head}{body}`."""
    _define(expander, lambda t: [_LINE, *_spaced(t[0]), 1, *t[1], _LINE, 2, _LINE], texts=3, arity=2)


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
    "\\SetKwComment": partial(_define, body=lambda t: ["\\tcc "], texts=2, arity=0),
    "\\SetKwProg": _block_kin,
    "\\SetKwFor": _loop_kin,
    "\\SetKwRepeat": partial(
        _define, body=lambda t: [_LINE, *t[0], _LINE, 2, _LINE, *_spaced(t[1]), 1, _LINE], texts=2, arity=2
    ),
    "\\SetKwBlock": partial(_define, body=lambda t: [_LINE, *t[0], _LINE, 1, _LINE], texts=2, arity=1),
    "\\SetKwIF": _if_kin,
    "\\SetKwSwitch": partial(_skip, arguments=9),
    CALL.strip(): call,
    "\\Call": call,
}
