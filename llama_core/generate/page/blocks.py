"""The parts of the page and what they do, in Gradio."""

from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import gradio as gr
import torch

from llama_core.errors import LlamaError
from llama_core.generate.page import show
from llama_core.generate.page.answers import Answer, answers
from llama_core.generate.page.models import Models
from llama_core.generate.page.settings import Settings
from llama_core.generate.page.templates import CONTINUE, CONVERSE, MODES, SUMMARISE, Turn
from llama_core.html import Html

TITLE = "Talk to a base model"
AT_ONCE = 2  # texts that are made at a time; more wait in line
MOST_WAITING = 32
MOST_NEW_TOKENS = 2048
MOST_TURNS = 50  # of a conversation that are kept: far more than a model can see
WHOLE = ("max_new_tokens", "seed")
NO_OTHER = ""
LABELS = {CONTINUE: "Text to continue", CONVERSE: "Your message", SUMMARISE: "Text to summarise"}
DOES = {CONTINUE: "Continue", CONVERSE: "Send", SUMMARISE: "Summarise"}
HEAD = """
<p>This model only continues text. It has not been trained to answer or to obey: a conversation and a summary
are texts that it is given the beginning of. What it writes may be wrong, or offend.</p>
"""
HERE = Path(__file__).parent
FONT, FONT_MONO = ["system-ui", "sans-serif"], ["ui-monospace", "monospace"]
# Gradio's own are too pale to read.
READABLE = {
    f"{name}{suffix}": colour
    for name in ("body_text_color_subdued", "block_info_text_color", "block_title_text_color")
    for suffix, colour in (("", "*neutral_600"), ("_dark", "*neutral_300"))
}

Turns = list[list[Turn]]  # of the first model, and of the second


def look() -> dict[str, Any]:
    """Return what the page looks like: nothing of it comes from elsewhere."""
    theme = gr.themes.Base(primary_hue="blue", neutral_hue="slate", font=FONT, font_mono=FONT_MONO)
    style, script = ((HERE / name).read_text() for name in ("page.css", "page.js"))
    # Gradio would bind the style to what lies inside its own boxes.
    return {"theme": theme.set(**READABLE), "head": f"<style>{style}</style><script>{script}</script>"}


