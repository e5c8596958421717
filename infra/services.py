"""Prefect and MLflow for the length of a run.

What the environment or the active Prefect profile names is checked and used. Otherwise a run has the
home's own: a Prefect server on loopback (`infra.prefect_server`) and MLflow on a SQLite file.
"""

import contextlib
import fcntl
import os
import sqlite3
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

from infra import health, login, prefect_server
from infra.environment import past_proxies, prefect_settings, variables
from infra.home import check_home, folder, home, private, sqlite_uri
from llama_core.errors import ServiceError

START_PATIENCE = 120.0  # seconds; a first start on a loaded laptop takes 15
STARTS = 3  # holders that may end before the server has answered
KEEP_EVERY = 2.0  # seconds between two looks for the holder


@contextlib.contextmanager
def run_services(meanwhile: Callable[[], object] | None = None) -> Iterator[str]:
    """Check or start Prefect and MLflow, name them in the environment, and yield the URL of Prefect's API.

    `meanwhile` runs while the server starts: the place for slow imports. Raises ServiceError.
    """
    with PrefectServer() as prefect, variables(MLFLOW_TRACKING_URI=mlflow_uri()):
        if meanwhile:
            meanwhile()
        yield prefect.wait()


class PrefectServer:
    """The Prefect server of this run: `with PrefectServer() as server: ...; url = server.wait()`.

    Entering starts the server, or checks the one that the settings name, and puts its URL in the
    environment and in Prefect's settings; it does not wait for the start. Raises ServiceError.
    """

    def __enter__(self) -> "PrefectServer":
        self._stack = contextlib.ExitStack()
        # Prefect takes seconds to import, in which the server can start.
        self._named = _named_server() if _may_be_named() else None
        if self._named:
            return self
        with self._stack:
            self._starts = 0
            check_home()
            clients = prefect_server.Lock("clients.lock")
            self._stack.callback(clients.close)
            clients.share()
            self._url = self._find()
            asked = login.read()
            auth = {"PREFECT_API_AUTH_STRING": asked.text} if asked else {}
            self._stack.enter_context(prefect_settings(PREFECT_API_URL=self._url, **auth, **past_proxies()))
            self._stack.enter_context(self._kept())
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def wait(self) -> str:
        """Wait until the server answers. Return the URL of its API. Raises ServiceError."""
        if self._named:
            return self._named
        deadline = time.monotonic() + START_PATIENCE
        while not health.answers(self._url):
            if time.monotonic() > deadline:
                raise _not_started(f"did not answer within {START_PATIENCE:.0f} s")
            if not prefect_server.is_held():
                self._start_holder()
            time.sleep(0.1)
        return self._url

    def _find(self) -> str:
        """Return the URL where the server is, or will be in a moment; start a holder if there is none."""
        deadline = time.monotonic() + START_PATIENCE
        while not (url := prefect_server.where()):
            if time.monotonic() > deadline:
                raise _not_started("was not announced")
            if not prefect_server.is_held():
                self._start_holder()
            time.sleep(0.05)
        return url

    def _start_holder(self) -> None:
        if self._starts == STARTS:
            raise _not_started("does not start")
        self._starts += 1
        _start_holder()

    @contextlib.contextmanager
    def _kept(self) -> Iterator[None]:
        """Start another holder, on the same port, whenever the holder is gone."""
        done = threading.Event()

        def keep() -> None:
            while not done.wait(KEEP_EVERY):
                if not prefect_server.is_held():
                    _start_holder()

        threading.Thread(target=keep, name="prefect-holder", daemon=True).start()
        try:
            yield
        finally:
            done.set()


def mlflow_uri() -> str:
    """Return the URI where MLflow keeps runs and models: MLFLOW_TRACKING_URI, else the home's SQLite file.

    Raises ServiceError where it cannot be used.
    """
    if named := os.environ.get("MLFLOW_TRACKING_URI"):
        if named.startswith(("http://", "https://")) and (error := health.mlflow_fault(named)):
            raise _mlflow_refused(named, error)
        return named
    return prepare_mlflow()


