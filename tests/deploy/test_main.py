"""What an operator can mend ends as a line."""

import sys

import psycopg
import pytest
from psycopg import Connection
from psycopg.conninfo import make_conninfo

from deploy.__main__ import main


def test_a_server_that_answers_is_not_said_to_be_away(
    conn: Connection, database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    impatient = make_conninfo(database_url, options="-c lock_timeout=20ms")
    monkeypatch.setattr(sys, "argv", ["jumio-pipeline", "holds", "list"])

    def say(url: str) -> str:
        monkeypatch.setenv("DATABASE_URL", url)
        with pytest.raises(SystemExit, match="1"):
            main()
        return capsys.readouterr().err

    with psycopg.connect(database_url) as busy:
        busy.execute("LOCK TABLE pipeline.holds IN ACCESS EXCLUSIVE MODE")
        locked = say(impatient)
    away = say("postgresql://127.0.0.1:1/nowhere")

    assert locked == (
        "Error: Postgres: canceling statement due to lock timeout (LockNotAvailable); mend that, or try again\n"
    )
    assert away == "Error: Postgres does not answer (OperationalError); check DATABASE_URL\n"
