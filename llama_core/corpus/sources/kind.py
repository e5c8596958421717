"""What a kind of source offers: the module of `sources/` that has its name is a `SourceModule`."""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

import pyarrow as pa

from llama_core.corpus.document import Outcome
from llama_core.corpus.sources.raw import Raw

S = TypeVar("S", contravariant=True)  # the section of the recipe that has this kind


@runtime_checkable
class SourceModule(Protocol[S]):
    """Finds the raw files of a source, and reads one of them."""

    def raw_files(self, source: S, key: str) -> list[Raw]:
        """Return the raw files of a source, each of another name. No text is downloaded for it.

        `key` is the source's place in the recipe, for errors. Raises InputError where there is none, or one
        cannot be read.
        """
        ...

    def read(self, source_name: str, source: S, raw: Raw) -> Iterator[Outcome]:
        """Yield an outcome for the raw records of a raw file, which is read as a stream.

        Raises InputError where the raw file has changed since `raw_files` returned it, and StoreError where
        it cannot be read on.
        """
        ...


@runtime_checkable
class CollectingModule(Protocol[S]):
    """Reads its raw files twice: what the first reading collects of all of them serves the second.

    Raw files belong to groups, such as languages; what is collected of one group is not seen by another.
    """

    COLLECTED_SCHEMA: pa.Schema
    """The columns, all of strings, of what is collected."""

    def raw_files(self, source: S, key: str) -> list[Raw]:
        """Return the raw files of a source (see `SourceModule`)."""
        ...

    def collect(self, source: S, raw: Raw) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield rows of a raw file, each with the group that the file belongs to.

        Raises InputError and StoreError as `read` does. What is wrong with a record, `read` says.
        """
        ...

    def gathered(self, rows: Iterable[tuple[str, ...]]) -> Any:
        """Return what `read` needs out of the rows of all files of a group."""
        ...

    def read(
        self, source_name: str, source: S, raw: Raw, collected: Callable[[str], Any] | None = None
    ) -> Iterator[Outcome]:
        """Yield the outcomes of a raw file (see `SourceModule`).

        `collected` returns what was gathered of a group; without it, nothing was.
        """
        ...


if TYPE_CHECKING:  # mypy compares each module with the protocol; some import libraries that may be missing
    from llama_core.corpus import recipe
    from llama_core.corpus.sources import (
        arxiv,
        books,
        c4,
        commoncrawl,
        dataset,
        files,
        github,
        packages,
        stackexchange,
        wikipedia,
    )

    _arxiv: SourceModule[recipe.Arxiv] = arxiv
    _books: SourceModule[recipe.Books] = books
    _c4: SourceModule[recipe.C4] = c4
    _commoncrawl: SourceModule[recipe.CommonCrawl] = commoncrawl
    _dataset: SourceModule[recipe.Dataset] = dataset
    _files: SourceModule[recipe.Files] = files
    _github: SourceModule[recipe.GitHub] = github
    _packages: SourceModule[recipe.Packages] = packages
    _stackexchange: SourceModule[recipe.StackExchange] = stackexchange
    _wikipedia: SourceModule[recipe.Wikipedia] = wikipedia
    _collecting: CollectingModule[recipe.Wikipedia] = wikipedia
