"""`python -m llama_core.generate URL`: talk to a model. It is a base model: it continues your text.

URL is that of an export step (which the registry points at), of a train step, or of any LLaMA folder in the
format of Hugging Face. With `--prompt TEXT` the program continues that text once; without it, it reads lines
until the input ends. The exit code is 0, or 2 for an error that a user can mend.
"""

import argparse
import sys

from llama_core.errors import LlamaError

FAILED = 2


def main() -> int:
    """Run the program, and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m llama_core.generate", description=__doc__.split("\n")[0])
    parser.add_argument("url", help="an export, or an export or train step: a path or any fsspec URL")
    parser.add_argument("--prompt", help="continue this once, instead of reading lines")
    parser.add_argument("--max-new-tokens", type=int, default=128, metavar="N")
    parser.add_argument("--temperature", type=float, default=0.8, help="0: always the most likely token")
    parser.add_argument("--top-p", type=float, default=0.95, help="draw from the tokens that hold this share")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()

    import torch

    from llama_core.generate.engine import complete
    from llama_core.generate.load import load

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model, tokenizer, seq_len = load(args.url, device)

    def answer(prompt: str, seed: int) -> None:
        sampling = {"temperature": args.temperature, "top_p": args.top_p, "seed": seed}
        texts = complete(model, tokenizer, [prompt], args.max_new_tokens, seq_len, device=device, **sampling)
        print(prompt + texts[0], flush=True)

    if args.prompt is not None:
        answer(args.prompt, args.seed)
        return 0
    print("A base model: it continues your text. End with Ctrl-D.", file=sys.stderr)
    for number, line in enumerate(_lines()):
        answer(line, args.seed + number)
    return 0


def _lines():
    """Yield lines of the standard input, after a prompt if it is a terminal."""
    while True:
        try:
            yield input("\n> " if sys.stdin.isatty() else "")
        except (EOFError, KeyboardInterrupt):
            return


if __name__ == "__main__":
    try:
        code = main()
    except LlamaError as error:
        print(f"error: {error}", file=sys.stderr)
        code = FAILED
    sys.exit(code)
