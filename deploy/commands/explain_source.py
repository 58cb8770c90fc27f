"""jumio-pipeline explain-source."""

import sys

import click

from deploy.commands.address import ADDRESS
from deploy.commands.session import connection, settings_for
from deploy.explain import explain_source
from receiver.source import Address


@click.command("explain-source")
@click.argument("ip", type=ADDRESS)
def command(ip: Address) -> None:
    """Say whether callbacks from IP would be admitted, by which name or rule, and how old the answer is.

    Exit code 0 if they would be, else 1.
    """
    settings = settings_for("operator")
    with connection(settings) as conn:
        admitted, text = explain_source(conn, ip, settings)
    click.echo(text)
    sys.exit(0 if admitted else 1)
