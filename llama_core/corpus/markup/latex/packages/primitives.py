"""Plain TeX's own commands that read more than arguments: rules, fonts, registers and characters.

Each function takes the operands of a command off the tokens; only boxes and characters put text back. The
syntax is in the TeXbook, chapters 20 and 24. `paper` calls them by the table `PRIMITIVES`.
"""

import re
from collections.abc import Callable

from llama_core.corpus.markup.latex.commands import BOXES, words
from llama_core.corpus.markup.latex.expansion.lexer import Verbatim
from llama_core.corpus.markup.latex.expansion.reader import TokenReader

# What begins an operand: a side of a rule, the file and the size of a font, a register, a character's code.
_SIDE = re.compile(r"\s*(?:height|depth|width)(?![a-z])")
_FILE = re.compile(r"\s*=\s*[\w./-]+(?:\s+(?P<size>scaled|at)\s*(?:[\d.]+\s*(?:true\s*)?(?:pt|cm|mm|in)?)?)?")
_INDEX = re.compile(r"\s*\d*\s*")
_FILE_NAME = re.compile(r"\s*=\s*[\w./-]+\s?")
_TO = re.compile(r"to\s*")
_CODE = re.compile(r"\s*(?:'(?P<octal>[0-7]{1,6})|\"(?P<hex>[0-9A-F]{1,6})|(?P<decimal>\d{1,6}))\s?")


def _rule(tokens: TokenReader) -> None:
    """Leave out the sides of a rule: `\\hrule height 1pt width 2cm`."""
    while tokens.take(_SIDE):
        tokens.length("\\hskip")


def _font(tokens: TokenReader) -> None:
    """Leave out the definition of a font: `\\font\\name=cmr10 scaled\\magstep1`."""
    if tokens.peek()[:1] == "\\":
        tokens.raw()
        if (found := tokens.take(_FILE)) and found["size"] and tokens.peek()[:1] == "\\":
            tokens.length(tokens.single())


def _character_code(tokens: TokenReader) -> None:
    """Leave out the assignment of a code to a character: ``\\lccode`\\@=11`` and `\\lccode64=11`."""
    if tokens.peek().startswith("`"):
        tokens.single()
        tokens.single()
        tokens.length("\\catcode")
    else:
        register(tokens)


def _name(tokens: TokenReader) -> str:
    """Return the number of a register, or the control word that stands for it."""
    if tokens.peek()[:1] == "\\":
        return (tokens.raw() or "").rstrip()
    found = tokens.take(_INDEX)
    return found[0].strip() if found else ""


def register(tokens: TokenReader) -> None:
    """Leave out a register and what it is set to: `\\count1=5`, `\\toks0={...}` or `\\textfont0=\\tenrm`."""
    _name(tokens)
    if tokens.peek().lstrip().startswith("="):
        _assigned(tokens)


def _assigned(tokens: TokenReader) -> None:
    """Leave out `={...}`, or a length, a number or a control word in the place of the braces."""
    tokens.length("\\catcode")
    if tokens.peek() == "{":
        tokens.argument()


def _define_code(tokens: TokenReader) -> None:
    """Leave out the definition of a name for a code or a register: `\\mathchardef\\cut="1354`."""
    tokens.word_ahead()
    tokens.number()


def _code_alone(tokens: TokenReader) -> None:
    tokens.number()


def _font_dimension(tokens: TokenReader) -> None:
    """Leave out the assignment of a font's size or character: `\\fontdimen3\\tenrm=2pt`."""
    tokens.take(_INDEX)
    tokens.word_ahead()
    tokens.length("\\catcode")


def _stream(tokens: TokenReader) -> None:
    """Leave out what is written to a file, or opened: `\\write16{...}` and `\\openout1=name `."""
    if tokens.number() is not None or tokens.peek()[:1] not in "\\{":
        tokens.take(_FILE_NAME)
    if tokens.peek().lstrip()[:1] == "{":
        tokens.argument()
    elif tokens.peek().startswith("to"):
        tokens.take(_TO)
        tokens.word_ahead()


def _set_box(tokens: TokenReader) -> None:
    """Keep the text of a box, which `\\box0` prints: `\\setbox0=\\hbox to 2cm{...}`."""
    name = _name(tokens)
    token = tokens.solid() or ""
    if token.strip() == "=":
        token = tokens.solid() or ""
    if token.rstrip() not in BOXES:
        tokens.put_back([token])
        return
    if tokens.peek()[:1] not in ("\\", "{"):
        tokens.raw()
    tokens.boxes[name] = tokens.argument()


