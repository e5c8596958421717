"""`python -m infra.stack`: the services of one machine, in the foreground, until Ctrl-C.

A Prefect server, an MLflow server, and a worker for every pool, on the home that every run here uses.
Runs started beside it (`make pretrain`) find its Prefect server by themselves. It leaves no process behind,
not even after kill -9. With `--auth` both servers ask for the home's login, as they do whenever it has one.
"""

import argparse
import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from infra import health, login, prefect_server, services, tether
from infra.environment import past_proxies, prefect_settings
from infra.home import folder, home, sqlite_uri
from infra.login import Login
from infra.workspace import POOLS
from llama_core.errors import LlamaError, ServiceError
from llama_core.output import forgive
from llama_core.url import redact_logs

PATIENCE = 180.0  # seconds for a server to answer
LOOK_EVERY = 0.5  # seconds between two looks at the services
# A server that stops answering while it is set up is asked for two minutes; by itself Prefect takes seven.
BRIEFLY = {"PREFECT_API_REQUEST_TIMEOUT": "30", "PREFECT_CLIENT_MAX_RETRIES": "3"}
TOO_SOON = 10.0  # seconds: a service that ends sooner than this would end again


@dataclass
class Service:
    """A program of the stack. `start` starts it on a tether."""

    name: str
    log: Path
    start: Callable[[], "subprocess.Popen[bytes]"]
    since: float = 0.0
    process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    def run(self) -> None:
        """Start the program."""
        self.since = time.monotonic()
        self.process = self.start()

    def ended(self) -> bool:
        """Tell whether the program was started and has ended."""
        return self.process is not None and self.process.poll() is not None

    def stop(self) -> None:
        """End the program and what it has started."""
        if self.process:
            tether.stop(self.process)


class Stack:
    """The services of one machine, which start one after the other and end in the opposite order."""

    def __init__(self, prefect_port: int, mlflow_port: int, asked: Login | None):
        self.prefect_api = f"http://{prefect_server.HOST}:{prefect_port}/api"
        self.mlflow = f"http://{prefect_server.HOST}:{mlflow_port}"
        self._asked = asked
        self._database = sqlite_uri(folder("mlflow") / "mlflow.db")
        self._ports = {"--prefect-port": prefect_port, "--mlflow-port": mlflow_port}
        logs = folder("logs")
        self._server = Service(
            "Prefect",
            prefect_server.log_file(),
            lambda: prefect_server.start(prefect_port, _server_settings()),
        )
        self._tracker = Service("MLflow", logs / "mlflow-server.log", self._start_mlflow)
        self._worker = Service("the worker", logs / "prefect-worker.log", self._start_worker)

    def serve(self, signals: list[int]) -> None:
        """Start everything, say where it is, and keep it up until `signals` has one. Raises ServiceError."""
        lock = prefect_server.take_holder_lock()
        if lock is None:
            raise ServiceError(_in_use())
        for option, port in self._ports.items():
            if not prefect_server.is_free(port):
                raise ServiceError(
                    f"port {port} is taken by another program: end that, or choose another port, with "
                    f"`.venv/bin/python -m infra.stack {option} PORT`"
                )
        started: list[Service] = []
        try:
            self._server.run()
            started.append(self._server)
            prefect_server.announce(self._ports["--prefect-port"], stays=True)
            services.prepare_mlflow()
            self._tracker.run()
            started.append(self._tracker)
            _await(self._server, lambda: health.answers(self.prefect_api), signals)
            self._set_up()
            self._worker.run()
            started.append(self._worker)
            _await(self._tracker, lambda: health.answers(self.mlflow), signals)
            if not signals:
                print(self._welcome(), flush=True)
            while not signals:
                for service in started:
                    _keep(service)
                time.sleep(LOOK_EVERY)
        finally:
            for service in reversed(started):
                service.stop()
            tether.kill_descendants()
            _forget_unless_used()
            lock.close()

    def _start_mlflow(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "infra.servers", "mlflow"]
        command += ["--host", prefect_server.HOST, "--port", str(self._ports["--mlflow-port"])]
        # MLFLOW_TRACKING_URI would make the server a client of itself.
        env = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_TRACKING_", "MLFLOW_AUTH_"))}
        env |= {
            "MLFLOW_BACKEND_STORE_URI": self._database,
            "MLFLOW_ARTIFACTS_DESTINATION": (folder("mlflow") / "artifacts").as_uri(),
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }
        if self._asked:
            env |= self._asked.for_mlflow_server()
        return tether.start(command, self._tracker.log, env, cwd=folder("mlflow"))

    def _start_worker(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "infra.workers", *POOLS]
        env = os.environ | self._clients() | {"LLAMA_HOME": str(home())}
        return tether.start(command, self._worker.log, env)

    def _clients(self) -> dict[str, str]:
        """Return the variables with which a program uses these servers."""
        return {
            "PREFECT_API_URL": self.prefect_api,
            "MLFLOW_TRACKING_URI": self.mlflow,
            # The tracking server refuses versions whose files are in a local store; its database does not.
            "MLFLOW_REGISTRY_URI": self._database,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "1",  # Prefect would send what is used to its makers, and say so in the terminal
            **past_proxies(),
        } | (self._asked.for_clients() if self._asked else {})

    def _set_up(self) -> None:
        with prefect_settings(**self._clients(), **BRIEFLY):
            from infra import workers, workspace

            with health.asking_prefect():
                workspace.set_up()
                workspace.reschedule_lost_runs(workers.name_of)

    def _welcome(self) -> str:
        prefect = shlex.quote(os.path.relpath(Path(sys.executable).with_name("prefect")))
        named = f"export PREFECT_API_URL={self.prefect_api}"
        log_in = ""
        if self._asked:
            named = f"source {shlex.quote(str(login.write_exports(self._clients())))}"
            log_in = f"""
login     user {self._asked.user}, password as in {folder("") / "login"};
          Prefect's page asks for all of that line, MLflow's for the two halves of it"""
        return f"""
Prefect   {self.prefect_api.removesuffix("/api")}
MLflow    {self.mlflow}/#/models
logs      {folder("logs")}{log_in}

In another terminal:

  {named}
  {prefect} --no-prompt deploy --all
  {prefect} deployment run pretrain/tiny --watch

Ctrl-C stops everything."""


