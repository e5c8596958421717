"""What `mlflow.pyfunc.load_model` runs: continues prompts with an exported model.

This file travels inside the export as `code/llama_pyfunc.py` and is loaded where this project is not
installed: it imports only torch and transformers, and not mlflow.
"""

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

DEFAULTS = {"max_new_tokens": 64, "temperature": 0.0, "top_p": 1.0, "seed": 0}


class LlamaPyfunc:
    """A base model: it goes on with a text, it was not taught to answer."""

    def __init__(self, path):
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
        return [self._continue(prompt, **(DEFAULTS | given)) for prompt in _prompts(model_input)]

    def _continue(self, prompt, max_new_tokens, temperature, top_p, seed):
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
    """MLflow's entry point. `path`: the folder of the export."""
    return LlamaPyfunc(path)
