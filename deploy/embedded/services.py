"""Postgres and Valkey for as long as a block runs: development, the demo and tests, never production."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from deploy.embedded import postgres, valkey
from deploy.embedded.account import account_for, open_folder
from deploy.embedded.errors import EmbeddedRefusedError, ServiceFailedError
from deploy.embedded.folder import held, services_lock, write_secret

__all__ = ["EmbeddedRefusedError", "ServiceFailedError", "ServiceUrls", "embedded_services", "write_services_env"]


@dataclass(frozen=True)
class ServiceUrls:
    """Empty and None: not started here. The URLs hold passwords."""

    database_url: str = field(repr=False)
    broker_url: str = field(repr=False)
    postgres_pid: int | None = None
    valkey_pid: int | None = None


@contextmanager
def embedded_services(
    folder: Path, *, environment: str = "development", database: bool = True, broker: bool = True
) -> Iterator[ServiceUrls]:
    """What is asked for, on `folder`, which keeps data and passwords from one run to the next."""
    if not database and not broker:
        yield ServiceUrls("", "")
        return
    _refuse_here(environment)

    folder = folder.resolve()
    data = folder / "postgres"
    account = account_for(data)
    open_folder(folder, account)
    with ExitStack() as stack:
        stack.enter_context(held(folder))
        lock = stack.enter_context(services_lock(folder, end_leftovers=partial(postgres.end_leftover, data)))
        database_url, postgres_pid, broker_url, valkey_pid = "", None, "", None
        if database:
            database_url, postgres_pid = stack.enter_context(postgres.running(folder, account, lock))
        if broker:
            broker_url, valkey_pid = stack.enter_context(valkey.running(folder, account, lock))

        yield ServiceUrls(database_url, broker_url, postgres_pid, valkey_pid)


def write_services_env(folder: Path, urls: ServiceUrls) -> None:
    """For other programs of the same user: `services.env`, whole and mode 0600."""
    write_secret(folder / "services.env", f"DATABASE_URL={urls.database_url}\nBROKER_URL={urls.broker_url}\n")


def _refuse_here(environment: str) -> None:
    if environment == "production":
        raise EmbeddedRefusedError("embedded services are not for production: set DATABASE_URL and BROKER_URL")
    if sys.platform not in {"linux", "darwin"}:
        raise EmbeddedRefusedError(f"no embedded services on {sys.platform}: set DATABASE_URL and BROKER_URL")
