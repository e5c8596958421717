"""`python -m infra.stack` as a person uses it, on a home of its own."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from pipeline import ROOT, Pipeline
from system.ceph import free_port

PREFECT = str(Path(sys.executable).with_name("prefect"))


class Stack:
    """A stack with `options`, whose clients have `env`."""

    def __init__(self, home: Path, *options: str, env: dict[str, str] | None = None):
        self.ports = {"--prefect-port": free_port(), "--mlflow-port": free_port()}
        self.api = f"http://127.0.0.1:{self.ports['--prefect-port']}/api"
        self.mlflow = f"http://127.0.0.1:{self.ports['--mlflow-port']}"
        self.options = [str(part) for option in self.ports.items() for part in option] + list(options)
        names = {"PREFECT_API_URL": self.api} if env is None else env
        self.pipeline = Pipeline(home, f"file://{home}/store", names)
        self._log = home.parent / f"{home.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "infra.stack", *self.options],
                env=self.pipeline.environment(),
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 200
        while "Ctrl-C" not in self._log.read_text():
            assert self._process.poll() is None and time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.2)

    @property
    def said(self) -> str:
        """What it showed in its terminal."""
        return self._log.read_text()

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def interrupt(self) -> None:
        assert self._process
        self._process.send_signal(2)
        assert self._process.wait(timeout=60) == 0, self._log.read_text()
        assert not self.pipeline.ends(within=10)

    def kill(self) -> None:
        assert self._process
        self._process.kill()
        assert not self.pipeline.ends(within=30)

    def prefect(self, *args: str) -> str:
        done = subprocess.run(
            [PREFECT, *args], cwd=ROOT, env=self.pipeline.environment(), text=True, capture_output=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def watch(self, deployment: str) -> str:
        """Run a deployment to its end; what the terminal showed, in one line."""
        done = subprocess.run(
            [PREFECT, "deployment", "run", deployment, "--watch", "--watch-timeout", "180"],
            cwd=ROOT,
            env=self.pipeline.environment(COLUMNS="2000"),
            text=True,
            capture_output=True,
        )
        return " ".join(done.stdout.split())

    def ask(self, what: str, **body: Any) -> list[dict[str, Any]]:
        """POST /WHAT/filter of Prefect's REST API."""
        return httpx.post(f"{self.api}/{what}/filter", json=body, timeout=30).raise_for_status().json()

    def begin(self, store: str) -> str:
        """Start a run of micro by train/tiny, on a store that has its tokens; its id, once it trains."""
        before = {run["id"] for run in self.ask("flow_runs")}
        self.prefect("deployment", "run", "train/tiny", "-p", "recipe=micro", "-p", f"store={store}")
        [run] = [r["id"] for r in self.ask("flow_runs") if r["id"] not in before]
        deadline = time.monotonic() + 300
        while not self.ask(
            "task_runs", task_runs={"name": {"like_": "train"}}, flow_runs={"id": {"any_": [run]}}
        ):
            assert time.monotonic() < deadline, self.state(run)
            time.sleep(0.5)
        return run

    def state(self, run: str) -> dict[str, Any]:
        return httpx.get(f"{self.api}/flow_runs/{run}", timeout=30).raise_for_status().json()

    def await_completed(self, run: str, within: float = 400) -> dict[str, Any]:
        deadline = time.monotonic() + within
        while (state := self.state(run))["state_type"] != "COMPLETED":
            assert state["state_type"] not in ("FAILED", "CANCELLED"), state
            assert time.monotonic() < deadline, state
            time.sleep(1)
        return state
