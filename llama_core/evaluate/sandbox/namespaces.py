"""Namespaces of a process's own: it sees no other process, no network, and no files but those of Python.

A user namespace comes first, because it lets a plain user have the others. Root goes the same way: what it
starts becomes the user `nobody` of the machine.
"""

import contextlib
import ctypes
import os
from collections.abc import Sequence

from llama_core.evaluate.sandbox.confine import Limits, call, libc

NOBODY = 65534
_USER, _MOUNT, _PID, _NET = 0x10000000, 0x00020000, 0x20000000, 0x40000000
_IPC, _UTS, _CGROUP = 0x08000000, 0x04000000, 0x02000000

_NOSUID, _NODEV, _BIND, _REC, _PRIVATE = 2, 4, 1 << 12, 1 << 14, 1 << 18
_DETACH = 2
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_MOUNT_SETATTR, _PIVOT_ROOT = 442, {"x86_64": 155, "aarch64": 41}
_ATTR_RDONLY, _ATTR_NOSUID, _ATTR_NODEV = 1, 2, 4

_TREES = ("/usr", "/bin", "/lib", "/lib64")
_FILES = ("/etc/ld.so.cache", "/dev/null")
# Where the new root is put together. Every system has it, nobody's Python lies in it, and once the users are
# mapped there is no need of it.
_ROOM = "/proc"
SCRATCH = "/tmp"


def enter() -> None:
    """Leave the namespaces of this process for new ones. Its next child is the first process of its own.

    Raises OSError where the kernel does not allow it.
    """
    if os.geteuid() == 0:
        with contextlib.suppress(PermissionError):  # a container may forbid it
            os.setgroups([])
    me, uid, gid = os.getpid(), os.geteuid(), os.getegid()
    here, there = os.pipe()
    helper = os.fork()
    if helper == 0:  # it stays outside, where it has the right to say who is who inside
        os.close(there)
        entered = os.read(here, 1)
        os._exit(_map_users(me, uid, gid) if entered else 0)
    os.close(here)
    try:
        call("unshare", libc.unshare(_USER | _MOUNT | _PID | _NET | _IPC | _UTS | _CGROUP))
        os.write(there, b"1")
    finally:
        os.close(there)
        _, status = os.waitpid(helper, 0)
    if code := os.waitstatus_to_exitcode(status):
        raise OSError(code, f"uid_map: {os.strerror(code)}")
    _mount("none", "/", None, _REC | _PRIVATE)


def _map_users(process: int, uid: int, gid: int) -> int:
    """Name the users of a process's new namespace. Return 0, or the number of the error."""
    try:
        if uid == 0:  # as root it still reads a Python that root alone can reach; then it becomes nobody
            with contextlib.suppress(OSError):  # a container of a plain user's may have one user only
                _write(f"/proc/{process}/gid_map", f"0 0 1\n{NOBODY} {NOBODY} 1\n")
                _write(f"/proc/{process}/uid_map", f"0 0 1\n{NOBODY} {NOBODY} 1\n")
                return 0
        _write(f"/proc/{process}/setgroups", "deny")
        _write(f"/proc/{process}/uid_map", f"{NOBODY} {uid} 1\n")
        _write(f"/proc/{process}/gid_map", f"{NOBODY} {gid} 1\n")
    except OSError as error:
        return error.errno or 1
    return 0


def build_root(python: Sequence[str], limits: Limits) -> None:
    """Leave the files of the machine for a root of a few, none of which can be written, and an empty SCRATCH.

    `python`: the folders that the interpreter needs.
    """
    _mount("tmpfs", _ROOM, "tmpfs", _NOSUID | _NODEV, "size=1m,nr_inodes=256,mode=755")
    os.mkdir(_ROOM + SCRATCH)
    _mount(
        "tmpfs", _ROOM + SCRATCH, "tmpfs", _NOSUID | _NODEV, f"size={limits.scratch},nr_inodes=1024,mode=1777"
    )
    for tree in _TREES:
        if os.path.islink(tree):
            os.symlink(os.readlink(tree), _ROOM + tree)
        elif os.path.isdir(tree):
            _show(tree)
    for tree in sorted(python):
        if not os.path.exists(_ROOM + tree):
            _show(tree)
    for file in _FILES:
        if os.path.exists(file):
            os.makedirs(os.path.dirname(_ROOM + file), exist_ok=True)
            _write(_ROOM + file, "", os.O_CREAT)
            _mount(file, _ROOM + file, None, _BIND)
            _set(_ROOM + file, _ATTR_RDONLY | _ATTR_NOSUID)
    os.chdir(_ROOM)
    call("pivot_root", libc.syscall(_PIVOT_ROOT[os.uname().machine], b".", b"."))
    call("umount", libc.umount2(b".", _DETACH))
    _set("/", _ATTR_RDONLY | _ATTR_NOSUID | _ATTR_NODEV)
    os.chdir(SCRATCH)


def become_nobody() -> None:
    """Give up all rights that this process has in its namespaces."""
    if os.geteuid() != NOBODY:
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
    call("capset", libc.capset(header, (ctypes.c_uint32 * 6)()))


def _show(tree: str) -> None:
    os.makedirs(_ROOM + tree)
    _mount(tree, _ROOM + tree, None, _BIND | _REC)
    _set(_ROOM + tree, _ATTR_RDONLY | _ATTR_NOSUID | _ATTR_NODEV, _AT_RECURSIVE)


def _mount(source: str, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    arguments = [None if x is None else x.encode() for x in (source, target, kind, options)]
    source_, target_, kind_, options_ = arguments
    call(f"mount {target}", libc.mount(source_, target_, kind_, ctypes.c_ulong(flags), options_))


def _set(path: str, attributes: int, flags: int = 0) -> None:
    """Set attributes of a mount; all that it has already stay."""
    wanted = (ctypes.c_uint64 * 4)(attributes, 0, 0, 0)
    result = libc.syscall(
        _MOUNT_SETATTR, _AT_FDCWD, path.encode(), flags, ctypes.byref(wanted), ctypes.c_size_t(32)
    )
    call(f"mount_setattr {path}", result)


def _write(path: str, text: str, flags: int = 0) -> None:
    descriptor = os.open(path, os.O_WRONLY | flags, 0o644)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