def page(models: Models, start: Settings) -> gr.Blocks:
    """Return the page of these models, with its fields as `start` has them."""
    names = models.names
    wide: dict[str, Any] = {"min_width": 280}  # two beside each other, on a phone one below the other
    with gr.Blocks(title=TITLE, analytics_enabled=False) as blocks:
        gr.HTML(f"<h1>{TITLE}</h1>{HEAD}", elem_id="head")
        with gr.Row():
            with gr.Column(scale=3, min_width=320):
                mode = gr.Radio(MODES, value=start.mode, label="What to do", elem_id="mode")
                with gr.Row():
                    model = gr.Dropdown(names, value=start.model, label="Model", elem_id="model", **wide)
                    others = [("none", NO_OTHER), *((name, name) for name in names)]
                    other = gr.Dropdown(
                        others, value=start.other, label="Compare with", elem_id="other", **wide
                    )
                text = gr.Textbox(
                    label=LABELS[start.mode],
                    info="Ctrl and Enter start, Esc stops.",
                    lines=5,
                    max_lines=16,
                    autofocus=True,
                    elem_id="text",
                )
                with gr.Row(elem_id="buttons"):
                    go = gr.Button(DOES[start.mode], variant="primary", elem_id="go")
                    stop = gr.Button("Stop", elem_id="stop")
                    anew = gr.Button("New conversation", visible=start.mode == CONVERSE, elem_id="anew")
                    share = gr.Button("Link to this", elem_id="share")
                status = gr.HTML(elem_id="status")
                link = gr.Textbox(
                    label="Link", visible=False, interactive=False, buttons=["copy"], elem_id="link"
                )
                with gr.Row(elem_id="panels"):
                    panel_a = gr.HTML(elem_id="panel-a", elem_classes="panel", **wide)
                    panel_b = gr.HTML(
                        elem_id="panel-b", elem_classes="panel", visible=bool(start.other), **wide
                    )
                read = gr.HTML(elem_id="read")
            with gr.Column(scale=1, min_width=260):
                max_new_tokens = gr.Slider(
                    1, MOST_NEW_TOKENS, start.max_new_tokens, step=1, label="Tokens at most", elem_id="tokens"
                )
                temperature = gr.Slider(
                    0, 2, start.temperature, step=0.05, label="Temperature", elem_id="temperature",
                    info="0 always takes the likeliest token.",
                )  # fmt: skip
                top_p = gr.Slider(
                    0.05, 1, start.top_p, step=0.05, label="Top-p", elem_id="top-p",
                    info="The share of the likeliest tokens.",
                )  # fmt: skip
                seed = gr.Number(
                    start.seed, label="Seed", precision=0, elem_id="seed",
                    info="The same seed draws the same text. Empty draws another each time.",
                )  # fmt: skip
                ends = gr.Textbox(
                    label="End at", info="One string a line; \\n stands for the end of a line.", lines=1,
                    max_lines=4, elem_id="ends",
                )  # fmt: skip
                shade = gr.Checkbox(label="Shade unlikely tokens", elem_id="shade")
                conversation = gr.Textbox(
                    start.conversation, label="Template of a conversation", lines=5, max_lines=16,
                    info="{text} is what you say, {answer} what the model does, until what follows it.",
                    visible=start.mode == CONVERSE, elem_id="conversation",
                )  # fmt: skip
                summary = gr.Textbox(
                    start.summary, label="Template of a summary", lines=4, max_lines=16,
                    info="{text} is yours. The model goes on at {answer}, until what follows it.",
                    visible=start.mode == SUMMARISE, elem_id="summary",
                )  # fmt: skip
        turns = gr.State([[], []])

        of = {
            "mode": mode, "text": text, "model": model, "other": other, "max_new_tokens": max_new_tokens,
            "temperature": temperature, "top_p": top_p, "seed": seed, "stop": ends,
            "conversation": conversation, "summary": summary,
        }  # fmt: skip
        given = [of[field.name] for field in fields(Settings)]
        shown = [panel_a, panel_b, status, read, turns, text]

        def write(*values: Any) -> Iterator[list[Any]]:
            *found, said = values
            yield from _write(models, _settings(found), said)

        running = go.click(
            write,
            [*given, turns],
            shown,
            api_name="write",
            show_progress="minimal",
            show_progress_on=[status],
            concurrency_limit=AT_ONCE,
            concurrency_id="engines",
        )
        private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "queue": False}
        # First the work ends: what it has still sent would stand over what is said of its end.
        for button, said, parts in (
            (stop, lambda: show.notice("Stopped."), [status]),
            (anew, lambda: ["", "", "", "", [[], []]], shown[:5]),
        ):
            button.click(None, cancels=[running], **private).then(said, None, parts, **private)
        for part in (mode, other):
            part.change(_fitting, [mode, other], [text, go, anew, conversation, summary, panel_b], **private)
        shade.change(None, shade, None, js="(on) => { document.body.classList.toggle('shaded', on) }")
        share.click(lambda *found: _share(_settings(found)), given, [link, status], **private).then(
            None, link, link, js="(query) => query && shareLink(query)"
        )

        def opened(request: gr.Request) -> list[Any]:
            return _opened(models, start, dict(request.query_params))

        blocks.load(opened, None, [*given, status], **private)
    blocks.queue(max_size=MOST_WAITING, status_update_rate=1)
    return blocks


def _settings(values: list[Any]) -> Settings:
    """Return what the fields hold. An empty field of a number is as it was when the page was opened."""
    found = {field.name: value for field, value in zip(fields(Settings), values)}
    given: dict[str, Any] = {
        name: int(v) if name in WHOLE else v for name, v in found.items() if v is not None
    }
    return Settings(**given)


