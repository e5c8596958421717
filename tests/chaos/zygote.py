"""The command `python -m flows`, forked as often as it is asked for from one process that has imported it.

A line of its input is a run, as JSON: `args`, `env`, and the file for its `output`. It answers with the
process id of the run; once that has ended, in whatever way, its exit code is in the file `output` + ".code".
Left out is what makes a short run long: the imports, which are done once, and Prefect. All else is as ever:
the command, its processes, the store, the registry.
"""

import contextlib
import importlib
import json
import os
import pkgutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any, NoReturn

ENDED = [signal.SIGCHLD]

running: dict[int, str] = {}  # outputs by process id


def main() -> None:
    _prepare()
    signal.signal(signal.SIGCHLD, _tell_who_has_ended)
    for line in sys.stdin:
        run = json.loads(line)
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDED)
        child = os.fork()
        if child == 0:
            _run(**run)
        running[child] = run["output"]
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDED)
        print(child, flush=True)


def _prepare() -> None:
    """Do once what takes a run seconds."""
    import mlflow
    import pytest
    from unorchestrated import leave_prefect_out

    import infra.services
    from llama_core.corpus import sources
    from tasks.export import import_for_export

    patch = pytest.MonkeyPatch()
    leave_prefect_out(patch)
    patch.setattr(infra.services, "PrefectServer", NoServer)
    import_for_export()
    for module in pkgutil.iter_modules(sources.__path__):
        importlib.import_module(f"{sources.__name__}.{module.name}")
    with tempfile.TemporaryDirectory() as folder:  # a database of its own: no connection may cross a fork
        mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db").search_experiments(max_results=1)


class NoServer(contextlib.AbstractContextManager["NoServer"]):
    def __exit__(self, *error: Any) -> None:
        pass

    def wait(self) -> str:
        return ""


def _tell_who_has_ended(*signalled: object) -> None:
    with contextlib.suppress(ChildProcessError):  # there is no other
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            output = running.pop(ended[0])
            Path(f"{output}.part").write_text(str(os.waitstatus_to_exitcode(ended[1])))
            os.replace(f"{output}.part", f"{output}.code")


def _run(args: list[str], env: dict[str, str], output: str) -> NoReturn:
    """In the fork: be the command."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDED)
    os.setsid()
    os.environ.update(env)
    with open(os.devnull) as nothing, open(output, "w") as file:
        os.dup2(nothing.fileno(), 0)
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    from flows.__main__ import main
    from llama_core.exit import leave

    leave(main(args), exit_functions=True)


if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]
    main()
