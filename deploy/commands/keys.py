"""jumio-pipeline keys."""

import json
import sys

import click
from rich.console import Console
from rich.table import Table

from deploy.commands.session import Failed, connection, settings_for
from deploy.keys.rotate import rotate
from deploy.keys.status import read_keys_status
from schemas.sql.queries import SEALED
from workers.errors import VaultAwayError
from workers.vault.vaults import Vaults

_KINDS = (*SEALED, "images")
# Enough to see what is wrong; the count says how many there are.
_SHOWN = 20


@click.group("keys")
def command() -> None:
    """The keys in ENCRYPTION_KEYS: what each still seals, and a new one for everything."""


@command.command("status")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def status_command(*, as_json: bool) -> None:
    """Say how many ciphertexts need each key, and which key can be taken out."""
    settings = settings_for("keys")
    with connection(settings) as conn:
        status = read_keys_status(conn, settings.keys)
    advice = list(status.advice())
    if as_json:
        spools = {"spooled_rows": status.spooled_rows, "damaged_files": status.damaged_files}
        ring = {"first": status.first, "ring": status.ring}
        click.echo(json.dumps({**ring, "sealed": status.sealed, **spools, "advice": advice}, indent=2))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("sealed values", *status.sealed):
        table.add_column(heading, no_wrap=True)
    for kind in _KINDS:
        table.add_row(kind, *(str(counts[kind]) for counts in status.sealed.values()))
    Console().print(table)
    click.echo("\n".join(advice))


@command.command("rotate")
def rotate_command() -> None:
    """Seal everything anew under the first key, while the line runs. Killed or failed: run it again, it goes on."""
    settings = settings_for("keys")
    with connection(settings) as conn:
        try:
            done = rotate(conn, keys=settings.keys, vaults=Vaults(settings), say=_say)
        except VaultAwayError as error:
            raise Failed(f"{error}; what is done stays done. See IMAGES_URL, then run it again") from None
    click.echo(", ".join(f"{done.resealed[kind]} {kind}" for kind in _KINDS) + f" sealed anew under {done.key_id}")
    for (kind, row), reason in list(done.unopened.items())[:_SHOWN]:
        click.echo(f"{kind} {row}: {reason}", err=True)
    if done.unopened:
        raise Failed(
            f"{len(done.unopened)} values could not be opened and were left as they are; see the runbook (Keys)"
        )


def _say(kind: str, rows: int) -> None:
    """A dot a batch, for whoever watches."""
    if rows and sys.stderr.isatty():
        click.echo(f"\r{kind} ...", nl=False, err=True)
