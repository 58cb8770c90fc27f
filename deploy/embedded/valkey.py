"""Valkey on a folder: configured anew at each start, its append-only file kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import redis
import structlog

from deploy.embedded.account import Account, own
from deploy.embedded.folder import password, write_secret
from deploy.embedded.leash import Leash
from deploy.embedded.ports import Service, start
from deploy.embedded.wheels import valkey_server

log = structlog.get_logger()

STOP_SECONDS = 10.0  # it writes and fsyncs the end of the append-only file
# `dir` is the folder it is started in: no path of ours has to survive its quoting.
CONFIGURATION = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir ./
daemonize no
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
"""


@contextmanager
def running(folder: Path, account: Account | None, lock: int) -> Iterator[tuple[str, Service]]:
    """The URL and the service."""
    data, output = folder / "valkey", folder / "valkey.log"
    data.mkdir(mode=0o700, exist_ok=True)
    own(data, account)
    secret = password(folder, "valkey", account)

    url = partial(_url, secret)
    launch = partial(_launch, folder, secret, account, lock)
    service = start("valkey", launch, lambda port: _answers(url(port)), output)
    try:
        yield url(service.port), service
    finally:
        service.stop()


def _launch(folder: Path, secret: str, account: Account | None, lock: int, port: int) -> Leash:
    configuration = folder / "valkey.conf"
    write_secret(configuration, CONFIGURATION.format(port=port, password=secret), account)
    return Leash(
        [str(valkey_server(account)), str(configuration)],
        environment={"LC_ALL": "C", "TZ": "UTC"},
        grace=STOP_SECONDS,
        output=folder / "valkey.log",
        folder=folder / "valkey",
        account=account,
        keep=[lock],
    )


def _url(secret: str, port: int) -> str:
    return f"redis://:{secret}@127.0.0.1:{port}/0"


def _answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5) as client:
            return bool(client.ping())
    except redis.RedisError:  # refused, or still loading its file
        return False
