"""LaTeX's internal commands that papers use in their macros: \\@ifnextchar, \\@ifstar and their like."""

from collections.abc import Callable
from dataclasses import replace

from llama_core.corpus.markup.latex.commands import BOXES
from llama_core.corpus.markup.latex.expansion.arguments import body_of, groups_of
from llama_core.corpus.markup.latex.expansion.definitions import Definitions


def _if_next(reader: Definitions, name: str) -> None:
    """Read `\\@ifnextchar[{one}{other}`: which is read depends on the character that comes next."""
    wanted = reader.single().replace("\\bgroup", "{")
    yes, no = reader.argument(), reader.argument()
    following = reader.solid()
    if following is not None:
        reader.unread(following)
    reader.put_back(yes if following is not None and following.startswith(wanted or "\0") else no)


def _if_star(reader: Definitions, name: str) -> None:
    yes, no = reader.argument(), reader.argument()
    reader.put_back(yes if reader.star() else no)


def _with_option(reader: Definitions, name: str) -> None:
    """Read `\\@testopt\\macro{default}`: the default becomes the option of \\macro if it has none."""
    macro, default = reader.argument(), reader.argument()
    reader.put_back(macro if reader.peek().startswith("[") else [*macro, "[", *default, "]"])


def _doubled(reader: Definitions, name: str) -> None:
    """Read `\\@dblarg\\macro`: its argument becomes its option, too, if it has none."""
    macro = reader.argument()
    if not reader.peek().startswith("["):
        argument = reader.argument()
        macro += ["[", *argument, "]", "{", *argument, "}"]
    reader.put_back(macro)


def _keep(which: int | None, number: int) -> Callable[[Definitions, str], None]:
    """Return what reads so many arguments, and keeps one of them."""

    def read(reader: Definitions, name: str) -> None:
        arguments = [reader.argument() for _ in range(number)]
        reader.put_back([] if which is None else arguments[which])

    return read


def _named(*before: str) -> Callable[[Definitions, str], None]:
    """Return what reads a name, and puts back its control word, after other tokens."""
    return lambda reader, name: reader.put_back([*before, "\\" + reader.word()])


def _choose_form(reader: Definitions, name: str) -> None:
    """Read \\mathchoice: of its four forms the one for text, without boxes and the formulas in them."""
    forms = [reader.argument() for _ in range(4)]
    before = reader.waiting
    reader.put_back(forms[1])
    form: list[str] = []
    while reader.waiting > before and (token := reader.raw()) is not None:
        word = token.rstrip()
        if word == "\\raisebox" and reader.group_ahead():
            reader.argument()
            reader.option()
            reader.option()
            reader.put_back(reader.argument() if reader.group_ahead() else [])
        elif word in ("\\raise", "\\lower", "\\kern", "\\mkern"):
            reader.length(word)
        elif word in BOXES or word in ("\\mbox", "\\vcenter"):
            reader.box_size()
            reader.put_back(reader.argument() if reader.group_ahead() else [])
        elif word not in ("\\textstyle", "$"):
            form.append(token)
    reader.put_back(form)


def _append(reader: Definitions, name: str) -> None:
    """Read `\\appto\\macro{more}`, which goes to the end of the body of \\macro, or to its beginning."""
    command, more = "".join(reader.argument()).strip(), body_of(reader.argument())
    if macro := reader.macros.get(command):
        reader.pay(len(macro.body) + len(more))
        body = [*more, *macro.body] if "pre" in name else [*macro.body, *more]
        reader.learn(command, replace(macro, body=body))


def _for_each(reader: Definitions, name: str) -> None:
    """Read xparse's `\\ProcessList{{a}{b}}{\\macro}`: each group is an argument of \\macro."""
    groups, macro = groups_of(reader.argument()), reader.argument()
    reader.put_back([t for group in groups for t in (*macro, "{", *group, "}")])


def _capitals(reader: Definitions, name: str) -> None:
    """Print `\\@slowromancap iv@` as IV."""
    reader.put_back([t.upper() for t in reader.until("@") or []])


# What is done for each command: it is called with the reader and the command's name.
INTERNALS: dict[str, Callable[[Definitions, str], None]] = {
    **dict.fromkeys(("\\@ifnextchar", "\\kernel@ifnextchar", "\\new@ifnextchar"), _if_next),
    "\\@ifstar": _if_star,
    "\\@slowromancap": _capitals,
    "\\@testopt": _with_option,
    "\\@dblarg": _doubled,
    "\\@firstofone": _keep(0, 1),
    "\\@firstoftwo": _keep(0, 2),
    "\\@secondoftwo": _keep(1, 2),
    "\\@gobble": _keep(None, 1),
    "\\@gobbletwo": _keep(None, 2),
    **dict.fromkeys(("\\@nameuse", "\\csuse"), _named()),
    **dict.fromkeys(("\\appto", "\\gappto", "\\preto", "\\gpreto", "\\g@addto@macro"), _append),
    "\\ProcessList": _for_each,
    "\\mathchoice": _choose_form,
    **dict.fromkeys(("\\@namedef", "\\csdef", "\\csgdef"), _named("\\def")),
}
