"""`python -m llama_core.export FROM TO --format huggingface|meta|step`: a model in another format.

FROM is an export or train step, or a folder of a LLaMA in Meta's format or in that of Hugging Face, on any
store. TO is a folder that is empty or not there yet; for `step` it is a store, on which the model becomes a
train step like any other. The exit code is 0, or 2 for an error that a user can mend, and 130 if the program
was interrupted.
"""

import argparse
import sys

from llama_core.errors import LlamaError
from llama_core.generate.__main__ import FAILED, INTERRUPTED, Parser
