"""Ask whether a server is up, once.

A server that runs on this machine beside us is asked by `answers`, which imports nothing slow. A server that
a person names is asked by its own client, so that proxies, TLS settings and credentials are those of the run.
"""

import contextlib
import functools
import urllib.request
from collections.abc import Iterator
from typing import Any

from infra.environment import variables
from infra.home import home
from llama_core.errors import ServiceError

PATIENCE = 10  # seconds for a server to answer
# MLflow's client asks once: by itself it tries again for minutes.
ONCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": str(PATIENCE)}

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


def prefect_refusal(error: Exception) -> str | None:
    """Return what keeps us out of a Prefect server that is there, and the settings to see, or None."""
    from prefect.exceptions import PrefectHTTPStatusError

    if isinstance(error, PrefectHTTPStatusError):
        code = error.response.status_code
        if code in (401, 403):
            settings = "PREFECT_API_AUTH_STRING, PREFECT_API_KEY and PREFECT_CLIENT_CUSTOM_HEADERS"
            return f"refuses us (HTTP {code}): see {settings}"
        return f"fails (HTTP {code}): see its log"
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "has a certificate that nothing here vouches for: name its CA in PREFECT_API_SSL_CERT_FILE"
    return None


@contextlib.contextmanager
def asking_prefect() -> Iterator[None]:
    """Make a ServiceError of what Prefect's client raises where the server is away or refuses us."""
    import httpx
    from prefect.exceptions import PrefectHTTPStatusError
    from prefect.settings import PREFECT_API_URL

    try:
        yield
    except (httpx.HTTPError, PrefectHTTPStatusError) as error:
        what = prefect_refusal(error) or f"does not answer ({type(error).__name__})"
        raise ServiceError(f"Prefect at {PREFECT_API_URL.value()} {what}") from None


def mlflow_refusal(error: Exception) -> str | None:
    """Return what keeps us out of an MLflow server that is there, and the settings to see, or None."""
    if getattr(error, "error_code", None) in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
        settings = "MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD and MLFLOW_TRACKING_TOKEN"
        return f"refuses us: see {settings}: {first_line(error)}"
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        setting = "MLFLOW_TRACKING_SERVER_CERT_PATH"
        return f"has a certificate that nothing here vouches for: name its CA in {setting}"
    return None


def first_line(error: Exception) -> str:
    """Return the first line of what an error says."""
    return str(error).partition("\n")[0]


def mlflow_fault(uri: str) -> Exception | None:
    """Ask the MLflow server, or open the MLflow database, at `uri`. Return what went wrong, or None.

    Where MLflow's error only wraps that of a connection, the latter is returned.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.store.db.db_types import DATABASE_ENGINES
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from mlflow.tracking import MlflowClient

    is_database = uri.partition(":")[0].partition("+")[0] in DATABASE_ENGINES
    try:
        with variables(**ONCE):
            # Its first use makes the tables, and writes a folder into an SQL statement without quoting it:
            # by itself, one in the working directory.
            api = SqlAlchemyStore(uri, home().as_uri()) if is_database else MlflowClient(uri)
            api.search_experiments(max_results=1)
    except MlflowException as error:
        cause = error.__context__
        return cause if isinstance(cause, OSError) else error
    except Exception as error:  # of the database, its driver, or the tables' versions
        return error
    return None


@functools.cache
def _prefect_client(url: str) -> Any:
    """Return the one client for this server: making its TLS settings takes a tenth of a second."""
    from prefect.client.orchestration import get_client

    return get_client(httpx_settings={"timeout": PATIENCE}, sync_client=True)
