"""jumio-pipeline up."""

from pathlib import Path

import click

from deploy.commands.session import Failed
from deploy.embedded.services import EmbeddedRefusedError
from deploy.processes import ProcessDiedError
from deploy.up import StartError, run_up
from schemas.logs import configure_logs


@click.command("up")
@click.option("--data", type=click.Path(path_type=Path), help="Where embedded services and generated keys live.")
@click.option("--with-simulator", is_flag=True, help="A simulated Jumio that keeps sending workflows.")
def command(data: Path | None, *, with_simulator: bool) -> None:
    """Run everything here: receiver, relay, worker, and Postgres and Valkey where no URL is set."""
    configure_logs()
    try:
        run_up(data, with_simulator=with_simulator)
    except (EmbeddedRefusedError, StartError, ProcessDiedError) as error:
        raise Failed(str(error)) from None
