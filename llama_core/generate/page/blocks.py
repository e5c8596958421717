"""The parts of the page and what they do, in Gradio."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import gradio as gr

from llama_core.errors import LlamaError
from llama_core.generate.page import show
from llama_core.generate.page.answers import Answer, answers
from llama_core.generate.page.models import Models
from llama_core.generate.page.settings import MOST_CHARACTERS, Settings
from llama_core.generate.page.templates import CONTINUE, CONVERSE, MODES, SUMMARISE, Turn
from llama_core.html import Html

TITLE = "Talk to a base model"
AT_ONCE = 2  # texts that are made at a time; more wait in line
MOST_WAITING = 32
MOST_NEW_TOKENS = 2048
NO_OTHER = ""
LABELS = {CONTINUE: "Text to continue", CONVERSE: "Your message", SUMMARISE: "Text to summarise"}
DOES = {CONTINUE: "Continue the text", CONVERSE: "Send", SUMMARISE: "Summarise"}
ENDS = {"length": "at its length", "stop": "at a string that ends it", "eos": "by its own end token"}
HEAD = """
<p>This model only continues text. It has not been trained to answer or to obey: a conversation and a summary
are texts that it is given the beginning of. What it writes may be wrong, or offend.</p>
"""
HERE = Path(__file__).parent
THEME_FONTS = {"font": ["system-ui", "sans-serif"], "font_mono": ["ui-monospace", "monospace"]}

Turns = list[list[Turn]]  # of the first model, and of the second


def look() -> dict[str, Any]:
    """Return what the page looks like: nothing of it comes from elsewhere."""
    return {
        "theme": gr.themes.Base(primary_hue="blue", neutral_hue="slate", **THEME_FONTS),
        "css": (HERE / "page.css").read_text(),
        "head": f"<script>{(HERE / 'page.js').read_text()}</script>",
    }


def page(models: Models, start: Settings) -> gr.Blocks:
    """Return the page of these models, with its fields as `start` has them."""
    names = models.names
    with gr.Blocks(title=TITLE, analytics_enabled=False) as blocks:
        gr.HTML(f"<h1>{TITLE}</h1>{HEAD}", elem_id="head")
        with gr.Row():
            with gr.Column(scale=3, min_width=320):
                mode = gr.Radio(MODES, value=start.mode, label="What to do", elem_id="mode")
                with gr.Row():
                    model = gr.Dropdown(names, value=start.model, label="Model", elem_id="model")
                    others = [("none", NO_OTHER), *((name, name) for name in names)]
                    other = gr.Dropdown(others, value=start.other, label="Compare with", elem_id="other")
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
                with gr.Row(elem_id="panels"):
                    panel_a = gr.HTML(elem_id="panel-a", elem_classes="panel")
                    panel_b = gr.HTML(elem_id="panel-b", elem_classes="panel", visible=bool(start.other))
                read = gr.HTML(elem_id="read")
            with gr.Column(scale=1, min_width=260):
                max_new_tokens = gr.Slider(
                    1, MOST_NEW_TOKENS, start.max_new_tokens, step=1, label="Tokens at most", elem_id="tokens"
                )
                temperature = gr.Slider(
                    0, 2, start.temperature, step=0.05, label="Temperature", elem_id="temperature",
                    info="At 0 the most likely token is always taken.",
                )  # fmt: skip
                top_p = gr.Slider(
                    0.05, 1, start.top_p, step=0.05, label="Top-p", elem_id="top-p",
                    info="Tokens are drawn from the likeliest ones that hold this share together.",
                )  # fmt: skip
                seed = gr.Number(
                    start.seed, label="Seed", precision=0, minimum=0, elem_id="seed",
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
        link = gr.Textbox(label="Link", visible=False, interactive=False, buttons=["copy"], elem_id="link")
        turns = gr.State([[], []])

        of = dict(
            mode=mode, text=text, model=model, other=other, max_new_tokens=max_new_tokens,
            temperature=temperature, top_p=top_p, seed=seed, stop=ends, conversation=conversation,
            summary=summary,
        )  # fmt: skip
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
        stop.click(lambda: show.notice("Stopped."), None, status, cancels=[running], **private)
        anew.click(lambda: ("", "", "", "", [[], []]), None, shown[:5], cancels=[running], **private)
        for part in (mode, other):
            part.change(_fitting, [mode, other], [text, go, anew, conversation, summary, panel_b], **private)
        shade.change(None, shade, None, js="(on) => { document.body.classList.toggle('shaded', on) }")
        share.click(lambda *found: _share(_settings(found)), given, [link, status], **private).then(
            None, link, None, js="(query) => shareLink(query)"
        )
        blocks.load(lambda request: _opened(models, start, request), None, [*given, status], **private)
    blocks.queue(max_size=MOST_WAITING, status_update_rate=1)
    return blocks
