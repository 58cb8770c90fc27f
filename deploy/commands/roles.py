"""jumio-pipeline roles."""

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from deploy.commands.session import operating
from deploy.embedded.folder import write_secret
from deploy.roles import PARTS, Keep, RoleError, create, disable, list_logins, rotate

_FILE = click.option(
    "--password-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the password there, mode 0600, instead of showing it.",
)
_REASON = click.option("--reason", help="For the audit trail.")


@click.group("roles")
def command() -> None:
    """Logins of people and processes. Run it as the login that migrates."""


@command.command("create")
@click.argument("login")
@click.option("--as", "part", type=click.Choice(PARTS), required=True, help="What it may do.")
@_FILE
@_REASON
def create_command(login: str, part: str, password_file: Path | None, reason: str | None) -> None:
    """Make LOGIN, with a password of ours; the server gets a SCRAM verifier and never sees it."""
    with operating(RoleError) as conn:
        create(conn, login, part=part, keep=_keeper(password_file), reason=reason)


@command.command("rotate")
@click.argument("login")
@_FILE
@_REASON
def rotate_command(login: str, password_file: Path | None, reason: str | None) -> None:
    """Give LOGIN a new password; the old one ends at once. A disabled one is enabled again."""
    with operating(RoleError) as conn:
        rotate(conn, login, keep=_keeper(password_file), reason=reason)


@command.command("disable")
@click.argument("login")
@_REASON
def disable_command(login: str, reason: str | None) -> None:
    """Let LOGIN log in no more."""
    with operating(RoleError) as conn:
        disable(conn, login, reason=reason)
    click.echo(f"{login} cannot log in any more; sessions that are open stay until they end")


@command.command("list")
def list_command() -> None:
    """Show who may log in as what."""
    with operating(RoleError) as conn:
        found = list_logins(conn)
    table = Table(box=None, header_style="bold")
    for heading in ("login", "as", "enabled", "last changed"):
        table.add_column(heading, no_wrap=True)
    for row in found:
        changed = f"{row['changed_at']:%Y-%m-%d %H:%M}" if row["changed_at"] else "not by this command"
        table.add_row(row["login"], row["part"], "yes" if row["enabled"] else "no", changed)
    Console().print(table)


def _keeper(path: Path | None) -> Keep:
    def keep(password: str) -> None:
        if path is None:
            click.echo(f"password {password} (shown this once)")
            return
        try:
            write_secret(path, f"{password}\n")
        except OSError as error:
            raise RoleError(f"the password file cannot be written: {error.strerror}; nothing was changed") from None
        click.echo(f"password in {path}")

    return keep
