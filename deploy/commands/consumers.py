"""jumio-pipeline consumers."""

from pathlib import Path

import click
from rich.table import Table

from deploy.commands.session import operating, print_wide
from deploy.consumers import ConsumerError, add, list_all, revoke, write_token


@click.group("consumers")
def command() -> None:
    """Who may read the feed (GET /events on FEED_BIND)."""


@command.command("add")
@click.argument("name")
@click.option("--tenants", help="Only events of these, separated by commas; without it, of all.")
@click.option(
    "--token-file", type=click.Path(path_type=Path, dir_okay=False), help="Write the token there, not to the terminal."
)
def add_command(name: str, tenants: str | None, token_file: Path | None) -> None:
    """Make a token for NAME. It is shown once and kept nowhere."""
    wanted = [part.strip() for part in tenants.split(",")] if tenants else None
    with operating(ConsumerError) as conn, conn.transaction():
        token = add(conn, name, tenants=wanted)
        if token_file:
            write_token(token, token_file)
    click.echo(f"consumer {name}")
    click.echo(f"token in {token_file}" if token_file else f"token {token} (shown this once)")


@command.command("list")
def list_command() -> None:
    """Show who may read, of which tenants, and when they last did."""
    with operating() as conn:
        found = list_all(conn)
    table = Table(box=None, header_style="bold")
    for heading in ("name", "tenants", "since", "last read", "revoked"):
        table.add_column(heading, no_wrap=True)
    for each in found:
        times = (each.created_at, each.last_used_at, each.revoked_at)
        table.add_row(
            each.name, ", ".join(each.tenants or ["all"]), *(f"{at:%Y-%m-%d %H:%M}" if at else "" for at in times)
        )
    print_wide(table)


@command.command("revoke")
@click.argument("name")
def revoke_command(name: str) -> None:
    """Answer NAME no more, from its next request on."""
    with operating(ConsumerError) as conn:
        revoke(conn, name)
    click.echo(f"revoked {name}")
