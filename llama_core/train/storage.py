"""torch's distributed checkpoint (DCP) on our store, without pickle.

    step-00000050/__{rank}_0.distcp         the raw bytes of a process's items, one after the other
    step-00000050/__{rank}_0.digests.json   {item: [offset, length, sha256]} of that file
    step-00000050/metadata.json             {tensor: {dtype, size, chunks: [[offsets, sizes, file]]}}

An item is one process's part of one tensor, named `tensor@offset,offset`. DCP plans which process writes and
reads which items; these two classes only move the bytes. torch's own file format is a pickle, and reading a
pickle from a store runs whatever code somebody has put there.
"""

import hashlib
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from operator import gt
from typing import Any, Literal

import torch
from pydantic import BaseModel, TypeAdapter
from torch.distributed.checkpoint.metadata import (
    BytesStorageMetadata,
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)
from torch.distributed.checkpoint.planner import LoadPlan, LoadPlanner, ReadItem, SavePlan, SavePlanner
from torch.distributed.checkpoint.storage import StorageReader, StorageWriter, WriteResult
from torch.futures import Future

from llama_core.artifact import Shard
from llama_core.errors import DamagedError
from llama_core.objects import FileName, Object, Sha256
from llama_core.parse import MOST_BYTES, MOST_VALUES, Count, Text, damaged, shown
from llama_core.step import OpenShard
from llama_core.store import Store, to_json

METADATA = "metadata.json"
READERS = 8  # threads of a process that fetch and check items
PIECE = 64 << 20  # bytes that each of them reads at a time

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}

ItemTable = dict[Text, tuple[Count, Count, Sha256]]  # item -> offset, length, sha256


class TensorEntry(BaseModel):
    """What the metadata say of a tensor: its type and shape, and its chunks (offsets, sizes, file)."""

    dtype: Literal["float32", "bfloat16"]
    size: list[Count]
    chunks: list[tuple[list[Count], list[Count], FileName]]


ITEMS = TypeAdapter(ItemTable)
TENSORS = TypeAdapter(dict[Text, TensorEntry])


@dataclass(frozen=True)
class Stored:
    """Where an item is stored, and what it is."""

    file: str
    """The name of its file, without the ending."""
    dtype: torch.dtype
    sizes: torch.Size
    """The shape of the item."""


class ShardWriter(StorageWriter):
    """Publishes this process's items into `draft` and, on rank 0, the metadata. It commits nothing."""

    def __init__(self, draft: OpenShard, rank: int):
        self._draft, self._file = draft, f"__{rank}_0"

    def reset(self, checkpoint_id: Any = None) -> None:
        """Do nothing: a writer is made for each checkpoint."""

    def set_up_storage_writer(self, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the shard is open already."""

    def prepare_local_plan(self, plan: SavePlan) -> SavePlan:
        """Return DCP's plan for this process as it is."""
        return plan

    def prepare_global_plan(self, plans: list[SavePlan]) -> list[SavePlan]:
        """Return DCP's plans as they are."""
        return plans

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> Future[list[WriteResult]]:
        """Publish the items of the plan in one file, and their places and digests in another."""
        results, table = [], {}
        with self._draft.publish(f"{self._draft.name}/{self._file}.distcp") as file:
            for item in plan.items:
                tensor = planner.resolve_data(item)
                assert isinstance(tensor, torch.Tensor), f"{item.index.fqn} is no tensor"
                data = raw_bytes(tensor)
                table[_item(item.index)] = (file.tell(), data.nbytes, hashlib.sha256(data).hexdigest())
                if data.nbytes:  # a process may have no part of a small tensor
                    file.write(data)
                results.append(WriteResult(item.index, data.nbytes, self._file))
        self._draft.publish_bytes(f"{self._draft.name}/{self._file}.digests.json", to_json(table))
        return _done(results)

    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:
        """Publish which tensors there are, and which file holds each item."""
        files = {result.index: result.storage_data for of_rank in results for result in of_rank}
        tensors = {}
        for name, tensor in metadata.state_dict_metadata.items():
            assert isinstance(tensor, TensorStorageMetadata), f"{name} is no tensor"
            tensors[name] = {
                "dtype": str(tensor.properties.dtype).removeprefix("torch."),
                "size": list(tensor.size),
                "chunks": [
                    [list(c.offsets), list(c.sizes), files[MetadataIndex(name, c.offsets)]]
                    for c in tensor.chunks
                ],
            }
        self._draft.publish_bytes(f"{self._draft.name}/{METADATA}", to_json(tensors))

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: Any) -> bool:
        """Tell that no path is a checkpoint of ours: each is a shard of a step."""
        return False


