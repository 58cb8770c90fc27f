"""jumio-pipeline relay."""

import click

from deploy.commands.session import connection, settings_for
from workers.relay import run


@click.command("relay")
def command() -> None:
    """Send due work to the workers: one process, as many as you like."""
    settings = settings_for("relay")
    with connection(settings):
        pass
    run(settings)
