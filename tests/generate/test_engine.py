"""Texts are continued whole: characters, spaces, stop strings, and prompts that are too long."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from trained import Trained

from llama_core.errors import InputError
from llama_core.generate.engine import Engine, Piece, Sampling
from llama_core.generate.text import Continuation
from llama_core.generate.tokens import Request, generate

GREEDY = Sampling(max_new_tokens=24, temperature=0.0)
PROMPTS = ["def main(self):", "", "The", "  return x  ", "import os\n" * 9, "\u6f22\u5b57 and \U0001f642"]


@pytest.fixture(scope="module")
def engine(trained: Trained) -> Engine:
    return Engine(trained.model(), trained.tokenizer, seq_len=256)


def ids_after(engine: Engine, ids: Sequence[int], n: int) -> list[int]:
    return [token.id for token in generate(engine.model, [Request(ids, n)], ends=lambda *_: False)]


def decoded_at_once(engine: Engine, prompt: str, n: int) -> str:
    """The text that all tokens give together, up to the end token."""
    ids = engine.tokenizer.encode(prompt, bos=True)
    new = ids_after(engine, ids, n)
    new = new[: new.index(engine.tokenizer.eos_id)] if engine.tokenizer.eos_id in new else new
    return engine.tokenizer.decode(ids + new)[len(engine.tokenizer.decode(ids)) :]


def test_texts_are_those_of_all_their_tokens_together_and_alone(engine: Engine) -> None:
    expected = [decoded_at_once(engine, prompt, 24) for prompt in PROMPTS]
    assert engine.complete(PROMPTS, GREEDY) == expected
    assert engine.complete(PROMPTS[::-1], GREEDY) == expected[::-1]
    assert [engine.complete([prompt], GREEDY)[0] for prompt in PROMPTS] == expected
    assert engine.complete([], GREEDY) == []


def test_a_stream_gives_each_token_with_its_text_and_says_why_a_text_ends(engine: Engine) -> None:
    pieces = list(engine.stream(PROMPTS, GREEDY, likely=3))
    for row, text in enumerate(engine.complete(PROMPTS, GREEDY)):
        mine = [piece for piece in pieces if piece.row == row]
        assert "".join(piece.text for piece in mine) == text
        assert [piece.finish for piece in mine[:-1]] == [None] * (len(mine) - 1)
        ended = mine[-1].id == engine.tokenizer.eos_id
        assert (mine[-1].finish == ("stop" if ended else "length") and len(mine) == 24) or ended
        for piece in mine:
            assert len(piece.likely) == 3
            assert piece.likely[0][0] == engine.tokenizer.piece(piece.id)
            assert piece.likely[0][1] == pytest.approx(piece.logprob, abs=1e-5)


def test_a_stream_that_is_closed_ends_the_work(engine: Engine) -> None:
    passes = []
    handle = engine.model.register_forward_pre_hook(lambda *_: passes.append(1))
    stream = engine.stream(["def"], replace(GREEDY, max_new_tokens=40))
    for _ in range(5):
        next(stream)
    stream.close()
    handle.remove()
    assert len(passes) == 5


def test_a_text_ends_before_its_first_stop_string_wherever_tokens_end(engine: Engine) -> None:
    for prompt in PROMPTS:
        (free,) = engine.complete([prompt], GREEDY)
        for length in (1, 2, 3, 5):
            for at in range(0, len(free) - length, 3):
                stop = free[at : at + length]
                pieces = list(engine.stream([prompt], replace(GREEDY, stop=("\0never", stop))))
                assert "".join(piece.text for piece in pieces) == free[: free.index(stop)]
                assert pieces[-1].finish == "stop"
                assert pieces[-1].finish not in [piece.finish for piece in pieces[:-1]]


def text_of(engine: Engine, ids: Sequence[int], stop: Sequence[str] = ()) -> tuple[str, list[str], bool]:
    context = engine.tokenizer.encode("x", bos=True)
    continued, parts = Continuation(engine.tokenizer, context, stop), []
    for token in ids:
        text, stopped = continued.push(token)
        parts.append(text)
        if stopped:
            return "".join(parts), parts, True
    parts.append(continued.flush())
    return "".join(parts), parts, False


def test_a_character_of_several_bytes_is_given_whole_and_broken_bytes_as_decoding_gives_them(
    engine: Engine,
) -> None:
    words = engine.tokenizer
    for text in ("x\U0001f642\u6f22y", "x\u0915\u094d\u0937 \ufffd!", "x" + "\u00e9" * 40):
        ids = words.encode(text, bos=True)[len(words.encode("x", bos=True)) :]
        whole, parts, _ = text_of(engine, ids)
        assert whole == text[1:]
        assert "".join(parts[:-1]).startswith(whole[:-1])
    bytes_of = {i: words.piece(i) for i in range(words.n_words) if words.piece(i).startswith("<0x")}
    ids_of = {int(piece[3:5], 16): i for i, piece in bytes_of.items()}
    generator = torch.Generator().manual_seed(1)
    letters = [words.encode("e")[-1], words.encode(" e")[-1], *ids_of.values()]
    for _ in range(200):
        chosen = torch.randint(len(letters), (50,), generator=generator).tolist()
        ids = [letters[i] for i in chosen]
        context = words.encode("x", bos=True)
        assert text_of(engine, ids)[0] == words.decode(context + ids)[1:]


def test_what_may_become_a_stop_string_is_held_back_and_given_when_it_does_not(engine: Engine) -> None:
    ids = engine.tokenizer.encode("x\n\nQ: a", bos=True)[len(engine.tokenizer.encode("x", bos=True)) :]
    whole, parts, stopped = text_of(engine, ids, ("\n\nQ:",))
    assert (whole, stopped) == ("", True)
    whole, parts, stopped = text_of(engine, ids, ("\n\nQ: b", "\nZ"))
    assert (whole, stopped) == ("\n\nQ: a", False)
    assert not any(parts[:-3])
    whole, parts, stopped = text_of(engine, ids[:-2], ("\n\nQ: b",))
    assert whole == engine.tokenizer.decode(ids[:-2]) and not stopped


def test_samples_differ_and_each_is_reproduced_by_its_seed(engine: Engine) -> None:
    sampling = Sampling(max_new_tokens=12, temperature=1.0, top_p=1.0, seed=40)
    found = engine.samples(PROMPTS, sampling, 4)
    for prompt, texts in zip(PROMPTS, found, strict=True):
        assert len(set(texts)) == 4
        assert [engine.complete([prompt], replace(sampling, seed=40 + n))[0] for n in range(4)] == texts
    largest = replace(sampling, seed=2**63 - 1)
    assert len(set(engine.samples(["x"], largest, 3)[0])) == 3


def test_a_long_prompt_keeps_its_end_and_a_text_ends_where_the_models_sight_ends(trained: Trained) -> None:
    engine, words = Engine(trained.model(), trained.tokenizer, seq_len=24), trained.tokenizer
    text = "".join(chr(ord("a") + i % 26) * 2 for i in range(200))
    ids = words.encode(text, bos=True)
    pieces: list[Piece] = list(engine.stream([text], replace(GREEDY, max_new_tokens=4)))
    assert [p.id for p in pieces] == ids_after(engine, [ids[0], *ids[-19:]], 4)[: len(pieces)]
    short, long = words.encode("def", bos=True), words.encode("def main(self): " * 9, bos=True)
    pieces = list(engine.stream(["def main(self): " * 9, "def"], replace(GREEDY, max_new_tokens=100)))
    few, many = ([p.id for p in pieces if p.row == row] for row in (0, 1))
    assert few == ids_after(engine, [long[0], *long[-11:]], 12)[: len(few)]
    assert many == ids_after(engine, short, 24 - len(short))[: len(many)]


def test_values_that_no_text_can_be_drawn_with_are_refused(engine: Engine) -> None:
    for wrong in ({"top_p": 0.0}, {"top_p": float("nan")}, {"temperature": -1.0}, {"seed": -1}):
        with pytest.raises(InputError, match="give"):
            engine.complete(["x"], replace(GREEDY, **wrong))
    with pytest.raises(InputError, match="give 1 or more"):
        engine.complete(["x"], replace(GREEDY, max_new_tokens=0))
