"""torchrun as the launchers use it: `python -m infra.launch.agent TORCHRUN_ARGUMENTS -m MODULE ...`.

It is the same agent as `torchrun`, with five differences. It ends with its launcher, and its ranks with it:
it terminates them, and kills those that do not listen. It exits with the code of the rank that failed
first, and says so in one line, where torchrun always exits with 1 after a long traceback; and as the ranks do
where a signal has asked for their end. Before that it starts all ranks of the job again, together with the
agents of the other nodes, spare ones included (`infra.launch.failures`). With `--start-method=fork` it
imports what MODULE needs once and forks its ranks, which then begin at once. This is not for GPUs, whose
driver does not survive a fork. And its ranks meet at a store that strangers cannot use
(`infra.launch.rendezvous`).
"""

import importlib.util
import logging
import os
import runpy
import signal
import sys
import traceback

from infra.imports import lasting
from llama_core import lifeline, program
from llama_core.exit import leave
from llama_core.output import forgive
from llama_core.program import STOPPED
from llama_core.url import redact, redact_logs

RESTARTED = "[agent] the ranks start again from their last checkpoint, in the same job"


def main() -> int:
    """Run the agent until its ranks have ended for good.

    Returns the code of the rank that failed first, or 0.
    """
    signal.signal(signal.SIGTERM, lambda *_: leave(STOPPED))  # until there are ranks
    signal.signal(signal.SIGUSR1, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    lifeline.watch(lost=lambda: os.kill(os.getpid(), signal.SIGTERM))
    forgive()
    redact_logs()

    with lasting():
        from torch.distributed import run
        from torch.distributed.elastic.multiprocessing.api import SignalException
        from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
        from torch.distributed.launcher.api import elastic_launch

        from infra.launch import failures, rendezvous

    arguments = run.parse_args(sys.argv[1:])
    forks = arguments.start_method == "fork"
    if forks:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # torch's agent looks for GPUs; no fork works after that
    config, entrypoint, parameters = run.config_from_args(arguments)
    restarts, config.max_restarts = failures.Restarts(config.max_restarts), 0
    meetings = rendezvous.use(config, met_again=lambda: print(RESTARTED, file=sys.stderr))
    failures.use()
    if forks:
        module = arguments.training_script
        spec = importlib.util.find_spec(module)
        if spec and spec.submodule_search_locations:
            with lasting():
                program.load(module)
        lifeline.keep()
        logging.getLogger("torch.distributed.elastic.multiprocessing.api").addFilter(_is_news)
        entrypoint, parameters = _rank, [module, *arguments.training_script_args]
    try:
        while True:
            try:
                elastic_launch(config, entrypoint)(*parameters)
                return 0
            except ChildFailedError as error:
                code, of_node = failures.report(error, config.min_nodes)
                meetings.failures += of_node
                if not restarts.again(code):
                    meetings.give_up()
                    return code
    except rendezvous.NotNeeded:
        return 0
    except SignalException as error:
        return failures.ended_by(error.sigval)


def _rank(module: str, *args: str) -> None:
    """Be a forked rank, as `python -m module args`. Return on success, which the agent waits for."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1):
        signal.signal(number, signal.SIG_DFL)  # instead of the agent's handlers, which a fork inherits
    sys.argv = [module, *args]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code:
            raise
    except Exception:
        print(
            redact(traceback.format_exc()), file=sys.stderr
        )  # if it were raised, torch would write it to a file of its own, not to the log
        sys.exit(1)


def _is_news(record: logging.LogRecord) -> bool:
    """Tell whether the log needs this record of the agent's: `main` reports the failure of a rank itself."""
    return not str(record.msg).startswith("failed (exitcode")


if __name__ == "__main__":
    try:
        code = main()
    except BaseException:
        print(redact(traceback.format_exc()), file=sys.stderr)
        code = 1
    leave(code)
