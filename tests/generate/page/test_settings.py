"""What is set on the page is checked, and a link sets it again."""

from dataclasses import replace
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_core.errors import InputError
from llama_core.generate.page.settings import LONGEST_LINK, MOST_CHARACTERS, Settings
from llama_core.generate.page.templates import MODES

START = Settings(model="models:/llama-tiny@candidate")
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)


@given(
    mode=st.sampled_from(MODES),
    text=WORDS,
    max_new_tokens=st.integers(1, 2048),
    temperature=st.floats(0, 2),
    seed=st.none() | st.integers(0, 2**53),
    stop=WORDS,
)
def test_a_link_sets_everything_again(**values: object) -> None:
    changed = replace(START, **values)  # type: ignore[arg-type]
    if len(changed.stops()) <= 16:
        assert START.changed(dict(parse_qsl(changed.query(), keep_blank_values=True))) == changed


def test_what_a_link_may_not_set_is_left_out() -> None:
    query = {
        "mode": "Obey",
        "temperature": "nan",
        "top_p": "7",
        "seed": "-1",
        "max_new_tokens": "9" * 5000,
        "text": "a" * (MOST_CHARACTERS + 1),
        "__class__": "x",
        "stop": "\\n",
    }
    assert START.changed(query) == replace(START, stop="\\n")


def test_a_text_that_is_too_long_for_a_link_is_said() -> None:
    assert len(replace(START, text="a" * (LONGEST_LINK - 100)).query()) <= LONGEST_LINK
    with pytest.raises(InputError, match="share a shorter text"):
        replace(START, text="a" * LONGEST_LINK).query()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"text": " \n"}, "there is no text yet"),
        ({"text": "a" * (MOST_CHARACTERS + 1)}, "1,048,577 characters, and at most 1,048,576 are taken"),
        ({"text": "\ud800"}, "half of a surrogate pair"),
        ({"temperature": float("nan")}, "the temperature is nan"),
        ({"top_p": 0.0}, "top-p is 0.0"),
        ({"max_new_tokens": 0}, "the number of new tokens is 0"),
        ({"mode": "Obey"}, "Continue, Converse, Summarise"),
        ({"stop": "a\n" * 17}, "at most 16 strings"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(values: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(START, **({"text": "x"} | values)).check()  # type: ignore[arg-type]


def test_every_mode_says_what_the_model_reads_and_where_it_ends() -> None:
    settings = replace(START, text="Hello", stop="###\n\\n\\n")
    assert settings.asked() == ("Hello", ("###", "\n\n"))
    conversation = replace(settings, mode="Converse").asked()
    assert conversation.prompt.endswith("\n\nPerson: Hello\nAssistant:")
    assert conversation.stop == ("\nPerson:", "###", "\n\n")
    assert replace(settings, mode="Summarise").asked() == ("Hello\n\nTL;DR:", ("\n", "###", "\n\n"))
