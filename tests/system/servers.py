"""Servers of Prefect and MLflow that can be killed and come back."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from system.ceph import free_port


class Server:
    """A server process that can be killed, and started again on the same port and database."""

    def __init__(self, command: list[str], health: str, env: dict[str, str], log: Path):
        self._command, self._health, self._env, self._log = command, health, env, log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.begin()
        self.wait()

    def begin(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=self._env, stdout=log, stderr=log, start_new_session=True
            )

    def wait(self) -> None:
        """Wait until it answers."""
        assert self._process
        deadline = time.monotonic() + 120
        while not self._answers():
            assert time.monotonic() < deadline and self._process.poll() is None, self._log.read_text()[-3000:]
            time.sleep(0.5)

    def stop(self) -> None:
        assert self._process
        os.killpg(self._process.pid, signal.SIGSTOP)  # its port takes connections, and nobody answers

    def go_on(self) -> None:
        assert self._process
        os.killpg(self._process.pid, signal.SIGCONT)

    def kill(self) -> None:
        if self._process and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(self._health, timeout=2).close()
        except OSError:
            return False
        return True


class Servers:
    """A server of each, with its database in a folder; `env` names both."""

    def __init__(self, folder: Path):
        prefect_port, mlflow_port = free_port(), free_port()
        api, tracking = f"http://127.0.0.1:{prefect_port}/api", f"http://127.0.0.1:{mlflow_port}"
        self.database = f"sqlite:///{folder}/mlflow.db"
        self.env = {
            "PREFECT_API_URL": api,
            "MLFLOW_TRACKING_URI": tracking,
            "MLFLOW_REGISTRY_URI": self.database,
        }
        env = dict(os.environ) | {"PREFECT_HOME": str(folder / "prefect"), "DO_NOT_TRACK": "1"}
        env |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # as in our stack: six processes less
        module = [sys.executable, "-m"]
        self.prefect = Server(
            [*module, "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(prefect_port)],
            f"{api}/health", env, folder / "prefect.log",
        )  # fmt: skip
        self.mlflow = Server(
            [*module, "mlflow", "server", "--backend-store-uri", self.database, "--host", "127.0.0.1",
             "--port", str(mlflow_port), "--workers", "1"],
            f"{tracking}/health", env, folder / "mlflow.log",
        )  # fmt: skip

    def start(self) -> None:
        """Start both, at the same time, and wait until they answer."""
        for server in (self.prefect, self.mlflow):
            server.begin()
        for server in (self.prefect, self.mlflow):
            server.wait()

    def kill(self) -> None:
        for server in (self.prefect, self.mlflow):
            server.kill()
