"""Files of `torch.save` with a dictionary of tensors: read by ranges, and written as a stream.

Such a file is a zip archive whose members are not compressed: `data.pkl`, which says what tensors there are,
and a member `data/KEY` for the elements of each, which begins at a multiple of 64 bytes.
"""

import io
import math
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from llama_core.errors import InputError
from llama_core.parse import damaged, shown
from llama_core.store import Store
from llama_core.train.checkpoints.files import raw_bytes
from llama_core.weights.region import Region
from llama_core.weights.torch_pickle import tensors_of

ALIGNMENT = 64  # bytes: as torch writes it, so that a file can be mapped into memory
MOST_DIRECTORY = 4 << 20  # bytes of a zip archive's directory, or of another part that is read at once
LOCAL = struct.Struct("<4s5H3L2H")  # a member's own header, before its name and its extra field
STORAGES = {
    torch.float32: torch.FloatStorage,
    torch.float16: torch.HalfStorage,
    torch.bfloat16: torch.BFloat16Storage,
}
DTYPES = {storage.__name__: dtype for dtype, storage in STORAGES.items()}


class TorchFile:
    """A file of torch's on a store. Raises InputError for another format, and DamagedError."""

    def __init__(self, store: Store, name: str):
        self.name = name
        self._store, self._url = store, store.url_of(name)
        self._size = store.size(name)
        try:
            archive = zipfile.ZipFile(io.BufferedReader(_Ranges(store, name, self._size), 1 << 16))
            self._members = {info.filename.partition("/")[2]: info for info in archive.infolist()}
        except zipfile.BadZipFile:
            raise InputError(
                f"{self._url} is no file of torch, or cut short, or from before torch 1.6: in the last case "
                "torch.load it and torch.save it again"
            ) from None
        except (ValueError, NotImplementedError, struct.error, OverflowError, EOFError) as error:
            raise damaged(self._url, f"its directory is none: {error}") from None
        if self._member("byteorder", "little", 6) != b"little":
            raise InputError(f"{self._url} was written on another kind of machine: big-endian")
        self.tensors = tensors_of(self._member("data.pkl"), self._url)
        """What the file holds, by name: a View for each tensor."""

    def region(self, name: str) -> Region:
        """Return where a tensor of one or two dimensions lies. Raises InputError and DamagedError."""
        view = self.tensors[name]
        dtype = DTYPES[view.storage.kind]
        row = math.prod(view.shape[1:])
        stride = view.strides[0] if len(view.shape) > 1 and view.shape[0] > 1 else row
        last = view.offset + (view.shape[0] - 1) * stride + row
        key, info = f"data/{view.storage.key}", self._members.get(f"data/{view.storage.key}")
        if not info or info.file_size != view.storage.numel * dtype.itemsize or last > view.storage.numel:
            raise damaged(self._url, f"its {shown(key)} does not hold {shown(name)}")
        inner = view.strides[-1] if view.shape[-1] > 1 else 1
        if inner != 1 or stride < row:
            raise InputError(f"{self._url} holds {shown(name)} transposed or spread: save it contiguous")
        return Region(self.name, self._start(info) + view.offset * dtype.itemsize, dtype, view.shape, stride)

    def _member(self, name: str, default: str | None = None, most: int = MOST_DIRECTORY) -> bytes:
        """Return a small member. Raises DamagedError where it is missing and has no default, or is large."""
        info = self._members.get(name)
        if info is None and default is not None:
            return default.encode()
        if info is None or info.file_size > most:
            raise damaged(self._url, f"it has no {name}, or too large a one")
        start = self._start(info)
        return self._store.read_range(self.name, start, start + info.file_size)

    def _start(self, info: zipfile.ZipInfo) -> int:
        """Return where the bytes of a member begin. Raises DamagedError where they are not just copied."""
        at = info.header_offset
        head = self._store.read_range(self.name, at, at + LOCAL.size) if at >= 0 else b""
        if len(head) < LOCAL.size or head[:4] != b"PK\3\4":
            raise damaged(self._url, f"it has no member where its directory says {shown(info.filename)}")
        *_, name, extra = LOCAL.unpack(head)
        start = at + LOCAL.size + name + extra
        if (
            info.compress_type != zipfile.ZIP_STORED
            or info.flag_bits & 1
            or info.compress_size != info.file_size
        ):
            raise damaged(self._url, f"its {shown(info.filename)} is compressed, which torch never does")
        if start + info.file_size > self._size:
            raise damaged(self._url, f"it is cut short before the end of {shown(info.filename)}")
        return start


