"""jumio-pipeline dictionary."""

import click

from deploy.commands.session import connection, settings_for
from deploy.dictionary import read_dictionary


@click.command("dictionary")
def command() -> None:
    """Print what the schema compliance holds: every view, column and function, explained, as Markdown."""
    with connection(settings_for("operator")) as conn:
        click.echo(read_dictionary(conn), nl=False)
