"""What `mlflow.pyfunc.load_model` runs: continues prompts with an exported model.

This file travels inside the export as `code/llama_pyfunc.py` and is loaded where this project is not
installed: it imports only torch and transformers, once there is a model to load, and not mlflow.
"""

import hashlib
import os

DEFAULTS = {"max_new_tokens": 64, "temperature": 0.0, "top_p": 1.0, "stop": [], "seed": 0}
ROWS = 32  # prompts that are continued at once
ROLES = {"system": "", "user": "User: ", "assistant": "Assistant: "}
NEXT_TURN = "\nUser:"  # the answer in a conversation ends before the model writes the other's part
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
    """A base model: it goes on with a text, and was not taught to answer.

    A conversation is therefore given to it as a text to go on with. What the system says stands alone, each
    turn begins with the name of who speaks, one line lies between them, and the last line is the model's:

        You are helpful.

        User: What is a llama?

        Assistant:

    Its answer ends before the next line that begins with `User:`.
    """

    def __init__(self, path):
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(path)
        self.model = AutoModelForCausalLM.from_pretrained(path, dtype="auto")
        self.model.to("cuda" if torch.cuda.is_available() else "cpu").eval()

    def predict(self, model_input, params=None):
        """Continue each prompt: returns the continuations as a list of str.

        `model_input`: prompts as a DataFrame with a column `prompt`, a list of str or of {"prompt": str}, or
        one str; or conversations as a column `messages`, a list of {"messages": [...]}, or one of them, where
        a message is {"role": "system", "user" or "assistant", "content": str}. `params`: `max_new_tokens`,
        `temperature` (0: greedy), `top_p`, `stop` (strings before which a text ends) and `seed`. A prompt's
        continuation does not depend on its neighbours; a prompt too long for the model keeps its end. Raises
        ValueError for other input or parameters.
        """
        given = {key: value for key, value in (params or {}).items() if value is not None}
        if unknown := set(given) - set(DEFAULTS):
            raise ValueError(f"unknown params {sorted(unknown)}: known are {sorted(DEFAULTS)}")
        asked = DEFAULTS | given
        asked["stop"] = [asked["stop"]] if isinstance(asked["stop"], str) else list(asked["stop"])
        _check_params(**asked)
        tasks = [_text_of(row, asked["stop"]) for row in _rows(model_input)]
        texts = [self.tokenizer(text)["input_ids"] for text, _ in tasks]
        found = [""] * len(tasks)
        # Texts of like lengths are continued together: less is padded.
        order = sorted(range(len(tasks)), key=lambda n: len(texts[n]))
        for first in range(0, len(order), ROWS):
            chosen = order[first : first + ROWS]
            continued = self._continue([texts[n] for n in chosen], [tasks[n][1] for n in chosen], asked)
            for n, text in zip(chosen, continued):
                found[n] = text.lstrip() if NEXT_TURN in tasks[n][1] else text
        return found

    def _continue(self, texts, stops, asked):
        """Continue token ids together, and return the new texts. `stops`: the stop strings of each."""
        import torch

        context_length, most = self.model.config.max_position_embeddings, asked["max_new_tokens"]
        room = max(context_length - most, context_length // 2, 1)
        # BOS, and the prompt's end
        kept = [ids if len(ids) <= room else [ids[0], *ids[len(ids) - room + 1 :]] for ids in texts]
        limits = [max(1, min(most, context_length - len(ids))) for ids in kept]
        longest, eos = max(map(len, kept)), self.model.config.eos_token_id
        context = torch.full((len(kept), longest), eos)
        mask = torch.zeros_like(context)
        for row, ids in enumerate(kept):
            context[row, longest - len(ids) :] = torch.tensor(ids)
            mask[row, longest - len(ids) :] = 1
        drawn = [_Draw(asked["temperature"], asked["top_p"], asked["seed"])] if asked["temperature"] else []
        with torch.inference_mode():
            output = self.model.generate(
                context.to(self.model.device),
                attention_mask=mask.to(self.model.device),
                max_new_tokens=max(limits),
                do_sample=False,  # what draws leaves one token
                logits_processor=drawn,
                stopping_criteria=[_Ends(self.tokenizer, longest, stops, limits)],
                pad_token_id=eos,
            )
        found = []
        for ids, new, limit, stop in zip(kept, output[:, longest:].tolist(), limits, stops):
            new = new[:limit]
            new = new[: new.index(eos)] if eos in new else new
            # Decoded with its context: a continuation's first space belongs to its first piece.
            before, whole = (self.tokenizer.decode(i, skip_special_tokens=True) for i in (ids, ids + new))
            found.append(_cut(whole[len(before) :], stop))
        return found


class _Draw:
    """Leaves one token of each row, which is drawn with a random number that is the same in every row."""

    def __init__(self, temperature, top_p, seed):
        import torch

        self.temperature, self.top_p = temperature, top_p
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, input_ids, scores):
        import torch

        best = scores.max(-1, keepdim=True).values
        p, order = (
            ((scores - best).double() / self.temperature).softmax(-1).sort(descending=True, stable=True)
        )
        p[p.cumsum(-1) - p > self.top_p] = 0.0  # the first one always stays
        sums = p.cumsum(-1)
        number = torch.rand((), dtype=torch.float64, generator=self.generator).to(sums.device)
        place = torch.searchsorted(sums, number * sums[:, -1:], right=True).clamp_max(p.shape[-1] - 1)
        return torch.full_like(scores, float("-inf")).scatter_(1, order.gather(-1, place), 0.0)


