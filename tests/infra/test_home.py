"""The home and its login: nobody else may read them, and every path works."""

import os
import sqlite3
import subprocess
from pathlib import Path

import pytest
import sqlalchemy

from infra import login
from infra.home import folder, home, private, sqlite_uri
from infra.login import Login
from llama_core.errors import ServiceError

ODD = "a b%2Fc?d#e'f\"g@h:i&j=k;l$m\\n ü"


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMA_HOME", str(tmp_path / "parent" / "home"))


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_the_home_and_its_folders_are_closed_to_others_also_where_it_was_open() -> None:
    assert mode(folder("logs")) == mode(home()) == 0o700
    home().chmod(0o755)
    assert mode(folder("mlflow")) == mode(home()) == 0o700


def test_a_home_that_is_everybodys_folder_is_left_as_it_is() -> None:
    home().mkdir(parents=True)
    home().chmod(0o1777)
    assert mode(folder("logs")) == 0o700 and mode(home()) == 0o777


def test_a_private_file_that_was_open_is_closed() -> None:
    log = folder("logs") / "log"
    log.write_text("before ")
    log.chmod(0o644)
    with open(log, "a", opener=private) as file:
        file.write("after")
    assert log.read_text() == "before after" and mode(log) == 0o600


def test_the_url_of_a_database_names_the_very_file(tmp_path: Path) -> None:
    path = tmp_path / ODD / "100%25.db"
    path.parent.mkdir()
    engine = sqlalchemy.create_engine(sqlite_uri(path))
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE here (a)")
    engine.dispose()
    assert sqlite3.connect(path).execute("SELECT name FROM sqlite_master").fetchall() == [("here",)]
    assert sorted(os.listdir(tmp_path)) == [ODD]


def test_a_login_is_made_once_told_once_and_kept_for_its_owner(capsys: pytest.CaptureFixture[str]) -> None:
    assert login.read() is None
    made = login.make()
    assert made.text in capsys.readouterr().out and made.password not in repr(made)
    assert login.read() == made and mode(home() / "login") == 0o600
    (home() / "login").chmod(0o644)
    assert login.read() == made and mode(home() / "login") == 0o600


@pytest.mark.parametrize("password", ["twelve chars", "p:@%/#$ \"'`\\!{}<>|&;*?~^", "%(here)s %% ${HOME}"])
def test_what_a_shell_reads_is_what_was_written(password: str) -> None:
    own = login.parse(f"ann:{password}", "here")
    assert own == Login("ann", password)
    login.keep(own)
    assert login.read() == own
    exports = login.write_exports(own.for_clients())
    assert mode(exports) == 0o600
    for shell in ("bash", "sh"):
        command = f'. "{exports}"; printf %s "$PREFECT_API_AUTH_STRING"'
        assert subprocess.check_output([shell, "-c", command], env={}, text=True) == own.text


@pytest.mark.parametrize(
    "text",
    ["", "no-colon-in-this", ":password-alone", "ann:short", "ann:two\nlines-of-it-x", "ann:pässwörter-ü"],
)
def test_what_is_no_login_is_refused_without_showing_it(text: str) -> None:
    folder("")
    (home() / "login").write_text(text)
    with pytest.raises(ServiceError, match="login is no login") as refused:
        login.read()
    assert not text or text not in str(refused.value)
