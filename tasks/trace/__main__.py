"""Leads from a model back to what it was made from: checkpoint, tokens, corpus, sources, documents.

    python -m tasks.trace models:/llama-tiny@candidate                   every step behind it, as a tree
    python -m tasks.trace models:/llama-tiny/1 --snippet "a few words"   the documents that hold them

MODEL is a name of MLflow's registry or the URL of any step. Each step is shown with its URL, its digest, its
counts and the fields of the recipe that it depends on. Every digest is compared with the one that the next
step was made from: the exit code is 1 where one differs, where a step is gone or where no document holds the
snippet, and 2 for an error that a user can mend.
"""

import argparse
import sys

from llama_core.corpus.trace import Hit, Trace, decontaminations, find_text, left_out, trace
from llama_core.errors import Arguments, DamagedError, InputError, LlamaError
from llama_core.output import until_unread
from llama_core.url import redact
from tasks.registry.names import Registered, find
from tasks.trace import told
from tasks.trace.chain import Chain, chain, first, root_of, step_at, unsound

Found = list[tuple[Hit, list[str], Trace]]


def main(argv: list[str] | None = None) -> int:
    """Print what was asked for, and return the exit code."""
    parser = Arguments(prog="python -m tasks.trace", description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("model", help="models:/NAME@ALIAS, models:/NAME/VERSION, or the URL of a step")
    parser.add_argument("--snippet", metavar="TEXT", help="find the documents of the corpus that hold it")
    parser.add_argument("--source", help="look for the snippet in this source alone")
    parser.add_argument("--limit", type=int, default=5, help="documents that are shown at most (default: 5)")
    parser.add_argument("--files", type=int, default=3, help="raw files listed of a source (default: 3)")
    parser.add_argument("--json", action="store_true", help="print all of it as JSON")
    try:
        return _run(parser.parse_args(argv))
    except LlamaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _run(options: argparse.Namespace) -> int:
    if options.limit < 1 or options.files < 0:
        raise InputError("--limit is at least 1, and --files at least 0")
    registered = find(options.model) if options.model.lower().startswith("models:") else None
    found = chain(registered.export if registered else step_at(options.model))
    if registered:
        _check_tags(registered, found)
    hits = None if options.snippet is None else _documents(found, options)
    if options.json:
        print(told.as_json(found, registered, options.files, hits))
    else:
        if hits is None:
            print("\n".join(told.tree(found, registered, options.files)))
        else:
            print("\n".join(told.snippet(hits)), end="")
            corpus = first(found, "corpus")
            more = ", maybe more" if len(hits) == options.limit else ""
            print(f"{len(hits):,} documents of {corpus.name if corpus else ''}{more}")
    for sentence in (wrong := unsound(found)):
        print(f"warning: {redact(sentence)}", file=sys.stderr)
    return 1 if wrong or hits == [] else 0


def _check_tags(registered: Registered, found: Chain) -> None:
    """Check that the training is the one that the registry names. Raises DamagedError."""
    train, version = first(found, "train"), registered.version
    told_digest = version.tags.get("llama.digest")
    if train and told_digest and train.digest != told_digest:
        raise DamagedError(
            f"models:/{version.name}/{version.version} was registered with the checkpoint {told_digest}, and "
            f"{train.url} has {train.digest}"
        )


def _documents(found: Chain, options: argparse.Namespace) -> Found:
    """Return the documents that hold the snippet, with what was decided about each. Raises InputError."""
    corpus = first(found, "corpus")
    if corpus is None:
        raise InputError(f"no corpus went into {options.model}, or it is gone: there is no text to look in")
    if not options.snippet:
        raise InputError("--snippet is empty: give a few words of the text")
    store = root_of(corpus)
    hits = find_text(corpus, options.snippet, options.limit, options.source)
    judged = decontaminations(store, corpus) if hits else []
    return [(hit, left_out(hit, judged), trace(store, corpus, hit.id, hit.source)) for hit in hits]


if __name__ == "__main__":
    sys.exit(until_unread(main))