@contextlib.contextmanager
def mlflow_to_read() -> Iterator[None]:
    """Name in the environment the MLflow of the runs here, for a program that reads what they have kept.

    Raises ServiceError where it cannot be used, and where no run has kept anything yet.
    """
    named = os.environ.keys() & {"MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"}
    database = home() / "mlflow" / "mlflow.db"
    if not named and not database.exists():
        raise ServiceError(
            f"no run has registered a model here, in {database}: `make pretrain` does, or let "
            "MLFLOW_TRACKING_URI or LLAMA_HOME name where one was registered"
        )
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    with variables(MLFLOW_TRACKING_URI=mlflow_uri()):
        yield


def prepare_mlflow() -> str:
    """Make MLflow's tables in the home's SQLite file, if need be. Return its URI. Raises ServiceError."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")  # it would tell the terminal of its tables
    check_home()
    database = folder("mlflow") / "mlflow.db"
    uri = sqlite_uri(database)
    # MLflow makes its tables at first use, and two first uses at the same time spoil them.
    with open(database.parent / "mlflow.lock", "w", opener=private) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:  # MLflow tries for minutes to open what cannot be opened
            with contextlib.closing(sqlite3.connect(database, timeout=health.PATIENCE)) as opened:
                opened.execute("PRAGMA schema_version")
        except sqlite3.Error as fault:
            raise ServiceError(f"MLflow's database {database} cannot be opened: {fault}") from None
        if error := health.mlflow_fault(uri):
            raise ServiceError(f"MLflow's database {database} cannot be used: {health.first_line(error)}")
    return uri


def _may_be_named() -> bool:
    """Tell whether Prefect, once imported, could find a setting: in a variable, a profile or a file here."""
    if any(name.upper().startswith("PREFECT_") for name in os.environ):
        return True
    if any(Path(name).expanduser().exists() for name in ("~/.prefect/profiles.toml", ".env", "prefect.toml")):
        return True
    try:
        project = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))
    except FileNotFoundError:
        return False
    except ValueError:
        return True  # Prefect says what is wrong with it
    return "prefect" in project.get("tool", {})


def _named_server() -> str | None:
    """Return the URL of the Prefect server that the settings name, or None. Raises ServiceError."""
    from prefect.client.orchestration import get_client
    from prefect.context import get_settings_context

    context = get_settings_context()
    url = context.settings.api.url
    if not url:
        return None
    if "PREFECT_API_URL" in os.environ:
        name, instead = "PREFECT_API_URL", "unset PREFECT_API_URL"
    else:
        name, instead = f"the Prefect profile {context.profile.name!r}", "take a profile without a server"
    if error := health.prefect_fault():
        if refusal := health.prefect_refusal(error):
            raise ServiceError(f"Prefect at {url}, named by {name}, {refusal}")
        raise ServiceError(
            f"Prefect does not answer at {url}, named by {name} ({type(error).__name__}): start it "
            f"(`make stack` does, on this machine), or {instead} for a server of the run's own"
        )
    with health.asking_prefect(), get_client(sync_client=True) as client:
        client.read_flows(limit=1)
    return url


def _mlflow_refused(url: str, error: Exception) -> ServiceError:
    if refusal := health.mlflow_refusal(error):
        return ServiceError(f"MLflow at {url}, named by MLFLOW_TRACKING_URI, {refusal}")
    return ServiceError(
        f"MLflow does not answer at {url}, named by MLFLOW_TRACKING_URI ({type(error).__name__}): start "
        "it (`make stack` does, on this machine), or unset MLFLOW_TRACKING_URI for a database of your own"
    )


def _start_holder() -> None:
    with open(prefect_server.log_file(), "ab", opener=private) as log:
        subprocess.run(
            [sys.executable, "-m", "infra.prefect_server"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            check=False,
        )


def _not_started(what: str) -> ServiceError:
    return ServiceError(f"the run's own Prefect server {what}: see {prefect_server.log_file()}")
