"""What the model reads is the template with the person's words in it, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_core.errors import InputError
from llama_core.generate.page.templates import CONVERSATION, SUMMARY, Turn, asked


def test_a_conversation_repeats_its_turns_and_ends_where_the_person_speaks_again() -> None:
    prompt, stop = asked(CONVERSATION, "And of Spain?", [Turn("The capital of France?", "Paris.")])
    assert prompt == (
        "This is a conversation between a person and a helpful assistant.\n\n"
        "Person: The capital of France?\nAssistant: Paris.\nPerson: And of Spain?\nAssistant:"
    )
    assert stop == ("\nPerson:",)


def test_a_summary_follows_the_text_and_is_one_line() -> None:
    assert asked(SUMMARY, "A long text.") == ("A long text.\n\nTL;DR:", ("\n",))


def test_a_template_without_an_end_stops_nowhere() -> None:
    assert asked("Q: {text} A: {answer}", "why") == ("Q: why A:", ())
    assert asked("Q: {text} A: {answer}", "why", [Turn("a", " b")]).prompt == "Q: a A:  b\nQ: why A:"


@given(text=st.text(), said=st.text(), answer=st.text())
def test_a_persons_words_are_never_a_template(text: str, said: str, answer: str) -> None:
    for words in (text, text + "{answer}{text}{0}{}"):
        prompt = asked("<{text}|{answer}>", words, [Turn(said, answer)]).prompt
        assert prompt == f"<{said}|{answer}\n<{words}|"


@pytest.mark.parametrize(
    "wrong", ["", "{text}", "{answer}", "{answer}{text}", "{text}{text}{answer}", "{text"]
)
def test_a_template_that_lacks_a_place_is_refused(wrong: str) -> None:
    with pytest.raises(InputError, match="holds {text} once"):
        asked(wrong, "x")
