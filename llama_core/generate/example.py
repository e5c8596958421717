"""The published example: `torchrun --nproc_per_node N -m llama_core.generate.example --ckpt_dir F/7B ...`.

It takes the arguments of the program that LLaMA was released with, and prints what that prints: each prompt
with its continuation. Any number of processes can share the model, whatever number of files it was written
to; `--ckpt_dir` is a folder of the released format, or any model that `python -m llama_core.generate` loads.
As there, a text is as long as is asked for: it ends at the end token. The exit code is 0, or 2 for an error
that a user can mend.
"""

import argparse
import json
import logging
import os
import re
import sys
import time
from collections.abc import Sequence
from typing import Any, NoReturn

from llama_core.errors import Arguments, InputError, LlamaError
from llama_core.exit import leave
from llama_core.generate.sampling import check_sampling
from llama_core.resolve import resolve

FAILED, INTERRUPTED = 2, 130
MAX_GEN_LEN = 256
SEPARATOR = "\n==================================\n"
OPTION = re.compile(r"--?([A-Za-z]\w[\w-]*)(=.*)?", re.DOTALL)
# As in the released program: three texts to go on with, and two tasks that are shown by examples.
PROMPTS = (
    "I believe the meaning of life is",
    "In short, the law of gravitation says that ",
    "Growing tomatoes on a balcony takes ten steps:\n",
    """Review: "I would read it again tomorrow."
Opinion: good
###
Review: "The plot has more holes than a sieve."
Opinion: bad
###
Review: "It has two hundred pages."
Opinion: neutral
###
Review: "Nobody in my family could put it down."
Opinion:""",
    """From English to German:

bread => Brot

forest => Wald

winter coat => Wintermantel

evening =>""",
)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the arguments. As the released program does, it takes `--a_b C`, `--a-b=C` and places alike."""
    parser = Arguments(prog="example.py", description=__doc__.split("\n")[0], allow_abbrev=False)
    order = parser.add_argument_group("in this order, or by name")
    taken: tuple[tuple[str, type, Any, str], ...] = (
        ("ckpt-dir", str, None, "the folder or URL of the model"),
        ("tokenizer-path", str, None, "its tokenizer.model; left out where it is beside or above the model"),
        ("temperature", float, 0.8, "0: always the most likely token"),
        ("top-p", float, 0.95, "draw from the tokens that hold this share"),
        ("max-seq-len", int, 512, "the longest text, with its prompt, in tokens"),
        ("max-batch-size", int, 32, "texts that are continued at once"),
    )
    for name, kind, default, said in taken:
        order.add_argument(f"--{name}", type=kind, default=default, help=f"{said} (default: {default})")
    parser.add_argument("places", nargs="*", help=argparse.SUPPRESS)
    more = parser.add_argument_group("what the released program does not have")
    more.add_argument("--prompt", action="append", default=[], help="continue this; may be given again")
    more.add_argument("--prompts", metavar="FILE", help="continue each line, or each string of a JSON list")
    more.add_argument("--max-gen-len", type=int, default=MAX_GEN_LEN, help=f"new tokens ({MAX_GEN_LEN})")
    more.add_argument("--seed", type=int, default=1)
    more.add_argument("--dtype", choices=("auto", "float32", "float16", "bfloat16"), default="auto")
    more.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    found = parser.parse_intermixed_args([_named(argument) for argument in arguments])
    given = {_name(argument) for argument in arguments}
    names = [name.replace("-", "_") for name, *_ in taken if name not in given]
    if len(found.places) > len(names):
        raise InputError(f"{found.places[len(names)]!r} is no argument (see --help)")
    kinds = {name.replace("-", "_"): kind for name, kind, *_ in taken}
    for name, value in zip(names, found.places):
        try:
            setattr(found, name, kinds[name](value))
        except ValueError:
            raise InputError(f"--{name} is {value!r}, which is no {kinds[name].__name__}") from None
    if found.ckpt_dir is None:
        raise InputError("--ckpt_dir is missing (see --help)")
    check_sampling(found.max_gen_len, found.temperature, found.top_p, found.seed)
    for name in ("max_seq_len", "max_batch_size"):
        if getattr(found, name) < 1:
            raise InputError(f"--{name} is {getattr(found, name)}: give 1 or more")
    return found


def _name(argument: str) -> str | None:
    match = OPTION.fullmatch(argument)
    return match[1].replace("_", "-") if match else None


def _named(argument: str) -> str:
    """Return an option's name with dashes, as argparse has it here, and another argument as it is."""
    match = OPTION.fullmatch(argument)
    return f"--{match[1].replace('_', '-')}{match[2] or ''}" if match else argument


