"""Commands of glossaries, acronym and acro: each gives way to what it prints.

That is an acronym in full with its short form at first, and then the short form. A key that is defined
nowhere is printed as it is.
"""

from collections.abc import Callable
from functools import partial

from llama_core.corpus.markup.latex.commands import words
from llama_core.corpus.markup.latex.expansion.lexer import tokens
from llama_core.corpus.markup.latex.expansion.macros import Expander


def _use(reader: Expander, form: str, plural: bool = False, case: str = "", article: bool = False) -> None:
    """Print an acronym: `\\gls[options]{key}[what follows it]`, with a star or without."""
    reader.star()
    reader.option()
    if not reader.group_ahead():
        return  # another command of this name
    key = reader.word()
    after = reader.option() if reader.peek().startswith("[") else None
    text = reader.acronyms.printed(key, form, plural)
    if article:
        text = f"{reader.acronyms.article(key, text)} {text}"
    if case == "first":
        text = text[:1].upper() + text[1:]
    elif case == "all":
        text = text.upper()
    printed = [*tokens(text), *(after or [])]
    if reader.math and ("$" in text or "\\ensuremath" in text):  # a symbol
        printed = [t for t in printed if t.rstrip() not in ("$", "\\ensuremath")]
    elif reader.math:
        printed = ["\\text", "{", *printed, "}"]
    reader.put_back(printed)


def _second(reader: Expander) -> None:
    """Print the text of `\\glslink{key}{text}`."""
    reader.option()
    reader.argument()


def _mark(reader: Expander, used: bool) -> None:
    for key in reader.word().split(","):
        (reader.acronyms.used.add if used else reader.acronyms.used.discard)(key.strip())


def _define(reader: Expander, arguments: int, command: str = "") -> None:
    """Leave out a definition, which has been learned before, unless a macro of the paper makes it."""
    reader.star()
    said: list[str] = []
    for at in range(arguments + 1):
        if (option := reader.option()) is not None:
            said.append(f"[{''.join(option)}]")
        if at < arguments:
            said.append(f"{{{reader.text_of(reader.argument())}}}")
    if command:
        reader.acronyms.learn(command, "".join(said), again=False)


def _forget(reader: Expander) -> None:
    reader.option()
    reader.acronyms.used.clear()


def _if_used(reader: Expander) -> None:
    """Read `\\ifglsused{key}{one}{other}`."""
    key, yes, no = reader.word(), reader.argument(), reader.argument()
    reader.put_back(yes if key in reader.acronyms.used else no)


def _entry(reader: Expander) -> None:
    """Print an entry of a list of acronyms on a line of its own: `\\acro{key}[short]{long}`."""
    key = reader.word()
    short = reader.option()
    if reader.peek() != "{":
        reader.put_back(tokens(key))
        return
    reader.put_back(["\\newline ", *(short or tokens(key)), " ", *reader.argument(), "\\newline "])


def _forms() -> dict[str, Callable[[Expander], None]]:
    """Return what is done for each command that prints an acronym: also in its plural and capital forms."""
    stems = {
        "first": "gls ac cgls pgls",
        "symbol": "glssymbol glsentrysymbol",
        "short": "acrshort acs acsu aca glsxtrshort glsentryshort glsfmtshort glsfmttext glstext "
        "glsentrytext glsname glsentryname glshyperlink glsxtrtitleshort",
        "long": "acrlong acl aclu glsxtrlong glsentrylong glsfmtlong glsdesc glsentrydesc",
        "full": "acrfull acf acfi glsxtrfull glsentryfull glsfmtfull glsfirst glsentryfirst acflike",
    }
    found: dict[str, Callable[[Expander], None]] = {}
    for form, names in stems.items():
        for name in names.split():
            plurals = (f"{name}pl", f"{name}p") if name[:2] == "ac" else (f"{name}pl",)
            for plural, spelled in ((False, name), *((True, p) for p in plurals)):
                found[f"\\{spelled}"] = partial(_use, form=form, plural=plural)
                capital = spelled[0].upper() + spelled[1:]
                found[f"\\{capital}"] = partial(_use, form=form, plural=plural, case="first")
                if name in ("gls", "glsxtrshort", "acrshort"):
                    found[f"\\{name.upper()}{spelled[len(name) :]}"] = partial(
                        _use, form=form, plural=plural, case="all"
                    )
    return found


# What is done for each command of these packages.
ACRONYMS: dict[str, Callable[[Expander], None]] = {
    **_forms(),
    **dict.fromkeys(words("\\glsplural \\glsentryplural"), partial(_use, form="short", plural=True)),
    **dict.fromkeys(words("\\glslink \\glsdisp"), _second),
    **dict.fromkeys(words("\\glsreset \\glslocalreset \\acreset"), partial(_mark, used=False)),
    **dict.fromkeys(words("\\glsunset \\glslocalunset \\acuse \\acused"), partial(_mark, used=True)),
    **dict.fromkeys(words("\\glsresetall \\acresetall"), _forget),
    **{
        f"\\{name}": partial(_define, arguments=number, command=name)
        for name, number in {
            "newacronym": 3,
            "newabbreviation": 3,
            "newabbr": 3,
            "newglossaryentry": 2,
            "DeclareAcronym": 2,
            "acrodef": 2,
            "newacro": 2,
        }.items()
    },
    **dict.fromkeys(words("\\longnewglossaryentry \\acroindefinite"), partial(_define, arguments=3)),
    **dict.fromkeys(words("\\acrodefplural \\acroplural \\newacroplural"), partial(_define, arguments=2)),
    **dict.fromkeys(words("\\ifglsused \\acifused"), _if_used),
    **dict.fromkeys(words("\\glsfirstplural \\Glsfirstplural"), partial(_use, form="full", plural=True)),
    **dict.fromkeys(
        words("\\glsadd \\acsetup \\setacronymstyle \\setabbreviationstyle \\setglossarystyle"),
        partial(_define, arguments=1),
    ),
    **dict.fromkeys(
        words(
            "\\printglossaries \\printglossary \\printacronyms \\printnoidxglossary \\printnoidxglossaries"
        ),
        partial(_define, arguments=0),
    ),
    "\\acro": _entry,
    "\\iac": partial(_use, form="first", article=True),
    "\\Iac": partial(_use, form="first", article=True, case="first"),
}
