"""The home's login: one user and password for its Prefect and its MLflow, where others use the machine too.

`<home>/login` holds `user:password`, and nobody else may read it. Where it is there, each server that is
started on the home asks for it, and our programs read it there. `make stack AUTH=yes` makes one; a person may
write another. Without the file nobody is asked.
"""

import secrets
import shlex
from dataclasses import dataclass
from pathlib import Path

from infra.home import folder, home, private, write_private
from llama_core.errors import ServiceError

LEAST = 12  # characters of a password, as MLflow demands


@dataclass(frozen=True)
class Login:
    """What the home's servers ask for. It shows itself to nobody who prints it."""

    user: str
    password: str

    def __repr__(self) -> str:
        return f"Login({self.user!r})"

    @property
    def text(self) -> str:
        """User and password as Prefect has them, in one string."""
        return f"{self.user}:{self.password}"

    def for_mlflow_server(self) -> dict[str, str]:
        """Return the variables with which MLflow's server asks for this login."""
        return {"MLFLOW_AUTH_ADMIN_USERNAME": self.user, "MLFLOW_AUTH_ADMIN_PASSWORD": self.password}

    def for_clients(self) -> dict[str, str]:
        """Return the variables with which Prefect's and MLflow's clients give this login."""
        return {
            "PREFECT_API_AUTH_STRING": self.text,
            "MLFLOW_TRACKING_USERNAME": self.user,
            "MLFLOW_TRACKING_PASSWORD": self.password,
        }


def read() -> Login | None:
    """Return the home's login, or None where it has none. Raises ServiceError where it cannot be one."""
    path = _path()
    try:
        with open(path, opener=private) as file:
            return parse(file.read().removesuffix("\n"), str(path))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ServiceError(f"the home's login cannot be read: {error}") from None


def make() -> Login:
    """Make a login of the home, and tell it, once."""
    made = Login("llama", secrets.token_urlsafe())
    keep(made)
    print(f"This home has a login now: {made.text}\nIt is kept in {_path()}, and not told again.", flush=True)
    return made


def keep(login: Login) -> None:
    """Write a login down as the home's."""
    folder("")
    write_private(_path(), login.text + "\n")


def parse(text: str, where: str) -> Login:
    """Return the login that a text says. `where` it stands is named by the ServiceError that this raises."""
    user, colon, password = text.partition(":")
    # Prefect's server fails on other characters than those of ASCII.
    if not (user and colon) or len(password) < LEAST or not (text.isprintable() and text.isascii()):
        raise ServiceError(
            f"{where} is no login: it is USER:PASSWORD in one line of ASCII, "
            f"with a password of {LEAST} characters or more"
        )
    return Login(user, password)


def write_exports(variables: dict[str, str]) -> Path:
    """Write a file that a person's shell reads with `source`, so that nothing is typed. Return its path."""
    path = home() / "env"
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()]
    write_private(path, "".join(lines))
    return path


def _path() -> Path:
    return home() / "login"