def read_prompts(args: argparse.Namespace) -> list[str]:
    """Return the prompts that are asked for, or those of this program. Raises InputError."""
    found = list(args.prompt)
    if args.prompts is not None:
        try:
            with open(args.prompts, encoding="utf-8") as file:
                text = file.read()
            listed = json.loads(text) if args.prompts.endswith(".json") else text.splitlines()
        except (OSError, ValueError) as error:
            raise InputError(f"the prompts in {args.prompts} cannot be read: {error}") from None
        if not isinstance(listed, list) or not all(isinstance(prompt, str) for prompt in listed):
            raise InputError(f"{args.prompts} is no list of strings")
        found += listed
    elif not found:
        return list(PROMPTS)
    for prompt in found:
        try:
            prompt.encode()
        except UnicodeEncodeError:
            raise InputError(f"the prompt {prompt[:40]!a} is not UTF-8") from None
    return found


def main(arguments: Sequence[str]) -> None:
    """Run the program. Raises LlamaError."""
    args = parse(arguments)
    prompts = read_prompts(args)

    import torch

    from llama_core.generate.load import load
    from llama_core.generate.tokens import Request, generate
    from llama_core.train import distributed

    device = "cuda" if torch.cuda.is_available() else "cpu"
    world = distributed.join(args.device if args.device != "auto" else device)
    if world.rank:
        sys.stdout = None  # type: ignore[assignment]
        logging.disable(logging.WARNING)  # the first process says the same
    start = time.time()
    print("Loading", flush=True)
    dtype = None if args.dtype == "auto" else getattr(torch, args.dtype)
    model, tokenizer, _ = load(
        world.agree(lambda: resolve(args.ckpt_dir)), world=world, dtype=dtype, tokenizer=args.tokenizer_path
    )
    print(f"Loaded in {time.time() - start:.2f} seconds", flush=True)
    encoded = [tokenizer.encode(prompt, bos=True) for prompt in prompts]
    for prompt, ids in zip(prompts, encoded, strict=True):
        if len(ids) >= args.max_seq_len:
            raise InputError(
                f"the prompt {prompt[:40]!r} has {len(ids)} tokens: give a --max_seq_len above that"
            )
    requests = [
        Request(
            ids,
            min(args.max_gen_len, args.max_seq_len - len(ids)),
            args.temperature,
            args.top_p,
            (args.seed,),
        )
        for ids in encoded
    ]
    new: list[list[int]] = [[] for _ in prompts]
    eos = tokenizer.eos_id
    for token in generate(
        model, requests, ends=lambda _, __, i: i == eos, rows=args.max_batch_size, world=world
    ):
        new[token.request] += [token.id] if token.id != eos else []
    for ids, more in zip(encoded, new, strict=True):
        print(tokenizer.decode(ids + more))
        print(SEPARATOR, flush=True)
    distributed.close_group()


def run(arguments: Sequence[str]) -> NoReturn:
    """Run the program and end with its exit code. Errors that a user can mend are one line."""
    code = 0
    try:
        main(arguments)
    except LlamaError as error:
        if os.environ.get("RANK", "0") == "0":  # it is the same in every process
            print(f"error: {error}", file=sys.stderr, flush=True)
        code = FAILED
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        leave(0, flush=False)  # nobody reads any more, as after `| head -1`
    leave(code)


if __name__ == "__main__":
    run(sys.argv[1:])