def _write(models: Models, settings: Settings, said: Turns) -> Iterator[list[Any]]:
    """Yield the values of the panels, the status, what was read, the turns and the text, as they change."""
    chat = settings.mode == CONVERSE
    text = gr.skip()
    try:
        yield [gr.skip(), gr.skip(), show.notice("The model is loaded, if it is not yet."), "", said, text]
        for found in answers(models, settings, said):
            panels = [_panel(settings, answer, turns) for answer, turns in zip(found, said)]
            turns = [
                [*before, Turn(settings.text, answer.text.strip())][-MOST_TURNS:]
                for before, answer in zip(said, found)
            ]
            yield [
                *[*panels, gr.skip()][:2],
                _status(found, settings.max_new_tokens),
                _read(found),
                (turns + said[len(turns) :]) if chat else said,
                "" if chat else text,
            ]
    except LlamaError as error:
        yield [gr.skip(), gr.skip(), show.error(str(error)), gr.skip(), gr.skip(), text]
    except (MemoryError, torch.OutOfMemoryError):
        full = "the memory is full: ask for fewer tokens, or compare no second model"
        yield [gr.skip(), gr.skip(), show.error(full), gr.skip(), gr.skip(), text]


def _panel(settings: Settings, answer: Answer, said: list[Turn]) -> Html:
    if settings.mode == CONVERSE:
        body = show.said(said) + show.answering(settings.text, answer.pieces)
    else:
        before = show.text_before(settings.text) if settings.mode == CONTINUE else ""
        body = before + show.tokens(answer.pieces)
    place = f"{answer.url}, " if answer.url != answer.name else ""
    return show.panel(answer.name, f"{place}seed {answer.seed}", Html(body))


def _status(found: list[Answer], asked_for: int) -> Html:
    """Return what there is to say of each text: how far it is, how fast it came, and why it has ended."""
    lines = []
    for answer in found:
        name = f"{answer.name}: " if len(found) > 1 else ""
        count, rate = len(answer.pieces), len(answer.pieces) / answer.seconds if answer.seconds else 0
        line = f"{name}{count} token{'s' * (count != 1)}"
        if rate:
            line += f" in {answer.seconds:.1f} s, {rate:.0f} a second"
        if answer.finish == "stop":
            line += ". The text has come to its end."
        elif answer.finish:
            line += ". That is what was asked for." if count == asked_for else ". The model can see no more."
        lines.append(line)
        if answer.read < answer.tokens:
            lines.append(
                f"{name}of the {answer.tokens:,} tokens that it was given, the model has read the last "
                f"{answer.read:,}: more do not fit into its context."
            )
    return show.notice(*lines, f"The seed is {found[0].seed}.")


def _read(found: list[Answer]) -> Html:
    """Return what each model was given to read."""
    names = [answer.name if len(found) > 1 else "the model" for answer in found]
    reads = (show.prompt_read(name, one.prompt, one.tokens, one.read) for name, one in zip(names, found))
    return Html("".join(reads))


def _fitting(mode: str, other: str) -> list[Any]:
    """Return how the parts look that differ by mode, and whether there is a second panel."""
    chat = mode == CONVERSE
    return [
        gr.update(label=LABELS.get(mode)),
        DOES.get(mode),
        gr.update(visible=chat),
        gr.update(visible=chat),
        gr.update(visible=mode == SUMMARISE),
        gr.update(visible=bool(other)),
    ]


def _share(settings: Settings) -> list[Any]:
    """Return the query of a link to these settings, and what to say of it."""
    try:
        return [gr.update(value=f"?{settings.query()}", visible=True), show.notice("The link is below.")]
    except LlamaError as error:
        return [gr.update(value=None, visible=False), show.error(str(error))]


def _opened(models: Models, start: Settings, query: dict[str, str]) -> list[Any]:
    """Return the values of all fields for a page that is opened by a link, and what to say of it."""
    if not query:
        return [gr.skip()] * (len(fields(Settings)) + 1)  # a person may be typing already
    found = start.changed(query)
    offered = {"model": models.names, "other": ["", *models.names]}
    strange = [name for name, names in offered.items() if getattr(found, name) not in names]
    found = replace(found, **{name: getattr(start, name) for name in strange})
    note = "The link names a model that this page does not offer." if strange else ""
    return [
        *(getattr(found, field.name) for field in fields(Settings)),
        show.error(note) if note else "",
    ]