def main(argv: list[str] | None = None) -> int:
    """Run the stack until a signal ends it. Return the exit code: 0, or 2 where something does not start."""
    parser = argparse.ArgumentParser(prog="python -m infra.stack", description=__doc__, allow_abbrev=False)
    parser.add_argument("--prefect-port", type=int, default=prefect_server.STACK_PORT)
    parser.add_argument("--mlflow-port", type=int, default=5000)
    parser.add_argument("--auth", action="store_true", help="ask for a login, which is made at first use")
    options = parser.parse_args(argv)
    forgive()
    redact_logs()
    signals: list[int] = []  # no Event: a signal that came while it takes its lock would wait for ever
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: signals.append(number))
    tether.adopt_orphans()
    try:
        Stack(options.prefect_port, options.mlflow_port, _login(options.auth)).serve(signals)
    except LlamaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _login(wanted: bool) -> Login | None:
    """Return what the servers ask for: a person's own PREFECT_SERVER_API_AUTH_STRING, else the home's login.

    Where there is none, and one is `wanted`, it is made.
    """
    there = login.read()
    name = "PREFECT_SERVER_API_AUTH_STRING"
    if own := os.environ.get(name):
        given = login.parse(own, name)
        if given != there:
            login.keep(given)
        return given
    return there or (login.make() if wanted else None)


def _server_settings() -> dict[str, str]:
    """Return the server's settings: a person's own, such as PREFECT_SERVER_LOGGING_LEVEL, over ours."""
    own = {name: value for name, value in os.environ.items() if name.startswith("PREFECT_SERVER_")}
    # `prefect deployment run --watch` shows what a run says only where the server streams it.
    streamed = ("PREFECT_SERVER_LOGS_STREAM_OUT_ENABLED", "PREFECT_SERVER_LOGS_STREAM_PUBLISHING_ENABLED")
    return dict.fromkeys(streamed, "true") | own


def _await(service: Service, ready: Callable[[], bool], signals: list[int]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not ready() and not signals:
        if service.ended() or time.monotonic() > deadline:
            raise ServiceError(f"{service.name} does not start: see {service.log}")
        time.sleep(0.2)


def _keep(service: Service) -> None:
    """Start the service again if it has ended by itself. Raises ServiceError where it ended too soon."""
    if service.ended():
        if time.monotonic() - service.since < TOO_SOON:
            raise ServiceError(f"{service.name} ends as soon as it starts: see {service.log}")
        print(f"{service.name} ended; it is started again (see {service.log})", flush=True)
        service.run()


def _in_use() -> str:
    where = prefect_server.announced() or {"url": "?"}
    return (
        f"a run, or another stack, has a Prefect server on {home()} ({where['url']}): wait until it ends, "
        "or stop it, then start the stack again"
    )


def _forget_unless_used() -> None:
    """Remove what was announced, unless a run uses the server: it will start its own on the same port."""
    clients = prefect_server.Lock("clients.lock")
    with contextlib.closing(clients):
        if clients.take():
            prefect_server.forget()


if __name__ == "__main__":
    sys.exit(main())
