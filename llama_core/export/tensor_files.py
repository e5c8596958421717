"""safetensors files, which are written and read as streams, with one tensor in memory at a time.

A file is the header's length (8 bytes, little endian), the header (JSON: for each tensor its dtype, shape
and place), and then the tensors' bytes. Large models are split over files, with an index beside them.
"""

import hashlib
import json
import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import torch

from llama_core.errors import DamagedError
from llama_core.objects import Object
from llama_core.store import Store, to_json
from llama_core.train.storage import raw_bytes

INDEX = "model.safetensors.index.json"
FILE_BYTES = 5_000_000_000  # bytes at which a file is split, as transformers does
HEADER_LIMIT = 100_000_000  # bytes of a header at most, which is safetensors' own limit
DTYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
CODES = {dtype: code for code, dtype in DTYPES.items()}

Shapes = Mapping[str, tuple[int, ...]]
Tensors = Iterator[tuple[str, torch.Tensor]]


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


def write(file: Any, names: Sequence[str], shapes: Shapes, dtype: torch.dtype, tensors: Tensors) -> None:
    """Write one file with the tensors `names`, which are the next ones of `tensors`, each cast to `dtype`."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name in names:
        start, end = end, end + math.prod(shapes[name]) * dtype.itemsize
        header[name] = {"dtype": CODES[dtype], "shape": list(shapes[name]), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file.write(struct.pack("<Q", len(text)) + text)
    for name in names:
        found, tensor = next(tensors)
        assert (found, tuple(tensor.shape)) == (name, shapes[name]), f"{found} came where {name} was expected"
        file.write(raw_bytes(tensor.to(dtype)))


def read(store: Store, name: str, expect: Object | None = None) -> Tensors:
    """Yield the names and tensors of one file, in the order of the file, on the CPU.

    With `expect`, the bytes are checked on the way, and DamagedError is raised after the last tensor if they
    differ: so use nothing before the iterator has ended. Raises DamagedError where the file is cut short.
    """
    digest = hashlib.sha256()
    with store.open(name) as file:

        def take(size: int) -> bytearray:
            data = _read_exactly(file, size, store.url_of(name))
            digest.update(data)
            return data

        (length,) = struct.unpack("<Q", take(8))
        if length > HEADER_LIMIT:
            raise DamagedError(f"{store.url_of(name)} is not a safetensors file")
        header = json.loads(take(length))
        header.pop("__metadata__", None)
        position = 0
        for key, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
            start, end = entry["data_offsets"]
            dtype, shape = DTYPES.get(entry["dtype"]), entry["shape"]
            if dtype is None or start != position or end - start != math.prod(shape) * dtype.itemsize:
                raise DamagedError(f"{store.url_of(name)}: tensor {key} is not as its header says")
            position = end
            yield key, torch.frombuffer(take(end - start), dtype=dtype).reshape(shape)
    if expect and digest.hexdigest() != expect.sha256:
        raise DamagedError(f"{store.url_of(name)} is damaged: its bytes differ from its manifest")


def _read_exactly(file: BinaryIO, size: int, url: str) -> bytearray:
    """Return the next `size` bytes of a file. Raises DamagedError where it has fewer."""
    data = bytearray(size)
    view, filled = memoryview(data), 0
    while filled < size:
        chunk = file.read(min(size - filled, 64 << 20))
        if not chunk:
            raise DamagedError(f"{url} is cut short")
        view[filled : filled + len(chunk)] = chunk
        filled += len(chunk)
    return data
