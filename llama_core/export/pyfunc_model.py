"""What `mlflow.pyfunc.load_model` runs: continues prompts with an exported model.

This file travels inside the export as `code/llama_pyfunc.py` and is loaded where this project is not
installed: it imports only torch and transformers, once there is a model to load, and not mlflow.
"""

import hashlib
import os

DEFAULTS = {"max_new_tokens": 64, "temperature": 0.0, "top_p": 1.0, "seed": 0}
SUMS = "SHA256SUMS"  # the digest and the name of every other file of the export, as sha256sum writes them
# What lies beside the listed files: what MLflow writes into a model that it has loaded, and the step's index.
BESIDE = {SUMS, "registered_model_meta", "index.parquet"}
CODE = "code"  # the folder that MLflow lets Python import from
WEIGHTS = ".safetensors"
CHUNK = 8 << 20  # bytes read at a time


def check_files(folder, sums_digest=None, weights=True):
    """Check the files of an export, below `folder` on this machine, by its `SHA256SUMS`.

    `sums_digest`: the sha256 (hex digits) of that file itself, where somebody knows it. `weights`: false to
    leave the bytes of the weights, which may be hundreds of gigabytes, to a later call. Files that are not
    listed are refused where Python or transformers could read them: not in other folders than `code`, and not
    if their name begins with a dot. Raises ValueError, which names the file, where one is missing, is not
    listed, or has other bytes.
    """
    path = os.path.join(folder, SUMS)
    if not os.path.isfile(path):
        raise ValueError(f"{folder} is no whole export: it has no {SUMS}")
    if sums_digest and sums_digest != _digest(path):
        raise ValueError(f"{path} is damaged: it is not the file that was registered")
    with open(path, encoding="utf-8", errors="replace") as file:
        lines = [line.rstrip("\n").split("  ", 1) for line in file]
    if not all(len(line) == 2 for line in lines):
        raise ValueError(f"{path} is damaged: it is no list of digests")
    expected = {name: digest for digest, name in lines}
    found = set(_names(folder))
    if strange := sorted(found - expected.keys() - BESIDE):
        raise ValueError(
            f"{os.path.join(folder, strange[0])} is no file of this export: it belongs elsewhere"
        )
    for name, digest in expected.items():
        path = os.path.join(folder, name)
        if name not in found:
            raise ValueError(f"{path} is missing")
        if (weights or not name.endswith(WEIGHTS)) and _digest(path) != digest:
            raise ValueError(f"{path} is damaged: its bytes are not those of {SUMS}")


def _names(folder):
    """Yield the names of the files in a folder and below its `code`, but for those that begin with a dot.

    A link to a folder is yielded as a file.
    """
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if place != folder or name == CODE]
        # Python goes through a link to a folder, and the walk does not.
        links = [name for name in folders if os.path.islink(os.path.join(place, name))]
        for name in files + links:
            if not name.startswith("."):
                yield os.path.relpath(os.path.join(place, name), folder).replace(os.sep, "/")


def _digest(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


class LlamaPyfunc:
    """A base model: it goes on with a text, it was not taught to answer."""

    def __init__(self, path):
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(path)
        self.model = AutoModelForCausalLM.from_pretrained(path, dtype="auto")
        self.model.to("cuda" if torch.cuda.is_available() else "cpu").eval()

    def predict(self, model_input, params=None):
        """Continue each prompt: returns the continuations as a list of str.

        `model_input`: a DataFrame with a column `prompt`, a list of str, or one str. `params`:
        `max_new_tokens`, `temperature` (0: greedy), `top_p` and `seed`. A prompt's continuation does not
        depend on its neighbours; a prompt too long for the model keeps its end. Raises ValueError for
        other input or parameters.
        """
        given = {key: value for key, value in (params or {}).items() if value is not None}
        if unknown := set(given) - set(DEFAULTS):
            raise ValueError(f"unknown params {sorted(unknown)}: known are {sorted(DEFAULTS)}")
        asked = DEFAULTS | given
        _check_params(**asked)
        return [self._continue(prompt, **asked) for prompt in _prompts(model_input)]

    def _continue(self, prompt, max_new_tokens, temperature, top_p, seed):
        import torch

        context_length = self.model.config.max_position_embeddings
        room = max(context_length - max_new_tokens, context_length // 2)
        ids = self.tokenizer(prompt)["input_ids"]
        if len(ids) > room:
            ids = [ids[0], *ids[len(ids) - room + 1 :]]  # BOS, and the prompt's end
        sampling = {"do_sample": False}
        if temperature > 0:
            torch.manual_seed(seed)
            sampling = {"do_sample": True, "temperature": temperature, "top_p": top_p, "top_k": 0}
        context = torch.tensor([ids], device=self.model.device)
        with torch.inference_mode():
            output = self.model.generate(
                context,
                attention_mask=torch.ones_like(context),
                max_new_tokens=min(max_new_tokens, context_length - len(ids)),
                pad_token_id=self.model.config.eos_token_id,
                **sampling,
            )
        # Decoded with its context: a continuation's first space belongs to its first piece.
        before, whole = (
            self.tokenizer.decode(tokens, skip_special_tokens=True) for tokens in (ids, output[0].tolist())
        )
        return whole[len(before) :]


def _check_params(max_new_tokens, temperature, top_p, seed):
    if max_new_tokens < 1:
        raise ValueError(f"max_new_tokens is {max_new_tokens}: give 1 or more")
    if not 0 <= temperature < float("inf"):
        raise ValueError(f"temperature is {temperature}: give 0 (always the most likely token) or more")
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p is {top_p}: give more than 0, and at most 1")
    if not 0 <= seed < 2**63:
        raise ValueError(f"seed is {seed}: give 0 or more, below 2**63")


def _prompts(model_input):
    if isinstance(model_input, str):
        return [model_input]
    if hasattr(model_input, "columns"):
        columns = list(model_input.columns)  # MLflow makes a list of str a DataFrame with one column
        if "prompt" not in columns and len(columns) != 1:
            raise ValueError(f"the DataFrame has no column 'prompt', only {columns}")
        model_input = model_input["prompt" if "prompt" in columns else columns[0]].tolist()
    prompts = [row["prompt"] if isinstance(row, dict) and "prompt" in row else row for row in model_input]
    if not all(isinstance(prompt, str) for prompt in prompts):
        raise ValueError("give a DataFrame with a column 'prompt', a list of str, or one str")
    return prompts


def _load_pyfunc(path):
    """MLflow's entry point. `path`: the folder of the export. Raises ValueError where it is damaged."""
    check_files(path)
    return LlamaPyfunc(path)
