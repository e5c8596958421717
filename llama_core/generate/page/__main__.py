"""`python -m llama_core.generate.page [MODEL] [MODEL]`: a page in the browser, to talk to a base model.

MODEL is a name of MLflow's registry, such as models:/llama-tiny@candidate, or a path or URL that
`python -m llama_core.generate` takes. Two are shown side by side. Without any, the page offers what is in
the registry here, and begins with the candidate, or else the champion, of what was registered last.
The page is on loopback, and nobody else can reach it, unless `--host` says otherwise. It ends with Ctrl-C.
The exit code is 0, or 2 for an error that a user can mend.
"""

import os
import sys
from typing import NoReturn

from llama_core.errors import Arguments, InputError, LlamaError
from llama_core.exit import leave
from llama_core.output import forgive
from llama_core.url import redact_logs

FAILED = 2
PORT = 7860


def main(argv: list[str] | None = None) -> int:
    """Serve the page until a signal ends it. Return the exit code."""
    parser = Arguments(
        prog="python -m llama_core.generate.page", description=__doc__.split("\n")[0], allow_abbrev=False
    )
    parser.add_argument("model", nargs="*", help="what to talk to; the first two are shown side by side")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="the address to listen at; who reaches it may use the models",
    )
    parser.add_argument("--port", type=int, default=PORT, help=f"0 takes a free one ({PORT})")
    parser.add_argument(
        "--name", action="append", default=[], metavar="HOST", help="a host that it is called by"
    )
    args = parser.parse_args(argv)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # Gradio reads it when it is imported
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    try:
        import gradio  # noqa: F401
    except ModuleNotFoundError as error:
        raise InputError(
            f"the page needs Gradio ({error.name} is not installed): pip install 'llama-pretrain[ui]'"
        ) from None
    import torch

    from llama_core.generate.page.blocks import look, page
    from llama_core.generate.page.models import Models
    from llama_core.generate.page.server import guarded, is_loopback, listen, serve
    from llama_core.generate.page.settings import Settings
    from llama_core.own_origin import LOOPBACK
    from llama_core.resolve import offered

    models = Models(args.model or offered(), "cuda" if torch.cuda.is_available() else "cpu")
    chosen = models.names[: min(len(args.model), 2) or 1]
    with listen(args.host, args.port) as listener:
        for name in chosen:
            models.find(name)
        start = Settings(model=chosen[0], other=chosen[1] if len(chosen) > 1 else "")
        host = f"[{args.host}]" if ":" in args.host else args.host
        app = guarded(page(models, start), look(), [*LOOPBACK, host, *args.name])
        called = args.name[0] if args.name and not is_loopback(args.host) else host
        print(f"The page is at http://{called}:{listener.getsockname()[1]}", flush=True)
        if not is_loopback(args.host):
            print("Whoever reaches this address can use the models: it asks for no login.", flush=True)
        serve(app, listener)
    return 0


def _run() -> NoReturn:
    forgive()
    redact_logs()
    try:
        code = main()
    except LlamaError as error:
        print(f"error: {error}", file=sys.stderr)
        code = FAILED
    except KeyboardInterrupt:
        code = 0
    leave(code)  # a text that is being made is nobody's any more


if __name__ == "__main__":
    _run()
