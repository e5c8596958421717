"""What a person has set on the page, and the link that sets it again.

A link only fills the page in: nothing runs before the person who follows it asks for that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from urllib.parse import urlencode

from llama_core.errors import InputError
from llama_core.generate.page import templates
from llama_core.generate.page.templates import CONTINUE, CONVERSE, MODES, Asked, Turn
from llama_core.generate.sampling import check_sampling

MOST_CHARACTERS = 1 << 20  # of a text; of a longer one than the model's context, the end is read anyway
MOST_STOPS = 16
LONGEST_LINK = 8000  # characters, which every browser and server takes


@dataclass(frozen=True)
class Settings:
    """The page's fields, as they are when it is opened."""

    mode: str = CONTINUE
    text: str = ""
    model: str = ""
    other: str = ""
    """The model to compare with, or none."""

    max_new_tokens: int = 128
    temperature: float = 0.8
    top_p: float = 0.95
    seed: int | None = None
    """None draws another one each time."""

    stop: str = ""
    """Where to end as well: one string a line, in which `\\n` stands for the end of a line."""

    conversation: str = templates.CONVERSATION
    summary: str = templates.SUMMARY

    def check(self) -> None:
        """Raise InputError, which says in one sentence what to change."""
        if self.mode not in MODES:
            raise InputError(f"the page can {', '.join(MODES)}: choose one of these")
        if not self.text.strip():
            raise InputError("there is no text yet: write some")
        if len(self.text) > MOST_CHARACTERS:
            raise InputError(
                f"the text has {len(self.text):,} characters, and at most {MOST_CHARACTERS:,} are taken: "
                "shorten it (of a long text, the model reads the end alone)"
            )
        for value in (self.text, self.stop, self.conversation, self.summary):
            if not _is_unicode(value):
                raise InputError("the text holds half of a surrogate pair, which is no character: remove it")
        check_sampling(self.max_new_tokens, self.temperature, self.top_p, self.seed or 0)
        if len(self.stops()) > MOST_STOPS:
            raise InputError(f"at most {MOST_STOPS} strings can end the text")

    def stops(self) -> tuple[str, ...]:
        """Return the strings of the field `stop`."""
        return tuple(line.replace("\\n", "\n") for line in self.stop.splitlines() if line.strip())

    def asked(self, turns: Sequence[Turn] = ()) -> Asked:
        """Return what the model is to read, after `turns` in a conversation. Raises InputError."""
        if self.mode == CONTINUE:
            return Asked(self.text, self.stops())
        chat = self.mode == CONVERSE
        made = templates.asked(self.conversation if chat else self.summary, self.text, turns if chat else ())
        return Asked(made.prompt, made.stop + self.stops())

    def query(self) -> str:
        """Return the query of a link to this: what differs from the page as it is opened.

        Raises InputError for what is too long for a link.
        """
        default = Settings()
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        query = urlencode({name: v for name, v in values.items() if v not in (getattr(default, name), None)})
        if len(query) > LONGEST_LINK:
            raise InputError(
                f"the link would have {len(query):,} characters, and not everybody takes more than "
                f"{LONGEST_LINK:,}: share a shorter text"
            )
        return query

    def changed(self, query: Mapping[str, str]) -> "Settings":
        """Return these settings with the values of a link. What this page would refuse is left out."""
        found = self
        for name in query.keys() & {field.name for field in fields(self)}:
            try:
                changed = replace(found, **{name: _READERS.get(name, str)(query[name])})
                replace(changed, text=changed.text if changed.text.strip() else "any").check()
            except (ValueError, InputError):
                continue
            found = changed
        return found


_READERS: dict[str, type] = {"max_new_tokens": int, "temperature": float, "top_p": float, "seed": int}


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
