"""What commands share: settings for a role, with logs set up, and a connection for an operator's work."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
import psycopg
from psycopg import Connection

from deploy.migrate import require_current
from schemas.logs import configure_logs
from schemas.settings import Settings


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
