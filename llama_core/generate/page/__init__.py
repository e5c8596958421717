"""A page to talk to a base model: `python -m llama_core.generate.page MODEL [MODEL]`.

`settings` is what a person has set, and `templates` turns it into what a model reads. `models` are those
that are offered, `answers` makes the text of one or two of them, `show` its HTML. `blocks` are the parts of
the page, and `server` serves it.
"""
