"""A page to talk to a base model: `python -m llama_core.generate.page MODEL [MODEL]`.

`templates` turns what a person writes into what the model reads, `models` has the models that are offered,
`answers` makes the text of one or two of them, `show` its HTML, `blocks` the page's parts, `server` serves it.
"""