class ShardReader(StorageReader):
    """Reads items of a committed checkpoint, and checks each. `metadata` is what `read_metadata` returns."""

    def __init__(self, folder: Store, shard: Shard, metadata: Metadata):
        self._folder, self._shard, self._metadata = folder, shard, metadata
        self._tables: dict[str, ItemTable] = {}

    def reset(self, checkpoint_id: Any = None) -> None:
        """Do nothing: a reader is made for each checkpoint."""

    def read_metadata(self, *args: Any) -> Metadata:
        """Return the metadata that the reader was made with."""
        return self._metadata

    def set_up_storage_reader(self, metadata: Metadata, is_coordinator: bool, *args: Any) -> None:
        """Do nothing: the reader has all that it needs."""

    def prepare_local_plan(self, plan: LoadPlan) -> LoadPlan:
        """Return DCP's plan for this process as it is."""
        return plan

    def prepare_global_plan(self, plans: list[LoadPlan]) -> list[LoadPlan]:
        """Return DCP's plans as they are."""
        return plans

    def read_data(self, plan: LoadPlan, planner: LoadPlanner) -> Future[None]:
        """Read the items of the plan. Raises DamagedError, which names the item and the object."""
        wanted: dict[MetadataIndex, list[ReadItem]] = {}
        for read in plan.items:
            wanted.setdefault(read.storage_index, []).append(read)
        for file in sorted({self._metadata.storage_data[index].file for index in wanted}):
            self._table(file)

        def copy(index: MetadataIndex) -> None:
            chunk = self.read_item(index)
            for read in wanted[index]:
                part = chunk
                for dim, (start, length) in enumerate(zip(read.storage_offsets, read.lengths, strict=True)):
                    part = part.narrow(dim, start, length)
                planner.resolve_tensor(read).detach().copy_(part)

        with ThreadPoolExecutor(READERS) as pool:
            list(pool.map(copy, wanted))  # the list raises what a thread has raised
        return _done(None)

    def _table(self, file: str) -> ItemTable:
        """Return the places and digests of the items in a file. Raises DamagedError."""
        if file not in self._tables:
            entry = self._shard.object(f"/{file}.digests.json")
            self._tables[file] = self._folder.read_as(ITEMS, entry.name, expect=entry)
        return self._tables[file]

    def read_item(self, index: MetadataIndex) -> torch.Tensor:
        """Return one item. Raises DamagedError where its place or its digest is another one."""
        stored = self._metadata.storage_data[index]
        offset, length, digest = self._table(stored.file).get(_item(index), (0, -1, ""))
        entry = self._shard.object(f"/{stored.file}.distcp")
        if length != math.prod(stored.sizes) * stored.dtype.itemsize or offset + length > entry.size:
            raise damaged(self._folder.url_of(entry.name), f"its table has no such {shown(_item(index))}")
        item = torch.empty(stored.sizes, dtype=stored.dtype)
        into, found = raw_bytes(item), hashlib.sha256()
        for at in range(0, length, PIECE):
            data = self._folder.read_range(entry.name, offset + at, offset + min(at + PIECE, length))
            found.update(data)
            into[at : at + len(data)] = data
        if found.hexdigest() != digest:
            raise DamagedError(f"{_item(index)} of {self._folder.url_of(entry.name)} is damaged")
        return item

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: Any) -> bool:
        """Tell that no path is a checkpoint of ours: each is a shard of a step."""
        return False


def read_metadata(folder: Store, shard: Shard) -> Metadata:
    """Return a checkpoint's metadata as DCP wants it. Raises DamagedError."""
    entry = shard.object(f"/{METADATA}")
    tensors: dict[str, TensorStorageMetadata | BytesStorageMetadata] = {}
    items: dict[MetadataIndex, Stored] = {}
    found = folder.read_as(TENSORS, entry.name, entry, **_limits(folder, entry))
    for name, tensor in found.items():
        _check_chunks(tensor, f"{folder.url_of(entry.name)}, {shown(name)},")
        dtype = DTYPES[tensor.dtype]
        chunks = []
        for offsets, sizes, file in tensor.chunks:
            chunks.append(ChunkStorageMetadata(torch.Size(offsets), torch.Size(sizes)))
            items[MetadataIndex(name, offsets)] = Stored(file, dtype, torch.Size(sizes))
        tensors[name] = TensorStorageMetadata(TensorProperties(dtype=dtype), torch.Size(tensor.size), chunks)
    return Metadata(tensors, storage_data=items)


def _limits(folder: Store, entry: Object) -> dict[str, int]:
    """Return how large the metadata may be: that of many processes grows with what they store."""
    if entry.size <= MOST_BYTES:
        return {}
    sizes = folder.sizes(entry.name.removesuffix(METADATA).rstrip("/"))
    stored = sum(size for name, size in sizes.items() if name.endswith(".distcp"))
    return {"most_bytes": MOST_BYTES + stored // 100, "most_values": MOST_VALUES + stored // 1000}


def _check_chunks(tensor: TensorEntry, what: str) -> None:
    """Raise DamagedError where chunks do not make up their tensor: DCP would leave a part of it unread."""
    for offsets, sizes, _ in tensor.chunks:
        ends = [start + length for start, length in zip(offsets, sizes)]
        if not len(offsets) == len(sizes) == len(tensor.size) or any(map(gt, ends, tensor.size)):
            raise damaged(what, f"its chunk at {offsets} lies outside of {tensor.size}")
    filled = [tuple(offsets) for offsets, sizes, _ in tensor.chunks if math.prod(sizes)]
    stored = sum(math.prod(sizes) for _, sizes, _ in tensor.chunks)
    if stored != math.prod(tensor.size) or len(set(filled)) < len(filled):
        raise damaged(what, f"its chunks do not make up {tensor.size}")


def raw_bytes(tensor: torch.Tensor) -> memoryview:
    """Return the bytes of a tensor's elements, in order."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data


def _item(index: MetadataIndex) -> str:
    """Return the name of an item."""
    return f"{index.fqn}@{','.join(map(str, index.offset or ()))}"


def _done(value: Any) -> Future[Any]:
    """Return a future that has its value already."""
    future: Future[Any] = Future()
    future.set_result(value)
    return future
