"""What a base model reads, made from what a person writes.

A base model continues text and does nothing else. A conversation or a summary is a text whose most likely
continuation is the answer. A template is such a text, with `{text}` where the person's words belong and
`{answer}` where the model's do. What stands after `{answer}` is where the answer ends.
"""

from collections.abc import Sequence
from typing import NamedTuple

from llama_core.errors import InputError

TEXT, ANSWER = "{text}", "{answer}"
CONVERSATION = """\
This is a conversation between a person and a helpful assistant.

Person: {text}
Assistant: {answer}
Person:"""
SUMMARY = """\
{text}

TL;DR: {answer}
"""

CONTINUE, CONVERSE, SUMMARISE = "Continue", "Converse", "Summarise"
MODES = (CONTINUE, CONVERSE, SUMMARISE)


class Turn(NamedTuple):
    """What a person has said, and what a model has answered."""

    text: str
    answer: str


class Asked(NamedTuple):
    """What a model is given to read, and the strings that end its answer."""

    prompt: str
    stop: tuple[str, ...]


def asked(template: str, text: str, turns: Sequence[Turn] = ()) -> Asked:
    """Put a person's words into a template. The words may hold braces: they are never a template.

    `turns`: what was said before. The template from the line of `{text}` on is repeated for each. The spaces
    before the answer are the model's to write, as its tokens begin with them. Raises InputError.
    """
    places = template.count(TEXT), template.count(ANSWER)
    if places != (1, 1) or template.index(TEXT) > template.index(ANSWER):
        raise InputError(f"a template holds {TEXT} once, and after it {ANSWER} once")
    before, after = template.split(TEXT)
    between, end = after.split(ANSWER)
    opening, newline, label = before.rpartition("\n")
    opening += newline
    said = [f"{label}{turn.text}{between}{turn.answer}" for turn in turns]
    # The end's own last line may be the next turn's label, `Person:`, which the next turn writes itself.
    joint = end[: end.rindex("\n") + 1] if "\n" in end else "\n"
    prompt = opening + "".join(f"{one}{joint}" for one in said) + label + text + between
    return Asked(prompt.rstrip(" "), (end,) if end else ())
