"""PgBouncer between the receiver and Postgres: what cannot work is said at the start, in words."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from psycopg.conninfo import conninfo_to_dict

from receiver.server import POOLED, run
from schemas.settings import Settings, SettingsError
from tests.receiver.catalogue.proxies import free_port, is_installed, listens, path_of_programs
from tests.receiver.serving import LONG, serve
from tests.receiver.test_inbox import rows
from tests.waiting import until

pytestmark = pytest.mark.skipif(not is_installed("pgbouncer"), reason="pgbouncer is not installed")


@contextlib.contextmanager
def pgbouncer(url: str, *lines: str) -> Iterator[str]:
    """The address of one; it does not run as root."""
    to, port = conninfo_to_dict(url), free_port()
    with TemporaryDirectory() as folder:
        file = Path(folder, "pgbouncer.ini")
        target = " ".join(f"{name}={to[name]}" for name in ("host", "port", "dbname", "user", "password") if name in to)
        file.write_text(
            "\n".join((
                "[databases]", f"pooled = {target}", "[pgbouncer]", "listen_addr=127.0.0.1", f"listen_port={port}",
                "auth_type=any", "unix_socket_dir=", *(["user=nobody"] if os.geteuid() == 0 else []), *lines,
            ))
        )  # fmt: skip
        Path(folder).chmod(0o755)
        program = shutil.which("pgbouncer", path=path_of_programs())
        assert program is not None
        process = subprocess.Popen([program, "-q", str(file)], stderr=subprocess.DEVNULL)
        try:
            until(lambda: listens(port))
            yield f"postgresql://anyone@127.0.0.1:{port}/pooled"
        finally:
            process.terminate()
            process.wait(10)


@pytest.mark.parametrize(
    "lines",
    [["pool_mode=session"], ["pool_mode=transaction", "ignore_startup_parameters=options"]],
    ids=["takes no options", "a session a transaction"],
)
def test_a_pooler_that_cannot_be_used_is_said_at_the_start(
    environment: dict[str, str], database: str, lines: list[str]
) -> None:
    with pgbouncer(database, *lines) as url:
        settings = Settings.load("receiver", environment | {"DATABASE_URL": url})
        with pytest.raises(SettingsError) as caught:
            run(settings)

    assert str(caught.value) == POOLED


@pytest.mark.skipif(not LONG, reason="a receiver more: make door-proof")
def test_a_pooler_in_session_mode_will_do(environment: dict[str, str], database: str, tmp_path: Path) -> None:
    with (
        pgbouncer(database, "pool_mode=session", "ignore_startup_parameters=options") as url,
        serve(environment | {"DATABASE_URL": url}, tmp_path) as receiver,
    ):
        receiver.until_ready("durable_write", "allowlist")
        assert [receiver.post() for _ in range(3)] == [200] * 3
        assert rows(database) == 3
