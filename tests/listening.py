"""The sockets at which a process and all that it has started wait for strangers."""

import ipaddress
import socket
import time

import psutil


def listening(pid: int) -> list[tuple[str, int, int]]:
    """Address, port and process of each TCP socket that listens and each UDP socket that takes from anyone.

    `pid`: the process whose sockets are listed, and those of all its descendants.
    """
    found = set()
    root = psutil.Process(pid)
    for process in [root, *root.children(recursive=True)]:
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


def watch(pid: int, seconds: float, every: float = 0.05) -> set[tuple[str, int, int]]:
    """What is listening at any moment of the next seconds, or until the process has ended."""
    found: set[tuple[str, int, int]] = set()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            found.update(listening(pid))
        except psutil.NoSuchProcess:
            break
        time.sleep(every)
    return found


def _is_loopback(address: str) -> bool:
    plain = ipaddress.ip_address(address)
    return (getattr(plain, "ipv4_mapped", None) or plain).is_loopback
