"""The paper's tables and figures, with our models in them.

`python -m llama_core.evaluate.tables EVALUATION...` prints them; the run report shows them too.
"""
