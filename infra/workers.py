"""`python -m infra.workers POOL ...`: a worker for each of these pools, in one process.

The stack serves every pool, so that no run waits for a worker that nobody starts: where this machine cannot
hold the recipe, the flow says what it needs and ends. A pool that another worker serves, such as one on the
login node of a cluster, is left to that worker.
"""

import sys

import anyio
from prefect.client.schemas.objects import FlowRun, WorkerStatus
from prefect.workers.process import ProcessWorker


class StackWorker(ProcessWorker):
    """A worker that begins no run while another worker of its pool is online."""

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        workers = await self.client.read_workers_for_work_pool(self._work_pool_name)
        if any(w.name != self.name and w.status == WorkerStatus.ONLINE for w in workers):
            return []
        return await super().get_and_submit_flow_runs()


async def serve(pools: list[str]) -> None:
    """Serve the pools until the process is ended.

    The names of the workers are fixed, so that a stack that starts again is not another worker.
    """
    async with anyio.create_task_group() as group:
        for pool in pools:
            worker = StackWorker(work_pool_name=pool, name=f"stack-{pool}", create_pool_if_not_found=False)
            group.start_soon(worker.start)


if __name__ == "__main__":
    anyio.run(serve, sys.argv[1:])
