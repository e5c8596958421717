"""`python -m infra.servers prefect|mlflow`: a server, open to its own pages and to programs only.

The servers are the apps that `prefect server start` and `mlflow server` run, behind `llama_core.own_origin`.
Their settings are those of the environment. Where MLFLOW_AUTH_ADMIN_PASSWORD is set, MLflow asks for a login.
"""

import argparse
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn

from infra.imports import lasting
from llama_core.own_origin import LOOPBACK, OwnOrigin

NAMES = "LLAMA_SERVER_NAMES"  # what `--name` has named, for the processes of a server


def prefect_app() -> OwnOrigin:
    """Return Prefect's server: API, UI, and the services that schedule and react to events."""
    with lasting():
        from prefect.server.api.server import create_app

    return OwnOrigin(create_app(final=True), os.environ[NAMES].split())


def mlflow_app() -> OwnOrigin:
    """Return MLflow's server, with its login where one is set."""
    app: Any
    with lasting():
        if "MLFLOW_AUTH_ADMIN_PASSWORD" in os.environ:
            from mlflow.server.auth import create_app

            app = create_app()
        else:
            from mlflow.server.fastapi_app import app
    return OwnOrigin(app, os.environ[NAMES].split())


def _prepare_prefect(names: list[str]) -> dict[str, Any]:
    """Return what uvicorn is told of Prefect's server, as Prefect's own command tells it."""
    from prefect.settings import get_current_settings

    server = get_current_settings().server
    return {
        "log_level": server.logging_level.lower(),
        "timeout_keep_alive": server.api.keepalive_timeout,
        "ws_ping_interval": server.api.websocket_ping_interval,
        "ws_ping_timeout": server.api.websocket_ping_timeout,
    }


def _prepare_mlflow(names: list[str]) -> dict[str, Any]:
    """Tell MLflow's app, in the environment, what its own command would; make its tables and its user.

    MLFLOW_BACKEND_STORE_URI and MLFLOW_ARTIFACTS_DESTINATION are those of `mlflow server`.
    """
    # MLflow reads its list of hosts when it is imported. Ours is checked first, and allows any port.
    hosts = (f"{name},{name.replace('[', '[[]')}:*" for name in names)
    os.environ["MLFLOW_SERVER_ALLOWED_HOSTS"] = ",".join(hosts)
    from mlflow.environment_variables import _MLFLOW_SGI_NAME
    from mlflow.server import constants
    from mlflow.server.handlers import initialize_backend_stores

    database, artifacts = os.environ["MLFLOW_BACKEND_STORE_URI"], "mlflow-artifacts:/"
    os.environ |= {
        constants.BACKEND_STORE_URI_ENV_VAR: database,
        constants.REGISTRY_STORE_URI_ENV_VAR: database,
        constants.ARTIFACT_ROOT_ENV_VAR: artifacts,
        constants.ARTIFACTS_DESTINATION_ENV_VAR: os.environ["MLFLOW_ARTIFACTS_DESTINATION"],
        constants.SERVE_ARTIFACTS_ENV_VAR: "true",
        _MLFLOW_SGI_NAME.name: "uvicorn",
    }
    os.environ.setdefault("MLFLOW_AUTH_CONFIG_PATH", str(Path(__file__).with_name("mlflow-auth.ini")))
    initialize_backend_stores(database, database, artifacts)
    if "MLFLOW_AUTH_ADMIN_PASSWORD" in os.environ:
        os.environ.setdefault("MLFLOW_FLASK_SERVER_SECRET_KEY", secrets.token_urlsafe())
        _set_password()
    return {}


def _set_password() -> None:
    """Give MLflow's first user the password of the environment: MLflow itself does that only once."""
    from mlflow.environment_variables import _MLFLOW_AUTH_ADMIN_BOOTSTRAPPED
    from mlflow.server import auth

    auth.bootstrap_admin_user()
    user, password = auth.auth_config.admin_username, auth.auth_config.admin_password
    assert user and password  # else there was no admin to make
    if not auth.store.authenticate_user(user, password):
        auth.store.update_user(user, password=password)
    os.environ[_MLFLOW_AUTH_ADMIN_BOOTSTRAPPED.name] = "true"


PREPARE: dict[str, Callable[[list[str]], dict[str, Any]]] = {
    "prefect": _prepare_prefect,
    "mlflow": _prepare_mlflow,
}


def main(argv: list[str] | None = None) -> None:
    """Run a server until a signal ends it."""
    parser = argparse.ArgumentParser(prog="python -m infra.servers", description=__doc__, allow_abbrev=False)
    parser.add_argument("server", choices=PREPARE)
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen at")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workers", type=int, default=1, help="processes; Prefect's server is always one")
    parser.add_argument("--name", action="append", help="a host that it is called by, besides loopback's")
    options = parser.parse_args(argv)
    names = [*LOOPBACK, *(options.name or [])]
    os.environ[NAMES] = " ".join(names)
    with lasting():
        told = PREPARE[options.server](names)
    uvicorn.run(
        f"infra.servers:{options.server}_app",
        factory=True,
        host=options.host,
        port=options.port,
        workers=options.workers,
        **told,
    )


if __name__ == "__main__":
    main()
