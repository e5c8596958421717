"""A table as it is shown, whatever the format: cells, which of them are bold, and the notes below."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """What stands in one place of a table."""

    text: str
    bold: bool = False
    notes: tuple[int, ...] = ()
    """The numbers of its notes, from 1."""


@dataclass(frozen=True)
class Heading:
    """What stands above a column."""

    text: str
    group: str = ""
    """What stands above it and those of its neighbours that have the same."""


@dataclass(frozen=True)
class Grid:
    """A table. All text in it is plain."""

    number: int
    title: str
    headings: tuple[Heading, ...]
    rows: tuple[tuple[Cell, ...], ...]
    rules: frozenset[int] = frozenset()
    """The rows above which there is a line."""
    labels: int = 1
    """The number of columns, from the left, that say what a row is."""
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    """What is said below the table of all of it."""
    has_ours: bool = False
    """True if one of our values is in it."""

    @property
    def name(self) -> str:
        """What the paper calls it."""
        return f"Table {self.number}"
