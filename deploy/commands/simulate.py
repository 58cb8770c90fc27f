"""jumio-pipeline simulate."""

import json
import shlex
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import click

from deploy.simulator.run import simulate
from schemas.logs import configure_logs


@click.command("simulate")
@click.option("--callback-url", help="Where the product takes callbacks; without it nothing is posted.")
@click.option("--workflows", default=10, show_default=True)
@click.option("--rate", default=5.0, show_default=True, help="Workflows a second.")
@click.option("--faults", default="", help="What goes wrong, with its share: late=0.1,duplicate,wrong_source.")
@click.option(
    "--families", default="kyx", show_default=True, help="With shares: kyx=60,netverify=15,authentication,document."
)
@click.option("--seed", default="1", show_default=True)
@click.option("--dns-port", default=0)
@click.option("--http-port", default=0)
@click.option("--latency", default=0.0, help="Seconds that every answer takes.")
@click.option("--env-file", type=click.Path(path_type=Path), help="Where to write the settings that the product needs.")
@click.option("--serve", is_flag=True, help="Stay after playing, so that workers can read.")
def command(
    *,
    callback_url: str | None,
    workflows: int,
    rate: float,
    faults: str,
    families: str,
    seed: str,
    dns_port: int,
    http_port: int,
    latency: float,
    env_file: Path | None,
    serve: bool,
) -> None:
    """Play Jumio, for development: DNS, OAuth, retrieval API, images, and callbacks that may go wrong."""
    configure_logs()

    try:
        report = simulate(
            callback_url=callback_url,
            workflows=workflows,
            rate=rate,
            faults=filter(None, faults.split(",")),
            families=[*filter(None, families.split(","))],
            seed=seed,
            serve=serve,
            dns_port=dns_port,
            http_port=http_port,
            latency_seconds=latency,
            announce=partial(_announce, env_file),
        )
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--faults or --families") from None
    if report:
        click.echo(json.dumps(report.as_dict(), default=str))


def _announce(env_file: Path | None, environment: Mapping[str, str]) -> None:
    lines = "".join(f"{name}={shlex.quote(value)}\n" for name, value in environment.items())
    if env_file:
        env_file.write_text(lines, encoding="utf-8")
    click.echo(lines, nl=False)
