"""jumio-pipeline migrate."""

import click

from deploy.commands.session import connection, settings_for
from deploy.migrate import migrate


@click.command("migrate")
def command() -> None:
    """Apply database migrations; fails loudly and leaves the schema as it was."""
    with connection(settings_for("migrate"), current=False) as conn:
        applied = migrate(conn)
    click.echo("\n".join(f"applied {name}" for name in applied) or "the schema is up to date")
