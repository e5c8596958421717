"""The sockets at which a process and all that it has started wait for strangers."""

import ipaddress
import socket
from collections.abc import Iterable

import psutil


def listening(pid: int) -> list[tuple[str, int, int]]:
    """`sockets_of` a process and all its descendants."""
    root = psutil.Process(pid)
    return sockets_of([root, *root.children(recursive=True)])


def sockets_of(processes: Iterable[psutil.Process]) -> list[tuple[str, int, int]]:
    """Address, port and process of each TCP socket that listens, and each UDP socket open to anyone."""
    found = set()
    for process in processes:
        try:
            sockets = process.net_connections("inet")
        except psutil.NoSuchProcess:  # it has just ended
            continue
        for one in sockets:
            waits = one.status == psutil.CONN_LISTEN or (one.type == socket.SOCK_DGRAM and not one.raddr)
            if waits and one.laddr:
                found.add((one.laddr.ip, one.laddr.port, process.pid))
    return sorted(found)


def beyond_loopback(sockets: list[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    """Those at an address that another machine may reach."""
    return [one for one in sockets if not _is_loopback(one[0])]


def _is_loopback(address: str) -> bool:
    plain = ipaddress.ip_address(address)
    return (getattr(plain, "ipv4_mapped", None) or plain).is_loopback
