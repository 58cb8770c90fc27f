"""Invents workflows by the million, straight in SQL: for measuring and trying out, never beside real ones.

python -m deploy.generate --workflows 1000000      # into DATABASE_URL, which has to be empty
"""

import re
import time
from collections.abc import Iterator
from importlib.resources import files

import click
from psycopg import Connection
from psycopg.errors import RaiseException

from deploy.commands.session import Failed, connection, settings_for
from deploy.migrate import MigrationError
from schemas.settings import SettingsError
from schemas.sql.queries import query

_STEP = re.compile(r"^-- step: (.+)\n", re.MULTILINE)
# Any fraction: the same one makes the same workflows.
_SEED = 0.4711


@click.command()
@click.option("--workflows", default=1_000_000, show_default=True, type=click.IntRange(1, 10_000_000))
def main(workflows: int) -> None:
    """Fill an empty database with invented workflows and all that belongs to them; development only."""
    try:
        with connection(settings_for("operator")) as conn:
            for step, seconds in generate(conn, workflows):
                click.echo(f"{seconds:7.1f} s  {step}", err=True)
    except RaiseException as error:
        raise Failed(f"{error.diag.message_primary}; give an empty database") from None
    except (MigrationError, SettingsError) as error:
        raise Failed(str(error)) from None


def generate(conn: Connection, workflows: int) -> Iterator[tuple[str, float]]:
    """Each step once it is done, with the seconds that it took; all of them or none."""
    script = files("deploy").joinpath("generate.sql").read_text()
    parts = _STEP.split(script)[1:]
    *steps, (last, vacuum) = zip(parts[::2], parts[1::2], strict=True)
    with conn.transaction():
        conn.execute(query("generate", "choose"), {"workflows": workflows, "seed": _SEED})
        for step, statements in steps:
            yield step, _seconds(conn, statements)
    yield last, _seconds(conn, vacuum)


def _seconds(conn: Connection, statements: str) -> float:
    started = time.perf_counter()
    conn.execute(statements.encode())
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
