"""How the processes of a training find one another, and whom else they let in.

They meet at a store that one of them holds, and then connect to each other. On one machine all of this is on
loopback; on several it is on the network by which the nodes reach the first of them. No connection asks who
it is from, so nothing that comes through one is executed: what is unpickled may name only the classes that
`Unpickler` knows.
"""

import contextlib
import errno
import ipaddress
import logging
import os
import pickle
import resource
import socket
import sys
from dataclasses import is_dataclass
from datetime import timedelta
from typing import Any

import torch.distributed as dist
from torch.distributed import distributed_c10d

from llama_core.errors import LaunchError

log = logging.getLogger(__name__)
LOOPBACK = "127.0.0.1"
NETWORK_OF = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")  # what names the network of a library of torch's

# Whose plain classes the processes send each other.
MODULES = (
    "llama_core.artifact",
    "llama_core.objects",
    "llama_core.train.checkpoint",
    "llama_core.train.checkpoints.share",
    "llama_core.train.stability.guard",
)


class Unpickler(pickle.Unpickler):
    """Reads what another process has sent: plain values, the classes that are named above, and errors."""

    def find_class(self, module: str, name: str) -> Any:
        """Return the class that a pickle names. Raises UnpicklingError where no process of ours sends it."""
        if "." not in name and module in sys.modules:
            found = getattr(sys.modules[module], name, None)
            if _is_error(found):
                return found
            if module in MODULES and _is_plain(found) and found.__module__ == module:
                return found
        raise pickle.UnpicklingError(f"another process sent {module}.{name}, which is not unpickled")


def _is_plain(found: Any) -> bool:
    return isinstance(found, type) and is_dataclass(found)


def _is_error(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, BaseException)


def restrict_messages() -> None:
    """Let torch's collectives of Python objects unpickle by `Unpickler`."""
    assert distributed_c10d._unpickler in (pickle.Unpickler, Unpickler), "this torch unpickles elsewhere"
    distributed_c10d._unpickler = Unpickler  # type: ignore[assignment]


def stay_on_loopback() -> None:
    """Let the process groups of this process, and of those that it starts, talk over loopback only."""
    loopback = "lo0" if sys.platform == "darwin" else "lo"
    os.environ.update(dict.fromkeys(NETWORK_OF, loopback))


def allow_connections(size: int) -> None:
    """Let an agent and its ranks have the descriptors that `size` processes need, if the machine allows it.

    Over gloo each is connected to all others, and what holds the store has three connections to each. The
    usual limit, 1,024, is a soft one.
    """
    needed = 4 * size + 256
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = sys.maxsize if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < needed:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(needed, most), hard))
    if most < needed:
        log.warning(
            "%d processes may need %d open files each, and this node allows %d: raise `ulimit -Hn` "
            "(LimitNOFILE of Slurm's slurmd)", size, needed, most,
        )  # fmt: skip


def open_store(address: str, port: int, size: int, holds: bool, timeout: timedelta) -> dist.TCPStore:
    """Return the store at `address`, where `size` processes meet; the one that `holds` it makes it.

    It listens at `address` only, where torch's own would listen on every network of the machine; it does that
    too, and warns, where the node cannot tell the network of a name. `port`: 0 is one that is free, which the
    store then tells. Raises LaunchError.
    """
    if not holds:
        return dist.TCPStore(address, port, size, False, timeout)
    listener = _listen(address, port)
    port = listener.getsockname()[1]
    return dist.TCPStore(
        address, port, size, True, timeout, wait_for_workers=False, master_listen_fd=listener.detach()
    )


def _listen(address: str, port: int) -> socket.socket:
    try:
        family, *_, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        host = str(place[0])
        if host == address or not ipaddress.ip_address(host).is_loopback:
            try:
                return socket.create_server((host, port), family=family)
            except OSError as error:
                if error.errno != errno.EADDRNOTAVAIL:
                    raise
        # What a node calls itself in its /etc/hosts, or is called from behind another address.
        log.warning("%s is no address of a network of this node: the store listens on all of them", address)
        return socket.create_server(("", port), family=family)
    except OSError as error:
        raise LaunchError(f"no process can listen at {address}, port {port}: {error.strerror}") from error
