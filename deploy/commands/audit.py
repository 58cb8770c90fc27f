"""jumio-pipeline audit."""

import sys

import click

from deploy.audit import Head, HeadError, read_head, verify
from deploy.commands.session import connection, settings_for

# Beyond these the trail is not to be mended by hand, and the rest is counted.
_SHOWN = 50


class HeadType(click.ParamType[Head]):
    """POSITION:LINK, as `audit head` prints it."""

    name = "head"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> Head:
        try:
            return Head.parse(value)
        except HeadError:
            self.fail(f"{value!r} is not POSITION:LINK as `audit head` prints it", param, ctx)


@click.group("audit")
def command() -> None:
    """The trail of who read, erased, held, requeued and changed what."""


@command.command("head")
def head_command() -> None:
    """Print where the chain ends: kept out of reach of whoever can write here, it proves what came before."""
    with connection(settings_for("operator")) as conn:
        click.echo(str(read_head(conn)))


@command.command("verify")
@click.option("--head", "kept", type=HeadType(), help="A head that was printed earlier and kept elsewhere.")
def verify_command(kept: Head | None) -> None:
    """Compute every digest and link anew, and name each row that was changed, removed or put in.

    Exit code 1 if there is one. Whoever owns the tables can write the whole chain anew, so only a head that was kept
    elsewhere proves that nobody did.
    """
    with connection(settings_for("operator")) as conn:
        result = verify(conn, kept)
    for line in result.wrong[:_SHOWN]:
        click.echo(line)
    if len(result.wrong) > _SHOWN:
        click.echo(f"and {len(result.wrong) - _SHOWN} more")
    for line in result.notes:
        click.echo(f"note: {line}")
    if result.wrong:
        click.echo(
            f"{len(result.wrong)} faults; keep a copy of the database as it is, and compare with a backup", err=True
        )
        sys.exit(1)
    click.echo(f"{result.head.position} rows hold together; the chain ends at {result.head}")