def _box(tokens: TokenReader) -> None:
    tokens.put_back(["{", *tokens.boxes.pop(_name(tokens), ()), "}"])


def _copy(tokens: TokenReader) -> None:
    tokens.put_back(["{", *tokens.boxes.get(_name(tokens), ()), "}"])


def _alignment(tokens: TokenReader) -> None:
    """Leave out what `\\halign to 3cm{#\\hfil&#\\cr` says of each column, up to the first row."""
    tokens.box_size()
    if tokens.group_ahead():
        tokens.raw()
        tokens.until("\\cr")
        tokens.put_back(["\\newline ", "{"])


def _number(tokens: TokenReader) -> None:
    """Leave out a number: `\\multispan2` and `\\multispan{2}`."""
    if tokens.peek() == "{":
        tokens.argument()
    else:
        tokens.take(_INDEX)


def _character(tokens: TokenReader) -> None:
    """Put back a character: ``\\char`\\%``, or ``\\char92`` if the code is one of ASCII's."""
    if tokens.peek().startswith("`"):
        tokens.single()
        tokens.put_back([Verbatim(tokens.single().removeprefix("\\"))])
    elif found := tokens.take(_CODE):
        code = int(
            found["octal"] or found["hex"] or found["decimal"],
            {"octal": 8, "hex": 16}.get(found.lastgroup or "", 10),
        )
        tokens.put_back([Verbatim(chr(code))] if 32 < code < 127 else [])


def _dingbat(tokens: TokenReader) -> None:
    """Put back a character of the font of dingbats, such as the check mark `\\ding{51}`."""
    code = tokens.word()
    number = int(code) if code.isdecimal() and len(code) < 4 else 0
    blocks = ((33, 126, 0x2701), (172, 181, 0x2460), (182, 254, 0x2776))
    tokens.put_back([chr(start + number - first) for first, last, start in blocks if first <= number <= last])


def _columns(tokens: TokenReader) -> None:
    """Leave out how many columns there are: `\\settabs 3\\columns`."""
    tokens.take(_INDEX)
    tokens.word_ahead()


def _insert(tokens: TokenReader) -> None:
    """Leave out what is put elsewhere on the page: `\\insert\\footins{...}`."""
    _name(tokens)
    if tokens.peek() == "{":
        tokens.argument()


# The function that takes the operands of each command.
PRIMITIVES: dict[str, Callable[[TokenReader], None]] = {
    **dict.fromkeys(words("\\hrule \\vrule"), _rule),
    **dict.fromkeys(words("\\lccode \\uccode \\sfcode \\mathcode \\delcode"), _character_code),
    **dict.fromkeys(words("\\mathchardef \\chardef \\countdef \\dimendef \\skipdef \\toksdef"), _define_code),
    **dict.fromkeys(words("\\fontdimen \\hyphenchar \\skewchar \\fontcharwd"), _font_dimension),
    **dict.fromkeys(words("\\write \\openout \\openin \\closeout \\closein \\read"), _stream),
    **dict.fromkeys(words("\\mathaccent \\delimiter \\radical \\mathchar"), _code_alone),
    **dict.fromkeys(words("\\count \\dimen \\skip \\muskip \\toks \\wd \\ht \\dp"), register),
    **dict.fromkeys(words("\\textfont \\scriptfont \\scriptscriptfont"), register),
    **dict.fromkeys(words("\\box \\unhbox \\unvbox"), _box),
    **dict.fromkeys(words("\\copy \\unhcopy \\unvcopy"), _copy),
    **dict.fromkeys(
        words(
            "\\errhelp \\headline \\footline \\everycr \\everyhbox \\everyvbox \\everypar \\everymath "
            "\\everydisplay \\output"
        ),
        _assigned,
    ),
    **dict.fromkeys(words("\\multispan \\magstep \\fam"), _number),
    "\\settabs": _columns,
    "\\insert": _insert,
    "\\halign": _alignment,
    **dict.fromkeys(words("\\showbox \\showlists"), _number),
    "\\setbox": _set_box,
    "\\font": _font,
    "\\char": _character,
    "\\ding": _dingbat,
}
