"""torchrun as the launchers use it: `python -m infra.launch.agent TORCHRUN_ARGUMENTS`.

The same agent as `torchrun`, with two differences. It ends with its launcher, and its ranks with it:
it terminates them, and kills those that do not listen. And it exits with the code of the rank
that failed first, told in one line, where torchrun always exits with 1 under a long traceback.
"""

import os
import signal
import sys

from llama_core import lifeline


def main() -> int:
    lifeline.watch(lambda: os.kill(os.getpid(), signal.SIGTERM))

    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    try:
        run.run(run.parse_args(sys.argv[1:]))
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        code = failure.exitcode
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"
        print(f"[agent] rank {rank} failed first: it {how}", file=sys.stderr)
        return code if code > 0 else 128 - code
    except SignalException as error:
        return 128 + error.sigval
    return 0


if __name__ == "__main__":
    sys.exit(main())
