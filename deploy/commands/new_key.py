"""jumio-pipeline new-key."""

import click

from schemas.sealing import KeyRing


@click.command("new-key")
@click.option("--id", "key_id", default="k1", show_default=True, help="A name for the key; each key needs its own.")
def command(key_id: str) -> None:
    """Make a key for ENCRYPTION_KEYS. The runbook (Keys) says how to replace one while everything runs."""
    click.echo(KeyRing.generate(key_id))
