"""Ask whether a server is up, once.

A server that runs on this machine beside us is asked by `answers`, which imports nothing slow. A server that
a person names is asked by its own client, so that proxies, TLS settings and credentials are those of the run.
"""

import functools
import urllib.request
from typing import Any

from infra.environment import variables

PATIENCE = 10  # seconds for a server to answer

# Past proxies: the server is on loopback.
_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


def answers(url: str) -> bool:
    """Tell whether a server on this machine answers at `url`: Prefect (the URL of its API) or MLflow."""
    try:
        with _open(f"{url}/health", timeout=PATIENCE) as reply:
            return reply.status == 200
    except OSError:
        return False


def prefect_fault() -> Exception | None:
    """Ask the Prefect server that Prefect's settings name. Return what went wrong, or None.

    Prefect's settings also say how often its client tries again.
    """
    from prefect.settings import PREFECT_API_URL

    return _prefect_client(PREFECT_API_URL.value()).api_healthcheck()


def mlflow_fault(uri: str) -> Exception | None:
    """Ask the MLflow server, or open the MLflow database, at `uri`. Return what went wrong, or None.

    Where MLflow's error only wraps that of a connection, the latter is returned.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    # By itself the client tries again for minutes.
    once = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": str(PATIENCE)}
    try:
        with variables(**once):
            MlflowClient(uri).search_experiments(max_results=1)
    except MlflowException as error:
        cause = error.__context__
        return cause if isinstance(cause, OSError) else error
    return None


@functools.cache
def _prefect_client(url: str) -> Any:
    """Return the one client for this server: making its TLS settings takes a tenth of a second."""
    from prefect.client.orchestration import get_client

    return get_client(httpx_settings={"timeout": PATIENCE}, sync_client=True)
