"""Whatever a program does, it reaches nothing, nothing of it is left, and the next one runs.

Each attack is run in the jail as it is, in its namespaces alone without the filter of calls, and in the
weaker one without namespaces, so that no layer hides that another one leaks.
"""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from llama_core.evaluate.sandbox import programs
from llama_core.evaluate.sandbox.programs import WEAKER, Limits, Outcome, run

if lacking := programs.missing():
    pytest.skip(f"no program of a model is run here: {lacking}", allow_module_level=True)

LIMITS = Limits(cpu_seconds=1, seconds=4)
NO_FILTER = (
    "from llama_core.evaluate.sandbox import confine, jail; confine.refuse_calls = lambda changes: None; "
    "jail.main()"
)
FORK_BOMB = """
import os
while True:
    try:
        os.fork()
    except OSError:
        pass
"""
DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.closerange(0, 100)
        time.sleep(1000)
    os._exit(0)
"""
SPAWN = "import subprocess; subprocess.Popen(['/usr/bin/sleep', '1000'], start_new_session=True)"
KILL_PARENT = "import os; os.kill(os.getppid(), 9)"
KILL_FIRST = "import os; os.kill(1, 9)"
KILL_ALL = "import os; os.kill(-1, 9)"
IGNORE = """
import signal
for n in set(range(1, 65)) - {9, 19, 32, 33}:
    signal.signal(n, signal.SIG_IGN)
"""
DEAF_LOOP = IGNORE + "while True: pass"
DEAF_SLEEP = IGNORE + "import time\nwhile True: time.sleep(1)"
LOOP = "while True: pass"
ALL_DESCRIPTORS_CLOSED = "import os\nos.closerange(0, 1000)\nwhile True: pass"
MEMORY = "x = bytearray(10 ** 10)"
MEMORY_BIT_BY_BIT = "x = []\nwhile True: x.append(bytearray(10 ** 7))"
OUTPUT = "while True: print('x' * 100000)"
ERRORS = "import sys\nwhile True: sys.stderr.write('x' * 100000)"
THREADS = """
import threading, time
while True:
    threading.Thread(target=time.sleep, args=(1000,)).start()
"""
DISK = """
for n in range(100):
    with open(f"/tmp/{n}", "wb") as file:
        while True: file.write(bytes(10 ** 6))
