"""Logins: made, rotated, disabled, told, and with passwords that no server log ever holds."""

import stat
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg import Connection
from psycopg.conninfo import make_conninfo

from deploy.commands.roles import command

REASON = "a new colleague"


@pytest.fixture
def name(conn: Connection) -> Iterator[str]:
    """Of a login that is gone after the test."""
    name = f"ana.lyst-{uuid4().hex[:8]}"
    yield name
    conn.execute(f'DROP ROLE IF EXISTS "{name}"'.encode())


@pytest.fixture(autouse=True)
def _environment(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)


def roles(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


def logs_in(database_url: str, name: str, password: str) -> bool:
    try:
        with psycopg.connect(make_conninfo(database_url, user=name, password=password)) as conn:
            conn.execute(b"SELECT FROM compliance.workflows")
    except psycopg.OperationalError:
        return False
    return True


def test_a_login_is_made_rotated_and_disabled(conn: Connection, database_url: str, name: str, tmp_path: Path) -> None:
    file = tmp_path / "password"

    made = roles("create", name, "--as", "compliance_analyst", "--password-file", str(file), "--reason", REASON)
    first = file.read_text().strip()
    assert made.exit_code == 0, made.output
    assert first not in made.output
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert logs_in(database_url, name, first)

    rotated = roles("rotate", name)
    second = rotated.output.split()[1]
    assert rotated.output == f"password {second} (shown this once)\n"
    assert logs_in(database_url, name, second)
    assert not logs_in(database_url, name, first)

    listed = [line.split() for line in roles("list").output.splitlines()]
    assert [name, "compliance_analyst", "yes"] in [line[:3] for line in listed]

    assert roles("disable", name).exit_code == 0
    assert not logs_in(database_url, name, second)
    told = conn.execute(b"SELECT action, reason, details FROM compliance.audit_trail ORDER BY number").fetchall()
    assert told == [
        ("role.changed", reason, {"login": name, "change": change, "as": "compliance_analyst"})
        for change, reason in (("created", REASON), ("rotated", None), ("disabled", None))
    ]


def test_who_acts_as_a_role_through_a_group_is_listed_and_who_only_hands_it_on_is_not(
    conn: Connection, name: str
) -> None:
    """A migrator that is no superuser may grant every role that it made, and acts as none of them (Postgres 16)."""
    group, giver = f"{name}-team", f"{name}-giver"
    names = (("name", name), ("group", group), ("giver", giver))
    quoted = {key: conn.execute("SELECT quote_ident(%s)", [value]).fetchall()[0][0] for key, value in names}
    try:
        conn.execute(
            "CREATE ROLE {group} IN ROLE compliance_investigator; CREATE ROLE {name} LOGIN IN ROLE {group};"
            " CREATE ROLE {giver} LOGIN".format(**quoted).encode()
        )
        if conn.info.server_version >= 160000:
            only = "WITH ADMIN TRUE, INHERIT FALSE, SET FALSE"
            conn.execute("GRANT compliance_investigator TO {giver} {only}".format(only=only, **quoted).encode())

        listed = [line.split()[:3] for line in roles("list").output.splitlines()]

        assert [name, "compliance_investigator", "yes"] in listed
        assert not {group, giver} & {line[0] for line in listed if line}
        assert "no login of ours is called" in roles("disable", giver).output
        assert roles("disable", name).exit_code == 0
        assert [name, "compliance_investigator", "no"] in [
            line.split()[:3] for line in roles("list").output.splitlines()
        ]
    finally:
        conn.execute("DROP ROLE IF EXISTS {name}, {giver}, {group}".format(**quoted).encode())


def test_a_server_that_logs_every_statement_with_its_parameters_logs_no_password(
    conn: Connection, database_url: str, name: str
) -> None:
    [(data,)] = conn.execute(b"SHOW data_directory").fetchall()
    log = Path(f"{data}.log")
    if not log.exists():
        pytest.skip("the log of this Postgres is elsewhere")
    for setting in (b"log_statement = 'all'", b"log_error_verbosity = 'default'"):
        conn.execute(b"ALTER ROLE CURRENT_USER SET " + setting)
    try:
        password = roles("create", name, "--as", "compliance_auditor").output.split()[1]
        roles("rotate", name)
    finally:
        conn.execute(b"ALTER ROLE CURRENT_USER RESET ALL")

    assert name in log.read_text()
    assert "SCRAM-SHA-256$4096:" in log.read_text()
    assert password not in log.read_text()


def test_what_cannot_be_done_says_what_to_do_and_changes_nothing(conn: Connection, name: str, tmp_path: Path) -> None:
    unwritable = tmp_path / "no such folder/password"

    refused = roles("create", name, "--as", "compliance_analyst", "--password-file", str(unwritable))
    assert refused.exit_code == 1
    assert "cannot be written: No such file or directory; nothing was changed" in refused.output
    assert conn.execute("SELECT FROM pg_roles WHERE rolname = %s", [name]).fetchall() == []
    assert conn.execute(b"SELECT FROM pipeline.audit").fetchall() == []

    assert "no login of ours is called" in roles("rotate", name).output
    owner = conn.info.user
    assert "no login of ours is called" in roles("disable", owner).output
    assert roles("create", name, "--as", "compliance_analyst").exit_code == 0
    assert f"roles rotate {name}" in roles("create", name, "--as", "compliance_auditor").output
    assert "keeps for itself" in roles("create", "pg_mine", "--as", "compliance_auditor").output
    assert roles("create", "x", "--as", "pg_read_all_data").exit_code == 2


def test_who_may_not_change_roles_is_told_so(
    database_url: str, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    roles("create", name, "--as", "jumio_admin", "--password-file", str(tmp_path / "password"))
    password = (tmp_path / "password").read_text().strip()
    monkeypatch.setenv("DATABASE_URL", make_conninfo(database_url, user=name, password=password))

    refused = roles("create", f"{name}-2", "--as", "jumio_admin")

    assert refused.exit_code == 1
    assert "may not change roles" in refused.output
    assert "use the one that migrates" in refused.output
