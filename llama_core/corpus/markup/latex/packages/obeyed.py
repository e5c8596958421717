"""All commands of packages, and of plain TeX, that are carried out on the tokens alone."""

from collections.abc import Callable

from llama_core.corpus.markup.latex.expansion.macros import Expander
from llama_core.corpus.markup.latex.packages.acronyms import ACRONYMS
from llama_core.corpus.markup.latex.packages.algorithms import KEYWORDS
from llama_core.corpus.markup.latex.packages.changes import CHANGES
from llama_core.corpus.markup.latex.packages.primitives import PRIMITIVES
from llama_core.corpus.markup.latex.packages.quantities import QUANTITIES
from llama_core.corpus.markup.latex.packages.steps import STEPS_OF_PAPERS

# What is done for each command: operands are taken, and what it prints is put back.
OBEYED: dict[str, Callable[[Expander], None]] = {
    **QUANTITIES,
    **PRIMITIVES,
    **ACRONYMS,
    **KEYWORDS,
    **STEPS_OF_PAPERS,
    **CHANGES,
}
