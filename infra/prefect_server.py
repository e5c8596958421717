"""The home's Prefect server: one for all runs that use it, gone with the last of them.

`python -m infra.prefect_server` is its holder, a process of its own. It runs the server, starts it again
when it dies, and stops it when no run is left. Who is there is told by locks, which the kernel frees in
whatever way a process ends. In `<home>/prefect/`:

    clients.lock  shared by every run that uses the server
    holder.lock   exclusive: held by whoever runs the server, the holder or the stack
    server.json   where the server is, or will be in a moment
"""

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
import weakref
from pathlib import Path
from typing import Any

from infra import health, login, tether
from infra.home import folder, sqlite_uri, unusable, write_private

HOST = "127.0.0.1"
LOOK_EVERY = 0.5  # seconds between two looks at the clients and the server
ATTEMPTS = 3  # starts in a row without an answer, after which the holder gives up
STACK_PORT = 4200  # of the server of `make stack`, unless a person chooses another
PORT_PATIENCE = 10.0  # seconds for a server that is ending to leave its port

# No work pool is served for the length of a run, so nothing may be scheduled or triggered.
PRIVATE = {
    f"PREFECT_SERVER_SERVICES_{service}_ENABLED": "false"
    for service in ("SCHEDULER", "LATE_RUNS", "TRIGGERS", "FOREMAN", "DB_VACUUM")
}
_locks: "weakref.WeakSet[Lock]" = weakref.WeakSet()


class Lock:
    """A lock on a file in `<home>/prefect`, held by this process alone: a forked child closes its copy."""

    def __init__(self, name: str):
        self._file: int | None = None
        try:
            self._file = os.open(folder("prefect") / name, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise unusable(error) from error
        _locks.add(self)

    def share(self) -> None:
        """Take the lock, which others may share. Waits while another holds it exclusively."""
        assert self._file is not None
        fcntl.flock(self._file, fcntl.LOCK_SH)

    def take(self, shared: bool = False) -> bool:
        """Try to take the lock, without waiting. Return false where another holds it."""
        assert self._file is not None
        try:
            fcntl.flock(self._file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Give the lock up."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _give_up_locks() -> None:
    """Close the locks that a fork has copied: a pool of workers would otherwise hold those of a dead run."""
    for lock in list(_locks):
        lock.close()


os.register_at_fork(after_in_child=_give_up_locks)


def is_held() -> bool:
    """Tell whether a holder or the stack runs the home's server."""
    lock = Lock("holder.lock")
    try:
        return not lock.take(shared=True)
    finally:
        lock.close()


def take_holder_lock(patience: float = 1.0) -> Lock | None:
    """Return the lock that gives the right to run the home's server, or None where another has it.

    Tries for `patience` seconds, because `is_held` takes the lock for an instant too.
    """
    lock = Lock("holder.lock")
    deadline = time.monotonic() + patience
    while not lock.take():
        if time.monotonic() > deadline:
            lock.close()
            return None
        time.sleep(0.05)
    return lock


def announce(port: int, *, stays: bool = False) -> str:
    """Write down in `server.json` where the server will be. Return the URL of its API."""
    url = f"http://{HOST}:{port}/api"
    said = json.dumps({"url": url, "port": port, "holder": os.getpid(), "stays": stays})
    write_private(folder("prefect") / "server.json", said)
    return url


def where() -> str | None:
    """Return the URL of the server's API, or None where no living holder or stack has announced it."""
    last = announced()
    if last is None or not is_held():
        return None
    try:
        os.kill(last["holder"], 0)  # it is dead where a new holder has not yet announced its server
    except ProcessLookupError:
        return None
    return last["url"]


def announced() -> dict[str, Any] | None:
    """Return what was announced last, or None; nobody may be there any more."""
    try:
        return json.loads((folder("prefect") / "server.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def forget() -> None:
    """Remove what was announced."""
    (folder("prefect") / "server.json").unlink(missing_ok=True)


def is_free(port: int) -> bool:
    """Tell whether a server could listen at this port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def start(port: int, settings: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start a Prefect server on the home's database, which asks for the home's login where there is one.

    `settings` are given to it over ours. It ends with this process: it is on a tether.
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    env["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = sqlite_uri(
        folder("prefect") / "prefect.db", "sqlite+aiosqlite"
    )
    env["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"] = f"http://{HOST}:{port}"
    env |= settings | {
        "PREFECT_HOME": str(folder("prefect")),
        # Where the page came from, by whatever name: a page on localhost may not ask 127.0.0.1.
        "PREFECT_SERVER_UI_API_URL": "/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    if asked := login.read():
        env["PREFECT_SERVER_API_AUTH_STRING"] = asked.text
    command = [sys.executable, "-m", "infra.servers", "prefect", "--host", HOST, "--port", str(port)]
    return tether.start(command, log_file(), env, cwd=folder("prefect"))


def log_file() -> Path:
    """Return the path of the log that the server and its holder share."""
    return folder("logs") / "prefect-server.log"


def hold() -> int:
    """Run the server until no client is left. Return the exit code: 0, or 1 where it does not start.

    Returns at once where another holder or a stack runs it already.
    """
    lock = take_holder_lock()
    if lock is None:
        return 0
    clients = Lock("clients.lock")
    port = _port()
    url = announce(port)
    server = start(port, PRIVATE)
    failures = 0
    try:
        while not clients.take():
            time.sleep(LOOK_EVERY)
            if server.poll() is not None:
                failures += 1
                if failures == ATTEMPTS:
                    return 1
                server = start(port, PRIVATE)
            elif failures and health.answers(url):
                failures = 0
        forget()
        return 0
    finally:
        tether.stop(server)


def _port() -> int:
    """Return a free port: that of a holder that was killed, whose clients still use it, else any."""
    if last := announced():
        deadline = time.monotonic() + PORT_PATIENCE
        while time.monotonic() < deadline:
            if is_free(last["port"]):
                return last["port"]
            time.sleep(0.1)
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def main() -> int:
    """Become the holder, in the background."""
    if os.fork():  # the holder is nobody's child: it may outlive the run that started it
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with contextlib.suppress(KeyboardInterrupt):
        return hold()
    return 1


if __name__ == "__main__":
    sys.exit(main())
