"""The file of a recipe: how it is found and read, and merged with what it extends and with overrides."""

import os
import re
import stat
import time
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import fsspec
from pydantic import ValidationError

from llama_core.errors import RecipeError, StoreError
from llama_core.file_system import Tries, brief, file_system, hint_of
from llama_core.recipe import Recipe
from llama_core.recipes.explain import explain
from llama_core.recipes.fields import fit, inside, read_as
from llama_core.recipes.plain import NULL, Plain, Refused, parse
from llama_core.url import normal_url, refuse_secrets

RECIPES = resources.files("llama_core") / "recipes"
PRESETS = ("micro", "tiny", "7b", "13b", "33b", "65b", "llama-v1", "llama-v1-trial")
MAX_BYTES = 1 << 20  # of a recipe; the largest of ours has 16,000
MAX_BASES = 20  # recipes that extend one another
WEB = ("http://", "https://")
PATIENCE = 10  # seconds for an answer of a web server


def load_recipe(name: str, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Return the recipe `name` (a preset, or the path or URL of a YAML file), with some values replaced.

    `overrides` are values by dotted key, such as {"train.lr": 1e-3, "run.workers": 4}. A string is what
    would stand in a file; where a field holds text, it is all of it but quotes around it. A mapping is merged
    as that of a file is. Raises RecipeError.
    """
    values = _read(name)
    for key, value in sorted((overrides or {}).items(), key=_from_outside):
        _override(values, key, value)
    try:
        fitted = fit(values, Recipe)
        refuse_secrets(fitted)  # a field that should hold no URL may hold one
        return Recipe.model_validate(fitted)
    except ValidationError as error:
        raise RecipeError(f"recipe {name}: " + explain(list(error.errors()))) from None
    except ValueError as error:
        raise RecipeError(f"recipe {name}: {error}") from None


def _read(name: str, seen: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the values of a recipe, those of the recipes that it extends included."""
    if name in seen:
        raise RecipeError(f"recipe {name} extends itself: {' -> '.join((*seen, name))}")
    if len(seen) > MAX_BASES:
        raise RecipeError(f"recipe {seen[0]} extends more than {MAX_BASES} others, one after another")
    data = _bytes(name)
    if len(data) > MAX_BYTES:
        raise RecipeError(f"recipe {name} has more than {MAX_BYTES:,} bytes: is it the right file?")
    try:
        values = parse(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise RecipeError(f"recipe {name} is not YAML: it is not text in UTF-8") from None
    except Refused as error:
        raise RecipeError(f"recipe {name} is not YAML: {error}") from None
    if not isinstance(values, dict):
        raise RecipeError(f"recipe {name} must be a mapping of sections")
    base = values.pop("extends", None)
    if base is None or (isinstance(base, Plain) and base in NULL):
        return values
    if not isinstance(base, str):
        raise RecipeError(f"recipe {name}: extends must be a name or a path (given: {base!r})")
    beside = _beside(name, str(base)) if _is_file(name) else str(base)
    return _merge(_read(beside, (*seen, name)), values)


def _is_file(name: str) -> bool:
    return name.strip().endswith((".yaml", ".yml")) or "://" in name


def _beside(name: str, base: str) -> str:
    """Return the name of a recipe that `name` extends: a path is relative to the folder of the latter."""
    if not _is_file(base):
        return base
    try:
        base = normal_url(base)
    except ValueError as error:
        raise RecipeError(f"recipe {name}: extends: {error}") from None
    if "://" in base or base.startswith(("/", "~")):
        return base
    folder, slash, _ = name.rpartition("/")
    return f"{folder}{slash}{base.removeprefix('./')}"


def _bytes(name: str) -> bytes:
    """Return the bytes of a recipe: all, or as many as show that it is too long."""
    if not _is_file(name):
        preset = RECIPES / f"{name}.yaml"
        if not re.fullmatch(r"[\w.-]+", name) or not preset.is_file():
            raise RecipeError(
                f"there is no recipe {name!r}: take one of {', '.join(PRESETS)}, or the path of a .yaml file"
            )
        return preset.read_bytes()
    try:
        url = normal_url(name)
        if "://" in url and not url.startswith("file://"):
            return _bytes_at(url)
        path = Path(url.removeprefix("file://")).expanduser()
        if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe could be waited for, and a device never ends
            raise Refused("it is a folder, a pipe or a device, not a file")
        with path.open("rb") as file:
            return _first_bytes(file)
    except FileNotFoundError:
        raise RecipeError(f"there is no recipe at {name}") from None
    except (OSError, ValueError, RuntimeError, StoreError) as error:
        says = str(error) if isinstance(error, ValueError | StoreError) else brief(error)
        raise RecipeError(f"cannot read the recipe {name}: {hint_of(error) or says}") from None


def _first_bytes(file: Any) -> bytes:
    data = b""
    while len(data) <= MAX_BYTES and (piece := file.read(MAX_BYTES + 1 - len(data))):  # a stream gives less
        data += piece
    return data


def _bytes_at(url: str) -> bytes:
    """Return the first bytes of what is at a URL. Raises FileNotFoundError, and StoreError for all else."""
    tries = Tries(share=0.25)  # a person waits
    while True:
        try:
            return _ask(url)
        except StoreError:
            wait = tries.wait() if url.startswith(WEB) else None
            if wait is None:
                raise
        time.sleep(wait)


def _ask(url: str) -> bytes:
    """Ask once for the first bytes of what is at a URL. Raises FileNotFoundError and StoreError."""
    options: dict[str, Any] = {}
    if url.startswith(WEB):
        from aiohttp import ClientTimeout

        # Without what asks again by itself, for a minute.
        options = {"client_kwargs": {"timeout": ClientTimeout(total=PATIENCE), "middlewares": ()}}
    try:
        if "::" in url:
            with fsspec.open(url, "rb") as file:
                return _first_bytes(file)
        fs = file_system(url, **options)
        patience = getattr(fs, "retries", None)
        if patience:
            fs.retries = 2
        try:
            with fs.open(fs._strip_protocol(url), "rb") as file:
                return _first_bytes(file)
        finally:
            if patience:
                fs.retries = patience
    except StoreError:
        raise
    except Exception as error:  # each file system has errors of its own
        if isinstance(error, FileNotFoundError) and not hint_of(error):
            raise FileNotFoundError(url) from None
        raise StoreError(hint_of(error) or brief(error)) from None


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return the values of `base` with those of `over` in their place, key by key.

    `mixture` is replaced as a whole, and `sources` too, unless all that `over` names are changes of what
    `base` has: sources without a `kind`. `holdout` and `choices` are about the sources: those of `base` are
    left out where `over` names sources of its own.
    """
    others = "sources" in over and not _are_changes(base.get("sources"), over["sources"])
    merged = {k: v for k, v in base.items() if not (k in ("holdout", "choices") and others)}
    for key, value in over.items():
        deep = isinstance(value, dict) and isinstance(base.get(key), dict)
        whole = key == "mixture" or (key == "sources" and others)
        merged[key] = _merge(base[key], value) if deep and not whole else value
    return merged


def _are_changes(base: Any, over: Any) -> bool:
    """Tell whether sources are changes of those of `base`, and no sources of their own."""
    if not (isinstance(base, dict) and isinstance(over, dict) and over):
        return False
    return all(name in base and isinstance(some, dict) and "kind" not in some for name, some in over.items())


def _from_outside(override: tuple[str, Any]) -> tuple[int, bool]:
    """Order overrides so that their own order does not matter: a section comes before a value in it.

    The sources come before what is about them, and the kind of one before its other settings.
    """
    return override[0].count("."), not override[0].endswith((".sources", ".kind"))


def _override(values: dict[str, Any], dotted: str, value: Any) -> None:
    """Put a value in its place, as a file that extends the recipe would."""
    *path, last = dotted.split(".")
    if not all((*path, last)):
        raise RecipeError(f"override {dotted!r} is no key: write it as section.key")
    kind: Any = Recipe
    for key in path:
        kind = inside(kind, values, key)
        values = values.setdefault(key, {})
        if not isinstance(values, dict):
            raise RecipeError(f"override {dotted}: {key} is a value, not a section")
    try:
        # A copy, since a later override may change it.
        wanted = inside(kind, values, last)
        value = read_as(str(value), wanted) if isinstance(value, str) else fit(value, None)
    except Refused as error:
        what = "it is not YAML: " if isinstance(value, str) else ""  # not repeated: it may hold a secret
        raise RecipeError(f"override {dotted}: {what}{error}") from None
    merged = _merge(values, {last: value})
    values.clear()
    values.update(merged)
