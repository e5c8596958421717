"""`python -m llama_core.evaluate.tables EVALUATION...` prints the paper's tables with our models in them.

EVALUATION is the folder (path or URL) of an evaluate step, or NAME=FOLDER; a model is named after its recipe
otherwise. Several evaluations of one training are its points in Figure 2, and the last is in the tables. The
exit code is 0, or 2 for an error that a user can mend.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from llama_core import html
from llama_core.errors import Arguments, InputError, LlamaError
from llama_core.evaluate.tables import figures
from llama_core.evaluate.tables.fill import grids
from llama_core.evaluate.tables.formats import STYLE, in_html, latex, markdown
from llama_core.evaluate.tables.ours import Ours, read
from llama_core.output import until_unread
from llama_core.url import redact_logs

FAILED = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables, or write them to a file, and return the exit code."""
    redact_logs()
    try:
        _make(arguments)
    except LlamaError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return FAILED
    return 0


def _make(arguments: Sequence[str] | None) -> None:
    parser = Arguments(prog="python -m llama_core.evaluate.tables", description=__doc__.split("\n")[0])
    parser.add_argument("evaluations", nargs="+", metavar="EVALUATION", help="a folder, or NAME=FOLDER")
    parser.add_argument("--format", choices=("markdown", "html", "latex"), default="markdown")
    parser.add_argument("--out", metavar="FILE", help="write the tables there")
    parser.add_argument("--figures", metavar="FOLDER", help="write Figures 1 and 2 there, as SVG")
    args = parser.parse_args(arguments)
    models = read(args.evaluations)
    text = {"markdown": _markdown, "html": _html, "latex": _latex}[args.format](models)
    if not args.out:
        sys.stdout.write(text)
    try:
        if args.out:
            Path(args.out).write_text(text, encoding="utf-8")
        if args.figures:
            _write_figures(models, Path(args.figures))
    except OSError as error:
        raise InputError(f"{error.filename or args.out} cannot be written: {error.strerror}") from None


def _markdown(models: Sequence[Ours]) -> str:
    return f"# The paper's tables\n\n{markdown(grids(models))}\n"


def _html(models: Sequence[Ours]) -> str:
    drawn = [(figures.loss(models), figures.LOSS), (figures.scores(models), figures.SCORES)]
    parts = [*map(in_html, grids(models))]
    parts += [
        html.Html(f"<figure>{svg}<figcaption class=notes>{html.escape(said)}</figcaption></figure>")
        for svg, said in drawn
        if svg
    ]
    title = "The paper's tables"
    return html.page(title, f"<h1>{title}</h1>{''.join(parts)}", STYLE)


def _latex(models: Sequence[Ours]) -> str:
    return latex(grids(models))


def _write_figures(models: Sequence[Ours], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, svg in (("figure-1.svg", figures.loss(models)), ("figure-2.svg", figures.scores(models))):
        if svg:
            (folder / name).write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(until_unread(main))
