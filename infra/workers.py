"""`python -m infra.workers POOL ...`: a worker for each of these pools, in one process.

The stack serves every pool, so that no run waits for a worker that nobody starts: where this machine cannot
hold the recipe, the flow says what it needs and ends. A pool that another worker serves, such as one on the
login node of a cluster, is left to that worker.
"""

import sys
import warnings

import anyio
from prefect.client.schemas.objects import FlowRun
from prefect.workers.process import ProcessWorker

from infra.workspace import is_served
from llama_core.url import redact_logs

# It takes the place of Prefect's own worker of a process pool, which is what is wanted.
warnings.filterwarnings("ignore", message="Type 'StackWorker' at .* matches existing registered type")


class StackWorker(ProcessWorker):
    """A worker that begins no run while another worker of its pool is online."""

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        workers = await self.client.read_workers_for_work_pool(self._work_pool_name)
        return [] if is_served(workers, but=self.name) else await super().get_and_submit_flow_runs()


def name_of(pool: str) -> str:
    """Return the name of the stack's worker for a pool: a stack that starts again is not another worker."""
    return f"stack-{pool}"


async def serve(pools: list[str]) -> None:
    """Serve the pools until the process is ended."""
    async with anyio.create_task_group() as group:
        for pool in pools:
            worker = StackWorker(work_pool_name=pool, name=name_of(pool), create_pool_if_not_found=False)
            group.start_soon(worker.start)


if __name__ == "__main__":
    redact_logs()
    anyio.run(serve, sys.argv[1:])
