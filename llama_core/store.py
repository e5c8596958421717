"""The store: one fsspec URL, and one way to publish an object on it.

An object appears under its name whole or not at all. On S3 it is written without auto-commit and committed at
the end: a plain `fs.open` whose body raises still completes its upload and publishes a truncated object; what
fits one block is one request. On a local disk it is a temporary file beside its destination, which
`os.replace` moves there. Elsewhere it is a temporary file on this machine, which is sent in one piece.
"""

import contextlib
import errno
import hashlib
import inspect
import json
import os
import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import fsspec
from pydantic import TypeAdapter

from llama_core.errors import DamagedError, StoreError
from llama_core.file_system import brief, complete_upload, file_system, hint_of
from llama_core.objects import Object, Writer, check_name, fault_of
from llama_core.parse import MOST_BYTES, MOST_VALUES, json_as, json_value
from llama_core.protocols import local_disk
from llama_core.protocols.local_disk import TEMPORARY
from llama_core.url import store_url

MANY = 1000  # small objects that are read side by side, and objects that one request to S3 deletes
CHUNK = 8 << 20  # bytes read at a time when a whole object is hashed
T = TypeVar("T")


class Store:
    """A folder at any fsspec URL. The names of its objects are relative to it, with `/` between parts.

    A name may come from a file that anybody has written. So each is checked where it becomes a path: none
    leads out of the folder. On a local disk, nothing is written or deleted through a symbolic link below the
    folder (which may be a link itself), and only regular files are read.

    Credentials come from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL) and
    appear in no message. Every method raises StoreError where the store fails, and those that read an object
    raise FileNotFoundError where it is missing.
    """

    def __init__(self, url: str):
        try:
            self.url = store_url(os.fspath(url))
        except ValueError as error:
            raise StoreError(f"cannot use this store: {error}") from None
        self._top = self.url  # what the person has named: links are followed up to there
        self._fs: fsspec.AbstractFileSystem | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_fs": None}  # a file system does not cross to another process

    def __repr__(self) -> str:
        return f"Store({self.url!r})"

    @property
    def fs(self) -> fsspec.AbstractFileSystem:
        """The fsspec file system, opened at first use."""
        if self._fs is None:
            self._fs = file_system(self.url)
        return self._fs

    @property
    def is_local(self) -> bool:
        """True for a folder on a disk of this machine."""
        return self.url.startswith("file://")

    @property
    def is_s3(self) -> bool:
        """True for S3 and whatever speaks its protocol."""
        return self.url.startswith("s3://")

    def path(self, name: str = "") -> str:
        """Return the path that the file system knows `name` by. Raises StoreError for what is no name."""
        if name:
            check_name(name, self.url)
        return self.fs._strip_protocol(f"{self.url}/{name}" if name else self.url)

    def url_of(self, name: str) -> str:
        """Return the URL of an object."""
        return f"{self.url}/{name}"

    def at(self, folder: str) -> "Store":
        """Return the same store, seen from one of its folders. Raises StoreError for what is no name."""
        below = Store(f"{self.url}/{check_name(folder, self.url)}")
        below._fs, below._top = self._fs, self._top
        return below

    def check(self) -> None:
        """Publish, read and delete a small object, so that a store that fails is an early error."""
        name = f".check-{secrets.token_hex(6)}"
        patience = getattr(self.fs, "retries", None)
        if patience:
            self.fs.retries = 2
        try:
            self.publish_bytes(name, b"ok")
            if self.read(name) != b"ok":
                raise StoreError(f"{self.url} does not give back what was written to it")
            self.delete([name])
        finally:
            if patience:
                self.fs.retries = patience

    def open(self, name: str) -> BinaryIO:
        """Open an object for reading. Its bytes are not checked."""
        path = self.path(name)
        open_it = (
            partial(local_disk.open_regular, path) if self.is_local else partial(self.fs.open, path, "rb")
        )
        return self._call(f"open {name}", open_it)

    def read(self, name: str, expect: Object | None = None, most: int | None = None) -> bytes:
        """Return the whole object. With `expect`, raises DamagedError where its size or digest differs.

        `most`: the bytes that it may have. A larger one is a DamagedError, and is not read.
        """
        bounds = [most, expect.size if expect else None]
        end = min((bound for bound in bounds if bound is not None), default=None)
        data = self._call(f"read {name}", lambda: self._cat_most(name, end))
        if most is not None and most < (expect.size if expect else len(data)):
            raise DamagedError(f"{self.url_of(name)} is damaged: it has more than {most:,} bytes")
        if expect and (len(data) != expect.size or hashlib.sha256(data).hexdigest() != expect.sha256):
            raise DamagedError(_damaged(self.url_of(name)))
        return data

    def read_many(self, names: Sequence[str]) -> list[bytes]:
        """Return small objects, read many at a time where the file system can. They are not checked."""
        if self.is_local:
            return [self.read(name, most=MOST_BYTES) for name in names]
        found: list[bytes] = []
        for start in range(0, len(names), MANY):
            paths = [self.path(name) for name in names[start : start + MANY]]
            found += self._call(f"read {names[start]} ...", partial(self._read_all, paths))
        return found

    def _read_all(self, paths: list[str]) -> list[bytes]:
        found = self.fs.cat_ranges(paths, 0, MOST_BYTES + 1)  # `fs.cat` would take a `[` for a pattern
        for error in found:
            if isinstance(error, Exception) and getattr(error, "errno", None) != errno.EINVAL:
                raise error
        return [b"" if isinstance(one, Exception) else one for one in found]  # as `_cat_most` says

    def read_range(self, name: str, start: int, end: int) -> bytes:
        """Return the bytes [start, end) of an object."""
        return self._call(f"read {name}", lambda: self._cat(name, start=start, end=end))

    def _cat(self, name: str, **span: int) -> bytes:
        if self.is_local:
            return local_disk.read(self.path(name), **span)
        # In one request: a large object that s3fs reads in parts side by side is not tried again.
        one = {"max_concurrency": 1} if self.is_s3 else {}
        return self.fs.cat_file(self.path(name), **span, **one)

    def _cat_most(self, name: str, most: int | None) -> bytes:
        """Return the object, or of one that has more than `most` bytes a byte too many."""
        if most is None:
            return self._cat(name)
        try:
            return self._cat(name, start=0, end=most + 1)
        except OSError as error:
            if error.errno != errno.EINVAL or self.size(name):
                raise
            return b""  # S3 refuses every range of an empty object

    def read_json(self, name: str) -> Any:
        """Return the value of an object that holds JSON. Raises DamagedError where it does not."""
        return json_value(self.read(name, most=MOST_BYTES), self.url_of(name))

    def read_as(
        self,
        kind: TypeAdapter[T],
        name: str,
        expect: Object | None = None,
        most_bytes: int = MOST_BYTES,
        most_values: int = MOST_VALUES,
    ) -> T:
        """Return the value of an object that holds JSON of a kind. Raises DamagedError where it does not."""
        data = self.read(name, expect, most_bytes)
        return json_as(kind, data, self.url_of(name), most_bytes=most_bytes, most_values=most_values)

    @contextlib.contextmanager
    def checked(self, name: str, expect: Object) -> Iterator[BinaryIO]:
        """Open an object whose size and digest have been checked. Raises DamagedError where they differ.

        Over a network it is fetched once, to a temporary file on this machine.
        """
        digest, size = hashlib.sha256(), 0
        with contextlib.ExitStack() as stack:
            source = stack.enter_context(self.open(name))
            file = source if self.is_local else stack.enter_context(tempfile.TemporaryFile())
            while chunk := source.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
                if size > expect.size:
                    break
                if file is not source:
                    file.write(chunk)
            if (size, digest.hexdigest()) != (expect.size, expect.sha256):
                raise DamagedError(_damaged(self.url_of(name)))
            file.seek(0)
            yield file

    def exists(self, name: str) -> bool:
        """Tell whether there is an object or a folder of this name."""
        return self._call(f"look for {name}", lambda: self.fs.exists(self.path(name)))

    def size(self, name: str) -> int:
        """Return the size of an object in bytes."""
        if self.is_local:
            return self._call(f"look at {name}", lambda: local_disk.size(self.path(name)))
        return self._call(f"look at {name}", lambda: self.fs.info(self.path(name))["size"])

    def sizes(self, folder: str = "") -> dict[str, int]:
        """Return the size in bytes of every published object below `folder`, by name, with one listing.

        What cannot be the name of an object is left out: nobody has published it.
        """
        root = self.path(folder)
        try:
            found = self._call(f"list {folder}", lambda: self.fs.find(root, detail=True))
        except FileNotFoundError:
            return {}
        start = len(self.path()) + 1
        names = {path[start:]: info["size"] for path, info in found.items()}
        return {
            name: size
            for name, size in names.items()
            if not fault_of(name) and TEMPORARY not in name.rsplit("/", 1)[-1]
        }

    def list(self, folder: str = "") -> list[str]:
        """Return the names of all published objects below `folder`, sorted."""
        return sorted(self.sizes(folder))

    @contextlib.contextmanager
    def publish(self, name: str) -> Iterator[Writer]:
        """Open an object for writing. It appears whole at the end of the block, or not at all."""
        if self.is_local:
            open_raw = self._open_local
        elif self.is_s3:
            open_raw = self._open_s3
        else:
            open_raw = self._open_spooled
        raw, commit, discard = self._call(f"write {name}", lambda: open_raw(name), writes=True)
        writer = Writer(raw, name, self.url_of(name))
        try:
            yield writer
            self._call(f"publish {name}", commit, writes=True)
        except BaseException:
            with contextlib.suppress(Exception):
                discard()
            raise
        writer._seal()

    def publish_bytes(self, name: str, data: bytes) -> Object:
        """Publish `data` as an object."""
        with self.publish(name) as file:
            file.write(data)
        assert file.object is not None
        return file.object

    def publish_json(self, name: str, value: Any) -> Object:
        """Publish a value as an object that holds JSON."""
        return self.publish_bytes(name, to_json(value))

    def create(self, name: str, data: bytes) -> bool:
        """Publish a small object unless there is one of this name. Returns False where another came first.

        On a local disk this is a hard link, which fails on an existing name; on S3 it is `If-None-Match: *`;
        elsewhere it is the file system's own condition. A server or a file system without one keeps what the
        last of two writers wrote at the same moment.
        """
        if self.exists(name):
            return False
        if self.is_local:
            return self._call(f"create {name}", lambda: local_disk.create(self._local(name), data))
        return self._call(f"create {name}", lambda: self._create_remote(name, data))

    def delete(self, names: Iterable[str]) -> None:
        """Delete objects, on S3 many in one request. One that is gone already is no error."""
        if self.is_s3:
            names = [*names]
            for start in range(0, len(names), MANY):
                paths = [self.path(name) for name in names[start : start + MANY]]
                self._call(f"delete {names[start]} ...", partial(self._delete_all, paths), writes=True)
            return
        for name in names:
            path = str(self._local(name)) if self.is_local else self.path(name)
            with contextlib.suppress(FileNotFoundError):
                self._call(f"delete {name}", partial(self.fs.rm_file, path))

    def _delete_all(self, paths: Sequence[str]) -> None:
        """Delete objects of S3, not by `fs.rm`: it takes a `[` for a pattern, and keeps errors to itself."""
        bucket = self.fs.split_path(paths[0])[0]
        keys = [{"Key": self.fs.split_path(path)[1]} for path in paths]
        done = self.fs.call_s3("delete_objects", Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
        if failed := done.get("Errors"):
            raise OSError(f"{failed[0].get('Code')} {failed[0].get('Message')}: {failed[0].get('Key')}")

    def _local(self, name: str) -> Path:
        """Return the local path of an object that is to be written or deleted. Raises StoreError."""
        return local_disk.no_link(self.fs._strip_protocol(self._top), self.path(name))

    # Each of the next three returns a file, and the functions that publish it and that throw it away.
    def _open_local(self, name: str) -> tuple[BinaryIO, Callable[[], None], Callable[[], None]]:
        return local_disk.begin(self._local(name))

    def _open_s3(self, name: str) -> tuple[BinaryIO, Callable[[], None], Callable[[], None]]:
        file = self.fs.open(self.path(name), "wb", autocommit=False)

        def commit() -> None:
            file.autocommit = file.offset is None  # nothing is sent yet: all of it goes in one request
            file.close()
            if not file.autocommit:
                complete_upload(file.commit, lambda: self.size(name) == file.tell())

        def discard() -> None:
            file.closed = True  # else fsspec would still send the rest of it
            file.discard()

        return file, commit, discard

    def _open_spooled(self, name: str) -> tuple[BinaryIO, Callable[[], None], Callable[[], None]]:
        file = tempfile.NamedTemporaryFile()  # noqa: SIM115  (closed by commit or discard)

        def commit() -> None:
            file.flush()
            self.fs.put_file(file.name, self.path(name))
            file.close()

        return file, commit, file.close  # type: ignore[return-value]

    def _create_remote(self, name: str, data: bytes) -> bool:
        method = getattr(self.fs, "_pipe_file", self.fs.pipe_file)
        kwargs = {"mode": "create"} if "mode" in inspect.signature(method).parameters else {}
        try:
            self.fs.pipe_file(self.path(name), data, **kwargs)
        except FileExistsError:
            return self._is_mine(name, data)
        except OSError:
            # Ceph answers 412 without a message, which s3fs turns into a bare OSError.
            if self.exists(name):
                return self._is_mine(name, data)
            raise
        return True

    def _is_mine(self, name: str, data: bytes) -> bool:
        """Tell whether an object is our own: a request whose answer was lost is sent again, and finds it."""
        return self._cat(name) == data

    def _call(self, what: str, call: Callable[[], T], writes: bool = False) -> T:
        """Call a store operation, and turn what it raises into one clear StoreError.

        It is not tried again here: on S3 each request is (see `protocols.s3`), elsewhere what the library of
        the file system does counts. For an operation that reads, FileNotFoundError is an answer and passes;
        for one that writes it is a failure.
        """
        try:
            return call()
        except StoreError:
            raise
        except Exception as error:
            hint = hint_of(error)
            if isinstance(error, FileNotFoundError) and not hint and not writes:
                raise
            failed = StoreError(f"cannot {what} on {self.url}: {hint or brief(error)}")
            failed.away = not hint
            raise failed from error


def to_json(value: Any) -> bytes:
    """Return a value as JSON with sorted keys, so that equal values give equal bytes."""
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _damaged(url: str) -> str:
    return f"{url} is damaged: its bytes differ from its manifest. Delete the step's folder to make it again."
