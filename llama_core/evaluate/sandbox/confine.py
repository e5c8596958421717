"""What a process gives up for good before it becomes a program under test: resources and calls of the kernel.

A program under test has one process, which it may divide into threads. It can start no other, signal none,
and open no socket, whether it is in namespaces of its own or not. The limits of its process are therefore
limits of all that it does.
"""

import ctypes
import errno
import os
import platform
import resource
import struct
from typing import NamedTuple

libc = ctypes.CDLL(None, use_errno=True)


class Limits(NamedTuple):
    """What a program may use."""

    cpu_seconds: int = 5
    """The limit that counts for an honest program: it does not depend on what else the machine does."""
    seconds: float = 30.0
    """By the clock, for a program that waits."""
    memory: int = 1 << 30
    """Bytes of address space."""
    scratch: int = 1 << 24
    """Bytes of files, in memory too."""
    output: int = 1 << 20
    """Bytes that it may write to its standard output and error together."""
    threads: int = 16


# The numbers of the calls that are refused, on x86_64 and on aarch64; None: there is no such call.
_REFUSED = {
    "fork": (57, None),
    "vfork": (58, None),
    # Signals, also to itself: in some modes there are others to hit.
    "kill": (62, 129),
    "tkill": (200, 130),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_send_signal": (424, 424),
    # Other processes.
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "kcmp": (312, 272),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118),
    "sched_setattr": (314, 274),
    "sched_setaffinity": (203, 122),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    # Sockets: those of virtual machines (AF_VSOCK) belong to no network namespace. A pair is harmless.
    "socket": (41, 198),
    # Memory that the limits do not count, or that outlives the process.
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semget": (64, 190),
    "semctl": (66, 191),
    "msgget": (68, 186),
    "msgctl": (71, 187),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    # What only widens the way to faults of the kernel.
    "unshare": (272, 97),
    "setns": (308, 268),
    "chroot": (161, 51),
    "pivot_root": (155, 41),
    "mount": (165, 40),
    "umount2": (166, 39),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "userfaultfd": (323, 282),
    "perf_event_open": (298, 241),
    "bpf": (321, 280),
    "io_uring_setup": (425, 425),
    "modify_ldt": (154, None),
}
# Where a program sees the files of the machine, it changes none.
_CHANGES = {
    "creat": (85, None),
    "openat2": (437, 437),
    "unlink": (87, None),
    "unlinkat": (263, 35),
    "rmdir": (84, None),
    "rename": (82, None),
    "renameat": (264, 38),
    "renameat2": (316, 276),
    "mkdir": (83, None),
    "mkdirat": (258, 34),
    "mknod": (133, None),
    "mknodat": (259, 33),
    "link": (86, None),
    "linkat": (265, 37),
    "symlink": (88, None),
    "symlinkat": (266, 36),
    "truncate": (76, 45),
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "chown": (92, None),
    "lchown": (94, None),
    "fchown": (93, 55),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
}
_KINDS = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""The machines that are known: their columns above, and what the kernel calls them."""
_CLONE3 = 435
_NEWER = 450  # calls of Linux 5.17 and later: a program takes them for not there

# Classic BPF (linux/filter.h, linux/seccomp.h).
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _REFUSE = 0x7FFF0000, 0x80000000, 0x00050000
_NOT_PERMITTED, _NOT_THERE = (_RETURN, 0, 0, _REFUSE | errno.EPERM), (_RETURN, 0, 0, _REFUSE | errno.ENOSYS)
_NUMBER, _MACHINE, _ARGUMENTS = 0, 4, 16  # offsets in seccomp_data

# Calls that are refused by the lower half of an argument: which one, a test, and the answer that is refused.
_REFUSED_IF = (
    ((56, 220), 0, _ANY_BIT, 0x10000, False),  # clone without CLONE_THREAD
    ((302, 261), 0, _EQUAL, 0, False),  # prlimit64 of another process
    ((72, 25), 1, _EQUAL, 8, True),  # fcntl with F_SETOWN, which has signals sent
    ((72, 25), 1, _EQUAL, 15, True),  # and with F_SETOWN_EX
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_CHANGES_IF = (((2, None), 1, _ANY_BIT, _WRITING, True), ((257, 56), 2, _ANY_BIT, _WRITING, True))  # open(at)

_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38


class _Program(ctypes.Structure):
    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def call(what: str, result: int) -> int:
    """Return the result of a C function. Raises OSError, which says `what` failed, where it is negative."""
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def _prctl(what: str, option: int, *arguments: object) -> None:
    call(what, libc.prctl(option, *arguments, *[ctypes.c_ulong(0)] * (4 - len(arguments))))


def die_with_parent(signal: int) -> None:
    """Have the kernel send `signal` to this process when its parent ends. A change of user undoes it."""
    _prctl("PR_SET_PDEATHSIG", _PR_SET_PDEATHSIG, ctypes.c_ulong(signal))


def no_new_privileges() -> None:
    """Give up all ways to more rights, such as setuid programs; no other process can look into this one."""
    _prctl("PR_SET_NO_NEW_PRIVS", _PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1))
    _prctl("PR_SET_DUMPABLE", _PR_SET_DUMPABLE)


def limit(limits: Limits) -> None:
    """Set the limits of this process, for good."""
    for kind, value in (
        (resource.RLIMIT_AS, limits.memory),
        (resource.RLIMIT_FSIZE, limits.scratch),
        (resource.RLIMIT_NPROC, limits.threads),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
    ):
        resource.setrlimit(kind, (value, value))
    # SIGXCPU first, for a program can be asked why it has ended; SIGKILL where it is ignored.
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds + 1))


def machine() -> str | None:
    """Return this machine's kind where the filter of calls knows it."""
    return platform.machine() if platform.machine() in _KINDS else None


def refuse_calls(changes: bool) -> None:
    """Have the kernel refuse, from now on, the calls that a program under test has no need of.

    `changes`: whether it may change files.
    """
    lines = _filter(*_KINDS[platform.machine()], changes)
    packed = b"".join(struct.pack("=HBBI", *line) for line in lines)
    program = _Program(len(lines), packed)
    _prctl("PR_SET_SECCOMP", _PR_SET_SECCOMP, ctypes.c_ulong(_SECCOMP_MODE_FILTER), ctypes.byref(program))


def _filter(column: int, kind: int, changes: bool) -> list[tuple[int, int, int, int]]:
    """Return the filter's lines: each a code, how many lines to skip if true and if false, and a value."""
    lines = [(_LOAD, 0, 0, _MACHINE), (_EQUAL, 1, 0, kind), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, _NUMBER)]
    # Without clone3 the C library falls back on clone. x86_64's second set of numbers is above all others.
    lines += [(_EQUAL, 0, 1, _CLONE3), _NOT_THERE, (_AT_LEAST, 0, 1, _NEWER), _NOT_THERE]
    for numbers in [*_REFUSED.values(), *(() if changes else _CHANGES.values())]:
        if (number := numbers[column]) is not None:
            lines += [(_EQUAL, 0, 1, number), _NOT_PERMITTED]
    for numbers, argument, test, value, refused in [*_REFUSED_IF, *(() if changes else _CHANGES_IF)]:
        if (number := numbers[column]) is not None:
            lines += [(_EQUAL, 0, 4, number), (_LOAD, 0, 0, _ARGUMENTS + 8 * argument)]
            lines += [(test, not refused, refused, value), _NOT_PERMITTED, (_LOAD, 0, 0, _NUMBER)]
    return [*lines, (_RETURN, 0, 0, _ALLOW)]
