"""What commands share: settings for a role, with logs set up, and a connection for an operator's work."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
import psycopg
from psycopg import Connection
from rich.console import Console
from rich.table import Table

from deploy.migrate import require_current
from schemas.logs import configure_logs
from schemas.settings import Settings

# Ids and URLs are there to be copied: whole, however narrow the terminal.
_WIDE = 1000


class Failed(click.ClickException):
    """One line on stderr and exit code 1: what is wrong, and what to do."""


def settings_for(role: str) -> Settings:
    """The environment, checked for a role; logs as it says."""
    settings = Settings.load(role)
    configure_logs(settings.log_format)
    return settings


@contextmanager
def connection(settings: Settings, *, current: bool = True) -> Iterator[Connection]:
    """An autocommit connection to a database whose schema this release knows, unless `current` is false."""
    with psycopg.connect(
        settings.database_url.get_secret_value(),
        autocommit=True,
        connect_timeout=5,
        application_name="jumio-pipeline operator",
    ) as conn:
        if current:
            require_current(conn)
        yield conn


@contextmanager
def operating(*wrong: type[Exception], settings: Settings | None = None) -> Iterator[Connection]:
    """The same for a whole command: these exceptions are what an operator is told."""
    with connection(settings or settings_for("operator")) as conn:
        try:
            yield conn
        except wrong as error:
            raise Failed(str(error)) from None


def print_wide(table: Table) -> None:
    """As it is: an IPv6 address in brackets is no markup."""
    Console(width=_WIDE, markup=False).print(table)
