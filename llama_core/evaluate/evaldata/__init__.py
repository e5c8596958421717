"""The benchmarks' files as their publishers offer them: `python -m llama_core.evaluate.evaldata FOLDER`."""