class _Ranges(io.RawIOBase):
    """An object as a file that can be read anywhere, for what reads directories of archives."""

    def __init__(self, store: Store, name: str, size: int):
        self._store, self._name, self._size, self._at = store, name, size, 0

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be read anywhere."""
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place, and return it."""
        at = offset + (0, self._at, self._size)[whence]
        if at < 0:
            raise OSError("a place before the file's start")  # as of a real file: zipfile expects it
        self._at = at
        return at

    def readinto(self, buffer: Any) -> int:
        """Read the next bytes, at most MOST_DIRECTORY of them."""
        if len(buffer) > MOST_DIRECTORY:
            raise ValueError(f"it claims {len(buffer):,} bytes")
        end = min(self._at + len(buffer), self._size)
        data = self._store.read_range(self._name, self._at, end) if end > self._at else b""
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


class _Stub:
    """Stands for a tensor while `data.pkl` is written, and pickles as torch pickles one."""

    def __init__(self, key: str, shape: tuple[int, ...], dtype: torch.dtype):
        self.key, self.shape, self.dtype = key, shape, dtype

    def __reduce__(self) -> tuple[Any, ...]:
        strides = tuple(math.prod(self.shape[dim + 1 :]) for dim in range(len(self.shape)))
        storage = _StorageStub(self.key, math.prod(self.shape), self.dtype)
        return torch._utils._rebuild_tensor_v2, (storage, 0, self.shape, strides, False, OrderedDict())


class _StorageStub:
    """Stands for the elements of a tensor, which `_Pickler` names."""

    def __init__(self, key: str, count: int, dtype: torch.dtype):
        self.key, self.count, self.dtype = key, count, dtype


class _Pickler(pickle.Pickler):
    def persistent_id(self, value: Any) -> Any:
        if isinstance(value, _StorageStub):
            return "storage", STORAGES[value.dtype], value.key, "cpu", value.count
        return None


def write(
    file: Any,
    shapes: Mapping[str, tuple[int, ...]],
    dtype: torch.dtype,
    pieces: Callable[[str], Iterable[Tensor]],
) -> None:
    """Write one file with the tensors of `shapes`, cast to `dtype`, which `torch.load` reads or maps.

    `pieces`: returns the pieces of a tensor by its name, some rows of it at a time.
    """
    listed = io.BytesIO()
    keys = {name: str(number) for number, name in enumerate(shapes)}
    _Pickler(listed, protocol=2).dump({name: _Stub(keys[name], s, dtype) for name, s in shapes.items()})
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, data in (("data.pkl", listed.getvalue()), ("byteorder", b"little")):
            with _member(archive, file, name) as member:
                member.write(data)
        for name, shape in shapes.items():
            with _member(archive, file, f"data/{keys[name]}") as member:
                written = sum(member.write(raw_bytes(piece.to(dtype))) for piece in pieces(name))
            assert written == math.prod(shape) * dtype.itemsize, f"{name} came with {written:,} bytes"
        with _member(archive, file, "version") as member:
            member.write(b"3\n")


def _member(archive: zipfile.ZipFile, file: Any, name: str) -> Any:
    """Open the next member of an archive for writing, so that its bytes begin at a multiple of ALIGNMENT."""
    info = zipfile.ZipInfo(f"archive/{name}")
    head = LOCAL.size + len(info.filename) + 20 + 4  # 20: the field that says sizes in 64 bits; 4: ours
    padding = -(file.tell() + head) % ALIGNMENT
    info.extra = struct.pack("<HH", 0x4246, padding) + b"Z" * padding  # as torch calls it
    return archive.open(info, "w", force_zip64=True)