"""
RECURSION = "import sys\nsys.setrecursionlimit(10 ** 9)\ndef f(): return f()\nf()"
CRASH = "import ctypes; ctypes.string_at(0)"
FORGED = "import os\nos.write(4, b'0' * 32)\nos._exit(0)"
EXIT = "import os; os._exit(0)"
QUIET_EXIT = "raise SystemExit"
SHARED_MEMORY = "import ctypes\nif ctypes.CDLL(None).shmget(7, 1 << 20, 0o1666) < 0: raise OSError"
OWN_TIMER = """
import ctypes, time
libc = ctypes.CDLL(None)
event = (ctypes.c_int * 16)(0, 0, 40, 0)  # SIGEV_SIGNAL, a signal that has no name
timer = ctypes.c_void_p()
assert libc.timer_create(0, event, ctypes.byref(timer)) == 0
assert libc.timer_settime(timer, 0, (ctypes.c_long * 4)(0, 0, 0, 1000), None) == 0
time.sleep(1000)
"""
BECOME_ROOT = "import os; os.setuid(0)"
NAMESPACES = "import ctypes\nif ctypes.CDLL(None).unshare(0x10000000): raise OSError"
MOUNT = "import ctypes\nif ctypes.CDLL(None).mount(b'none', b'/tmp', b'tmpfs', 0, None): raise OSError"
EXECUTE = "import os; os.execv('/bin/sh', ['sh', '-c', 'exit 0'])"
ATTACKS = {name: value for name, value in vars().items() if name.isupper() and isinstance(value, str)}
ATTACKS = {name: value for name, value in ATTACKS.items() if name not in ("NO_FILTER", "IGNORE", "WEAKER")}
# What does no harm inside namespaces, and is refused by the filter alone.
HARMLESS_IN_NAMESPACES = {"DAEMON", "SPAWN", "SHARED_MEMORY", "NAMESPACES", "KILL_FIRST", "KILL_PARENT"}


OTHER_LAYERS = [pytest.param(name, marks=pytest.mark.slow) for name in ("namespaces alone", "weaker")]


@pytest.fixture(params=["whole", *OTHER_LAYERS])
def layer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "namespaces alone":
        monkeypatch.setattr(programs, "_JAIL", ("-c", NO_FILTER))
    if request.param == "weaker":
        python = readable_python()
        monkeypatch.setattr(programs, "_interpreter", lambda: python)
        monkeypatch.setenv(WEAKER, "weaker")
    return str(request.param)


def readable_python() -> str:
    """Return a Python that every user can run."""
    for path in (Path(programs._interpreter()), Path("/usr/bin/python3").resolve()):
        if path.exists() and all(part.stat().st_mode & 1 for part in (path, *path.parents)):
            version = subprocess.check_output([path, "-c", "import sys; print(sys.version_info >= (3, 11))"])
            if version.strip() == b"True":
                return str(path)
    pytest.skip("no Python here is one that every user can run")


def descendants() -> set[int]:
    """Return the processes that this one has started, and those that they have."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
    found, left = set[int](), {os.getpid()}
    while left:
        left = {process for process, parent in parents.items() if parent in left}
        found |= left
    return found


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Orphans become children of this process, so none can hide."""
    subreaper = 36
    libc = ctypes.CDLL(None)
    libc.prctl(subreaper, 1, 0, 0, 0)
    mounts, before = Path("/proc/self/mountinfo").read_text(), descendants()
    open_files = sorted(os.listdir("/proc/self/fd"))
    yield
    left = descendants() - before
    libc.prctl(subreaper, 0, 0, 0, 0)
    assert not left
    assert Path("/proc/self/mountinfo").read_text() == mounts
    assert sorted(os.listdir("/proc/self/fd")) == open_files


@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_is_left_of_an_attack_and_the_next_program_runs(name: str, layer: str) -> None:
    outcome = run(ATTACKS[name], LIMITS)
    if not (layer == "namespaces alone" and name in HARMLESS_IN_NAMESPACES):
        assert not outcome.passed and outcome.reason
    assert run("assert sum(range(4)) == 6", LIMITS) == Outcome(True, "")


@pytest.mark.parametrize("family", ["AF_INET", "AF_UNIX", "AF_NETLINK", "AF_VSOCK"])
def test_a_program_reaches_no_socket(family: str, layer: str) -> None:
    if layer == "namespaces alone" and family != "AF_INET":
        return  # an empty network has these
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        connect = f".connect(('127.0.0.1', {server.getsockname()[1]}))" if family == "AF_INET" else ""
        assert not run(f"import socket; socket.socket(socket.{family}){connect}", LIMITS).passed
        with pytest.raises(TimeoutError):
            server.accept()


def test_a_program_changes_no_files_outside(layer: str, tmp_path: Path) -> None:
    folder = tmp_path
    while folder != folder.parent:  # every user may go there, so that it is the jail that forbids it
        if folder.owner() == Path.home().owner() and folder.stat().st_mode & 0o077 == 0:
            folder.chmod(0o711)
        folder = folder.parent
    tmp_path.chmod(0o777)
    there = tmp_path / "there"
    there.write_text("here before")
    there.chmod(0o666)
    for attack in (
        f"open({str(there)!r}, 'w').write('x')",
        f"open({str(tmp_path / 'new')!r}, 'w').write('x')",
        f"import os; os.unlink({str(there)!r})",
        f"import os; os.rename({str(there)!r}, {str(tmp_path / 'other')!r})",
        f"import os; os.truncate({str(there)!r}, 0)",
        f"import os; os.chmod({str(there)!r}, 0o777)",
        f"import os; os.mkdir({str(tmp_path / 'folder')!r})",
        f"import os; os.symlink('/', {str(tmp_path / 'link')!r})",
    ):
        assert not run(attack, LIMITS).passed, attack
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"there": "here before"}


def test_a_program_sees_python_and_an_empty_scratch_alone(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("word")
    program = f"""
import os
assert os.getcwd() == "/tmp" and not os.listdir("/tmp")
import sys
of_python = sys.base_prefix.split("/")[1]
assert set(os.listdir("/")) <= {{"bin", "dev", "etc", "lib", "lib64", "tmp", "usr", of_python}}
assert set(os.listdir("/etc")) <= {{"ld.so.cache"}} and os.listdir("/dev") == ["null"]
for path in ({str(secret)!r}, {str(Path(__file__))!r}, "/etc/passwd"):
    assert not os.path.exists(path), path
assert (os.getpid(), os.getppid(), os.getuid(), os.getgid(), os.getgroups()) in (
    (2, 1, 65534, 65534, []), (2, 1, 65534, 65534, [65534])
)
assert set(os.environ) == {{"PATH", "HOME", "LANG", "PYTHONHASHSEED", "PYTHONDONTWRITEBYTECODE"}}, os.environ
for descriptor in range(5, 1000):
    try:
        os.fstat(descriptor)
    except OSError:
        continue
    raise AssertionError(descriptor)
with open("note", "w") as file:
    file.write("x")
with open(os.devnull, "w") as file:
    file.write("x")
import ctypes, datetime, decimal, hashlib, json, random, sqlite3, statistics, zoneinfo
"""
    assert run(program, LIMITS) == Outcome(True, "")
    assert run("import os\nassert not os.listdir('/tmp')", LIMITS).passed


def test_a_program_ends_with_the_process_that_asked_for_it() -> None:
    program = "from llama_core.evaluate.sandbox.programs import run; run('import time; time.sleep(1000)')"
    before = descendants()
    asking = subprocess.Popen([sys.executable, "-c", program])
    wait_for(lambda: len(descendants() - before) >= 4)  # it, the jail, its first process, and the program
    asking.send_signal(signal.SIGKILL)
    asking.wait()

    def ended() -> bool:
        for process in descendants() - before:  # they were given to this process
            with contextlib.suppress(ChildProcessError):
                os.waitpid(process, os.WNOHANG)
        return descendants() == before

    wait_for(ended)


def wait_for(true: object) -> None:
    assert callable(true)
    until = time.monotonic() + 30
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)
