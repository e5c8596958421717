"""What deployments need on a Prefect server: work pools and automations.

`python -m infra.workspace` sets up the server that PREFECT_API_URL names, `make stack` its own. Both may be
repeated: what is there already gets the repository's template or trigger, and keeps a person's switches.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from infra import health
from llama_core.errors import ServiceError

HERE = Path(__file__).parent
BEGINNINGS = 4  # times that one run may start, as in automations.yaml

# Each large size has its own pool, so that it has its own worker, store and queue.
POOLS = {
    "local": "local.json",
    "gpu-7b": "cluster.json",
    "gpu-13b": "cluster.json",
    "gpu-33b": "cluster.json",
    "gpu-65b": "cluster.json",
}


def set_up() -> None:
    """Create or update the pools and automations on the server that Prefect's settings name."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        for name, template in POOLS.items():
            _set_up_pool(client, name, json.loads((HERE / "work-pools" / template).read_text()))
        for automation in yaml.safe_load((HERE / "automations.yaml").read_text())["automations"]:
            _set_up_automation(client, automation)


def reschedule_lost_runs(worker_of: Callable[[str], str]) -> None:
    """Schedule again the flow runs that count as running although the worker of their pool has ended.

    `worker_of` names this machine's worker of a pool. Pools with another worker that is online are left
    alone. A run that has started BEGINNINGS times already becomes Crashed instead.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, WorkPoolFilter
    from prefect.states import AwaitingRetry, Crashed

    active = FlowRunFilter.model_validate({"state": {"type": {"any_": ["PENDING", "RUNNING"]}}})
    message = "Its worker ended with its stack or its machine."
    with get_client(sync_client=True) as client:
        ours = [
            pool for pool in POOLS if not is_served(client.read_workers_for_work_pool(pool), worker_of(pool))
        ]
        served = WorkPoolFilter.model_validate({"name": {"any_": ours}})
        for run in client.read_flow_runs(flow_run_filter=active, work_pool_filter=served):
            state = AwaitingRetry if run.run_count < BEGINNINGS else Crashed
            client.set_flow_run_state(run.id, state(message=message), force=True)


def schedule_switch(deployment: str, slug: str, first: bool) -> dict[str, bool]:
    """Return `active`: whether a schedule is on, as a person has left it, and `first` to begin with.

    It is a build step in prefect.yaml, as is `automation_switch`: each deploy would put the switch back
    otherwise. `slug` names the schedule.
    """
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    with get_client(sync_client=True) as client:
        try:
            schedules = client.read_deployment_by_name(deployment).schedules
        except ObjectNotFound:
            schedules = []
    return {"active": next((there.active for there in schedules if there.slug == slug), first)}


def automation_switch(name: str, first: bool) -> dict[str, bool]:
    """Return `enabled`, whether an automation is on: as a person has left it, and `first` to begin with."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        there = client.read_automations_by_name(name)
    return {"enabled": there[0].enabled if there else first}


def is_served(workers: list[Any], but: str) -> bool:
    """Tell whether one of the workers of a pool is online, other than the one named `but`."""
    return any(worker.name != but and worker.status == "ONLINE" for worker in workers)


def _set_up_pool(client: Any, name: str, template: dict[str, Any]) -> None:
    from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
    from prefect.exceptions import ObjectNotFound

    try:
        client.read_work_pool(name)
    except ObjectNotFound:
        client.create_work_pool(WorkPoolCreate(name=name, type="process", base_job_template=template))
    else:
        client.update_work_pool(name, WorkPoolUpdate(base_job_template=template))


def _set_up_automation(client: Any, values: dict[str, Any]) -> None:
    from prefect.events.schemas.automations import AutomationCore

    automation = AutomationCore.model_validate(values)
    there = client.read_automations_by_name(automation.name)
    if not there:
        client.create_automation(automation)
        return
    automation.enabled = there[0].enabled
    # Only where it differs: the server goes on firing the trigger that an update replaces (Prefect 3.8).
    if automation.model_dump() != there[0].model_dump(exclude={"id"}):
        client.update_automation(there[0].id, automation)


if __name__ == "__main__":
    try:
        with health.asking_prefect():
            set_up()
    except ServiceError as error:
        sys.exit(f"error: {error}")
    print(f"work pools: {', '.join(POOLS)}; automations: see the server's page")
    sys.exit()
