"""Postgres and Valkey for as long as a block runs: development, the demo and tests, never production."""

import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from deploy.embedded import postgres, valkey
from deploy.embedded.account import account_for, open_folder
from deploy.embedded.errors import EmbeddedRefusedError, ServiceFailedError
from deploy.embedded.folder import held, services_lock, write_secret
from deploy.embedded.ports import Service

__all__ = ["EmbeddedRefusedError", "ServiceFailedError", "ServiceUrls", "embedded_services", "write_services_env"]


@dataclass(frozen=True)
class ServiceUrls:
    """Empty and None: not started here. The URLs hold passwords."""

    database_url: str = field(repr=False)
    broker_url: str = field(repr=False)
    services: tuple[Service, ...] = field(default=(), repr=False, compare=False)

    @property
    def postgres_pid(self) -> int | None:
        return self._pid("postgres")

    @property
    def valkey_pid(self) -> int | None:
        return self._pid("valkey")

    def check(self) -> None:
        """Start again what died; to be called now and then. Raises ServiceFailedError."""
        for service in self.services:
            service.check()

    def _pid(self, name: str) -> int | None:
        return next((service.pid for service in self.services if service.name == name), None)


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
    account = account_for(folder / "postgres")
    folder = open_folder(folder, account)
    data = folder / "postgres"
    with ExitStack() as stack:
        stack.enter_context(held(folder))
        lock = stack.enter_context(services_lock(folder, end_leftovers=partial(postgres.end_leftover, data)))
        database_url, broker_url, services = "", "", []
        if database:
            database_url, service = stack.enter_context(postgres.running(folder, account, lock))
            services.append(service)
        if broker:
            broker_url, service = stack.enter_context(valkey.running(folder, account, lock))
            services.append(service)

        yield ServiceUrls(database_url, broker_url, tuple(services))


def write_services_env(folder: Path, urls: ServiceUrls, *, more: Mapping[str, str] | None = None) -> None:
    """For other programs of the same user: `services.env`, whole and mode 0600."""
    lines = [f"DATABASE_URL={urls.database_url}\n", f"BROKER_URL={urls.broker_url}\n"]
    lines += [f"{name}={shlex.quote(value)}\n" for name, value in (more or {}).items()]
    write_secret(folder / "services.env", "".join(lines))


def _refuse_here(environment: str) -> None:
    if environment.lower() == "production":
        raise EmbeddedRefusedError("embedded services are not for production: set DATABASE_URL and BROKER_URL")
    if sys.platform not in {"linux", "darwin"}:
        raise EmbeddedRefusedError(f"no embedded services on {sys.platform}: set DATABASE_URL and BROKER_URL")
