"""jumio-pipeline new-key."""

import click

from schemas.sealing import KeyRing


@click.command("new-key")
@click.option("--id", "key_id", default="k1", show_default=True, help="A name for the key; each key needs its own.")
def command(key_id: str) -> None:
    """Make a key for ENCRYPTION_KEYS. Put a new one first and keep the old ones behind it."""
    click.echo(KeyRing.generate(key_id))
