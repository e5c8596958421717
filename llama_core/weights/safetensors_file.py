"""safetensors files, which are written as streams, a piece of a tensor at a time, and read by their headers.

A file is the header's length (8 bytes, little endian), the header (JSON: for each tensor its dtype, shape
and place), and then the tensors' bytes. Large models are split over files, with an index beside them.
"""

import json
import math
import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

import torch
from pydantic import BaseModel, Field, TypeAdapter
from torch import Tensor

from llama_core.objects import FileName
from llama_core.parse import MOST_BYTES, Count, Text, damaged, json_value, shaped, shown
from llama_core.store import Store, to_json
from llama_core.train.checkpoints.files import raw_bytes

INDEX = "model.safetensors.index.json"
FILE_BYTES = 5_000_000_000  # bytes at which a file is split, as transformers does
DTYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
CODES = {dtype: code for code, dtype in DTYPES.items()}
BITS = {
    8: ("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0"),
    16: ("U16", "I16", "F16", "BF16"),
    32: ("U32", "I32", "F32"),
    64: ("U64", "I64", "F64", "C64"),
}
ITEM_BYTES = {code: bits // 8 for bits, codes in BITS.items() for code in codes}

Shapes = Mapping[str, tuple[int, ...]]


class Place(BaseModel):
    """What a header says of a tensor."""

    dtype: Text
    shape: Annotated[tuple[Count, ...], Field(max_length=8)]
    data_offsets: tuple[Count, Count]
    """Its first byte and the one after its last, counted from the start of the file."""

    @property
    def size(self) -> int:
        """The number of its bytes."""
        return self.data_offsets[1] - self.data_offsets[0]


class WeightIndex(BaseModel):
    """What INDEX holds: the file of each tensor."""

    weight_map: dict[Text, FileName]


HEADER = TypeAdapter(dict[Text, Any])
METADATA = TypeAdapter(dict[Text, Text])
PLACES = TypeAdapter(dict[Text, Place])
WEIGHT_INDEX = TypeAdapter(WeightIndex)


def split(shapes: Shapes, dtype: torch.dtype, limit: int = FILE_BYTES) -> dict[str, list[str]]:
    """Return the names of the tensors in each file, by the file's name, in the order of `shapes`.

    A file has at most `limit` bytes of tensors, or one tensor that is larger.
    """
    files: list[list[str]] = [[]]
    filled = 0
    for name, shape in shapes.items():
        size = math.prod(shape) * dtype.itemsize
        if files[-1] and filled + size > limit:
            files.append([])
            filled = 0
        files[-1].append(name)
        filled += size
    if len(files) == 1:
        return {"model.safetensors": files[0]}
    return {f"model-{i:05d}-of-{len(files):05d}.safetensors": names for i, names in enumerate(files, 1)}


def index(files: dict[str, list[str]], shapes: Shapes, dtype: torch.dtype) -> bytes:
    """Return `model.safetensors.index.json`, which says which file holds which tensor."""
    total = sum(math.prod(shape) for shape in shapes.values()) * dtype.itemsize
    weight_map = {name: file for file, names in files.items() for name in names}
    return to_json({"metadata": {"total_size": total}, "weight_map": weight_map})


def write(file: Any, shapes: Shapes, dtype: torch.dtype, pieces: Callable[[str], Iterable[Tensor]]) -> None:
    """Write one file with the tensors of `shapes`, cast to `dtype`.

    `pieces`: returns the pieces of a tensor by its name, some rows of it at a time.
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + math.prod(shape) * dtype.itemsize
        header[name] = {"dtype": CODES[dtype], "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file.write(struct.pack("<Q", len(text)) + text)
    for name, shape in shapes.items():
        written = sum(file.write(raw_bytes(piece.to(dtype))) for piece in pieces(name))
        assert written == math.prod(shape) * dtype.itemsize, f"{name} came with {written:,} bytes"


def places(store: Store, name: str, most: int | None = None) -> dict[str, Place]:
    """Return where the tensors of one file are, in their order, by their names.

    `most`: the bytes that the file has by its manifest. Raises DamagedError where its header is not as it
    should be: every byte after it belongs to one tensor, and nothing is read to find that out.
    """
    size, url = store.size(name), store.url_of(name)
    if most is not None and size != most:
        raise damaged(url, f"it has {size:,} bytes, where its manifest says {most:,}")
    length = _length(store.read_range(name, 0, 8), size, url)
    header = 8 + length
    return {
        key: place.model_copy(update={"data_offsets": tuple(header + n for n in place.data_offsets)})
        for key, place in _places(store.read_range(name, 8, header), size, url).items()
    }


def _length(head: bytes, size: int, url: str) -> int:
    """Return the length of a file's header, by its first 8 bytes. `size`: that of the file."""
    length = int.from_bytes(head, "little")
    if len(head) < 8 or length > min(MOST_BYTES, size - 8):
        raise damaged(url, f"it is no safetensors file, or cut short: {size:,} bytes hold no such header")
    return length


def _places(header: bytes, size: int, url: str) -> dict[str, Place]:
    """Return the tensors of a header in their order. `size`: that of the file. Raises DamagedError."""
    value = shaped(HEADER, json_value(header, url), url)
    shaped(METADATA, value.pop("__metadata__", {}), url)
    found = shaped(PLACES, value, url)
    position = 0
    in_order = sorted(found.items(), key=lambda item: item[1].data_offsets)
    for key, place in in_order:
        start, end = place.data_offsets
        itemsize = ITEM_BYTES.get(place.dtype)
        if itemsize is None or start != position or end - start != math.prod(place.shape) * itemsize:
            raise damaged(url, f"its tensor {shown(key)} is not as its header says")
        position = end
    if position != size - 8 - len(header):
        raise damaged(url, f"its header tells of {position:,} bytes, not of all; it may be cut short")
    return dict(in_order)
