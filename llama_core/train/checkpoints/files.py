"""The two files of a rank, written and read: its data, and the table of their digests.

A table is 16 bytes, a mark and the number of digests, and then one sha256 of each piece. The layout says how
many there are and where each piece lies, so nothing in a file leads anywhere.
"""

import hashlib
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from llama_core.artifact import Shard
from llama_core.errors import DamagedError
from llama_core.objects import Object
from llama_core.parse import damaged, shown
from llama_core.step import OpenShard
from llama_core.store import Store
from llama_core.train.checkpoints.layout import DESCRIBED, DTYPES, Box, Layout, parse

DESCRIPTION = "layout.json"
MARK = b"llamackp"
HEADER = struct.Struct("<8sQ")
DIGEST = 32
READERS = 8  # threads of a process that fetch and check pieces
REQUEST = 8 << 20  # bytes of the pieces that lie side by side and are fetched at once


def raw_bytes(tensor: Tensor) -> memoryview:
    """Return the bytes of a tensor's elements, in order."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data


def data_of(rank: int) -> str:
    """Return the name of the file of a rank's data."""
    return f"{rank:05d}.data"


def table_of(rank: int) -> str:
    """Return the name of the file of a rank's table."""
    return f"{rank:05d}.table"


def write(
    shard: OpenShard, layout: Layout, rank: int, part_of: Callable[[str, str], Iterable[Tensor]]
) -> None:
    """Publish a rank's files into a shard, unless other ranks write all that it has. Raises StoreError.

    `part_of` returns the rank's part of a kind of a parameter: its rows, in as many tensors as it likes.
    """
    parts = layout.parts(rank)
    if not parts.pieces:
        return
    digests: list[bytes] = []
    with shard.publish(f"{shard.name}/{data_of(rank)}") as file:
        for kind in layout.kinds:
            for name, part in parts.items():
                size = part.rows * layout.parameters[name].row_bytes(part.box)
                piece, room = hashlib.sha256(), size
                for tensor in part_of(kind, name):
                    data = raw_bytes(tensor)
                    file.write(data)
                    while len(data):
                        piece.update(data[:room])
                        data, room = data[room:], room - len(data[:room])
                        if not room:
                            digests.append(piece.digest())
                            piece, room = hashlib.sha256(), size
                if room < size:
                    digests.append(piece.digest())
    assert len(digests) == parts.pieces * len(layout.kinds)
    table = HEADER.pack(MARK, len(digests)) + b"".join(digests)
    shard.publish_bytes(f"{shard.name}/{table_of(rank)}", table)


@dataclass(frozen=True)
class Piece:
    """A piece of a file that is to be read, and where its rows go."""

    rank: int
    number: int
    """The number of its digest in the table."""
    start: int
    """The place of its first byte in the file."""
    name: str
    """What the message calls it."""
    box: Box
    dtype: torch.dtype
    size: int
    """The number of its bytes."""
    into: Callable[[Tensor], None]
    """Takes the piece, which is checked."""


