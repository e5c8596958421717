"""What MLflow refuses, in words for the person who must act."""

import contextlib
from collections.abc import Iterator

from llama_core.errors import LlamaError, ServiceError
from llama_core.url import redact

INSTEAD = (
    "use a store that it can reach (store=s3://...), or set MLFLOW_REGISTRY_URI to the server's database"
)
IN_A_FILE = "such as sqlite:////home/me/mlflow.db"
OTHERWISE = "see that {variable} names a server that runs, or a database that can be written to"
ADVICE = (  # what to do, by words of MLflow's
    ("Invalid model version source", f"it takes no models from a local folder: {INSTEAD}"),
    ("maintenance mode", f"set {{variable}} to a database, {IN_A_FILE}, or to a server"),
    ("supported", f"set {{variable}} to a server (http://...) or to a database, {IN_A_FILE}"),
    ("No module named", "install what MLflow needs for this kind of database, or name another one"),
    ("UNAUTHENTICATED", "see MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
    ("PERMISSION_DENIED", "ask for the right to write, or log in as somebody who has it"),
    ("readonly", "it can only be read: see who owns the file and its folder, and how the disk is mounted"),
    ("read-only", "it can only be read: see who owns the file and its folder, and how the disk is mounted"),
    ("disk is full", "make room on its disk"),
)


@contextlib.contextmanager
def refusals(what: str, uri: str, variable: str) -> Iterator[None]:
    """Turn whatever MLflow raises in a block into a ServiceError with what to do.

    `what`: what it is to keep. `variable`: the environment variable that names `uri`.
    """
    try:
        yield
    except LlamaError:
        raise
    except Exception as error:
        said = reason(error)
        advice = next((advice for words, advice in ADVICE if words in f"{said} {error}"), OTHERWISE)
        raise ServiceError(
            f"MLflow at {uri} cannot keep {what} of this run ({said}): {advice.format(variable=variable)}"
        ) from error


def reason(error: BaseException) -> str:
    """Return what went wrong, in one line without passwords."""
    text = redact(" ".join(str(error).partition("[SQL:")[0].split())) or type(error).__name__
    code = getattr(error, "error_code", None)
    return text[:300] if code in (None, "INTERNAL_ERROR") else f"{code}: {text}"[:300]