class _Ends:
    """Tells which rows have a stop string, or as many tokens as there is room for."""

    def __init__(self, tokenizer, start, stops, limits):
        self.tokenizer, self.start, self.stops, self.limits = tokenizer, start, stops, limits

    def __call__(self, input_ids, scores, **kwargs):
        import torch

        count = input_ids.shape[1] - self.start
        ended = [count >= limit for limit in self.limits]
        for row, stop in enumerate(self.stops):
            if stop and not ended[row]:
                # A token gives a byte at least; a few more tokens make the first character whole.
                last = min(count, max(len(s.encode()) for s in stop) + 8)
                text = self.tokenizer.decode(input_ids[row, -last:].tolist(), skip_special_tokens=True)
                ended[row] = any(s in text for s in stop)
        return torch.tensor(ended, device=input_ids.device)


def _cut(text, stop):
    """Return a text up to the stop string that is whole first."""
    ends = [(text.find(s) + len(s), text.find(s)) for s in stop if s in text]
    return text[: min(ends)[1]] if ends else text


def _check_params(max_new_tokens, temperature, top_p, stop, seed):
    if max_new_tokens < 1:
        raise ValueError(f"max_new_tokens is {max_new_tokens}: give 1 or more")
    if not 0 <= temperature < float("inf"):
        raise ValueError(f"temperature is {temperature}: give 0 (always the most likely token) or more")
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p is {top_p}: give more than 0, and at most 1")
    if not all(isinstance(s, str) and s for s in stop):
        raise ValueError(f"stop is {stop}: give strings that are not empty")
    if not 0 <= seed < 2**63:
        raise ValueError(f"seed is {seed}: give 0 or more, below 2**63")


def _rows(model_input):
    """Return the prompts, each a str, and the conversations, each a list of messages."""
    one = True  # whether messages that are rows are one conversation
    if hasattr(model_input, "columns"):
        columns = list(model_input.columns)  # MLflow makes a list of str a DataFrame with one column
        named = [name for name in ("prompt", "messages") if name in columns]
        if not named and ("role" in columns or "content" in columns):
            raise ValueError('messages stand alone, and MLflow takes them apart: give {"messages": [...]}')
        one = named == ["messages"]
        if not named and len(columns) != 1:
            raise ValueError(f"the DataFrame has no column 'prompt' and no column 'messages', only {columns}")
        model_input = model_input[named[0] if named else columns[0]].tolist()
    if isinstance(model_input, (str, dict)):
        model_input = [model_input]
    rows = []
    for row in model_input:
        if isinstance(row, dict):
            row = row.get("prompt", row.get("messages", row))
        row = row.tolist() if hasattr(row, "tolist") else row
        rows += row if isinstance(row, list) and row and all(isinstance(part, str) for part in row) else [row]
    if one and rows and all(isinstance(row, dict) for row in rows):
        rows = [rows]  # MLflow makes one conversation a DataFrame with a row for each message
    return rows


def _text_of(row, stop):
    """Return the text that the model goes on with, and its stop strings."""
    if isinstance(row, str):
        return row, stop
    if not isinstance(row, list) or not row or not all(map(_is_message, row)):
        raise ValueError(
            "give a DataFrame with a column 'prompt' or 'messages', a list of str, or one str; a message is "
            '{"role": "user", "content": "..."}, with the role system, user or assistant'
        )
    turns = [ROLES[message["role"]] + message["content"].strip() for message in row]
    return "\n\n".join([*turns, ROLES["assistant"].strip()]), [*stop, NEXT_TURN]


def _is_message(message):
    return (
        isinstance(message, dict) and message.get("role") in ROLES and isinstance(message.get("content"), str)
    )


def _load_pyfunc(path):
    """MLflow's entry point. `path`: the folder of the export. Raises ValueError where it is damaged."""
    check_files(path)
    return LlamaPyfunc(path)