class Reader:
    """Reads parts of the tensors of a checkpoint, and checks each piece. Raises DamagedError.

    It reads the tables of those ranks alone that have what is asked for.
    """

    def __init__(self, folder: Store, shard: Shard, layout: Layout | None = None):
        """`layout`: what `read_layout` returns, where it is known already."""
        self._folder, self._shard = folder, shard
        self.layout = layout or read_layout(folder, shard)
        self._objects = _by_file(folder, shard)
        self._tables: dict[int, memoryview] = {}

    def check(self, kind: str, name: str, shape: tuple[int, ...]) -> None:
        """Raise DamagedError where the checkpoint has no such tensor."""
        parameter = self.layout.parameters.get(name)
        if parameter is None or parameter.shape != shape or kind not in self.layout.kinds:
            raise damaged(self._what, f"it has no {kind} of {shown(name)} of shape {list(shape)}")

    def pieces(self, kind: str, name: str, need: Box, into: Callable[[Box, Tensor], None]) -> Iterator[Piece]:
        """Yield the pieces that hold a part of a tensor that is there (see `check`).

        `into` takes the box and the values of each.
        """
        parameter, of_kind = self.layout.parameters[name], self.layout.kinds.index(kind)
        for rank in self.layout.holders(name, need):
            self._entry(table_of(rank))  # before anything is computed of a rank that there is not
            parts = self.layout.parts(rank)
            part = parts[name]
            first_row, end = part.box[0]
            row = parameter.row_bytes(part.box)
            at, stop = max(need[0][0], first_row) - first_row, min(need[0][1], end) - first_row
            for n in range(at // part.rows, (stop - 1) // part.rows + 1):
                rows = first_row + n * part.rows, min(end, first_row + (n + 1) * part.rows)
                box = (rows, *part.box[1:])
                yield Piece(
                    rank,
                    parts.pieces * of_kind + part.first + n,
                    parts.bytes * of_kind + part.start + n * part.rows * row,
                    f"{kind}.{name}",
                    box,
                    DTYPES[parameter.dtype],
                    (rows[1] - rows[0]) * row,
                    lambda values, box=box: into(box, values),  # type: ignore[misc]
                )

    def read(self, pieces: Iterable[Piece]) -> None:
        """Read pieces, and give each to where it goes; several at a time."""
        requests = requests_of(pieces)
        with ThreadPoolExecutor(READERS) as pool:
            # The lists raise what a thread has raised.
            list(pool.map(self._table, {of[0].rank for of in requests} - self._tables.keys()))
            list(pool.map(self._fetch, requests))

    def _fetch(self, pieces: list[Piece]) -> None:
        rank, start = pieces[0].rank, pieces[0].start
        entry, digests = self._entry(data_of(rank)), self._table(rank)
        for _ in range(2):  # what has come broken on its way is no damage: a checkpoint would be given up
            data = memoryview(self._folder.read_range(entry.name, start, pieces[-1].start + pieces[-1].size))
            views = [data[piece.start - start :][: piece.size] for piece in pieces]
            broken = [p for p, view in zip(pieces, views, strict=True) if not _is_whole(p, view, digests)]
            if not broken:
                break
        if broken:
            where = ",".join(str(first) for first, _ in broken[0].box)
            name, url = shown(broken[0].name), self._folder.url_of(entry.name)
            raise DamagedError(f"{name}@{where} of {url} is damaged")
        for piece, view in zip(pieces, views, strict=True):
            values = torch.empty(tuple(b - a for a, b in piece.box), dtype=piece.dtype)
            raw_bytes(values)[:] = view
            piece.into(values)

    def _table(self, rank: int) -> memoryview:
        """Return the digests of a rank's pieces, one after the other."""
        if rank not in self._tables:
            layout = self.layout
            parts, kinds = layout.parts(rank), len(layout.kinds)
            data, entry = self._entry(data_of(rank)), self._entry(table_of(rank))
            n = parts.pieces * kinds
            if data.size != parts.bytes * kinds or entry.size != HEADER.size + n * DIGEST:
                url = self._folder.url_of(entry.name)
                raise damaged(
                    url, f"it and its data are not those of {n:,} pieces, {parts.bytes * kinds:,} bytes"
                )
            table = self._folder.read(entry.name, expect=entry)
            if HEADER.unpack_from(table) != (MARK, n):
                raise damaged(self._folder.url_of(entry.name), "it is no table of digests")
            self._tables[rank] = memoryview(table)[HEADER.size :]
        return self._tables[rank]

    def _entry(self, file: str) -> Object:
        if file not in self._objects:
            raise damaged(self._what, f"it has no {file}")
        return self._objects[file]

    @property
    def _what(self) -> str:
        return f"{self._folder.url}, {self._shard.name},"


def _is_whole(piece: Piece, data: memoryview, digests: memoryview) -> bool:
    """Tell whether bytes are those of a piece, by its digest in the table."""
    expected = digests[piece.number * DIGEST :][:DIGEST]
    return len(data) == piece.size and hashlib.sha256(data).digest() == expected


def read_layout(folder: Store, shard: Shard) -> Layout:
    """Return how a checkpoint is laid out. Raises DamagedError, also for one of an earlier format."""
    what = f"{folder.url}, {shard.name},"
    if not any(o.name.endswith(f"/{DESCRIPTION}") for o in shard.objects):
        old = any(o.name.endswith(".distcp") for o in shard.objects)
        raise DamagedError(
            f"{what} was written by an earlier version of this project, whose format is not read any more: "
            "train that step again, or use that version"
            if old
            else f"{what} has no {DESCRIPTION}: it is no checkpoint"
        )
    entry = shard.object(f"/{DESCRIPTION}")
    url = folder.url_of(entry.name)
    return parse(folder.read_as(DESCRIBED, entry.name, expect=entry), url)


def requests_of(pieces: Iterable[Piece]) -> list[list[Piece]]:
    """Return pieces in the order of their places, those that are fetched at once together."""
    requests: list[list[Piece]] = []
    end = size = 0
    for piece in sorted(pieces, key=lambda p: (p.rank, p.start)):
        beside = requests and piece.start == end and piece.rank == requests[-1][-1].rank
        if beside and size + piece.size <= REQUEST:
            requests[-1].append(piece)
        else:
            requests.append([piece])
            size = 0
        end, size = piece.start + piece.size, size + piece.size
    return requests


def paste(target: Tensor, need: Box, box: Box, values: Tensor) -> None:
    """Copy what two parts of a tensor have in common: from `values`, which is `box`, to `target`, `need`."""
    for dim, ((start, stop), (first, last)) in enumerate(zip(box, need)):
        low, high = max(start, first), min(stop, last)
        target = target.narrow(dim, low - first, high - low)
        values = values.narrow(dim, low - start, high - low)
    target.copy_(values)


def _by_file(folder: Store, shard: Shard) -> Mapping[str, Object]:
    found = {o.name.rpartition("/")[2]: o for o in shard.objects}
    if len(found) < len(shard.objects):
        raise damaged(f"{folder.url}, {shard.name},", "two of its objects have the same name")
    return found
