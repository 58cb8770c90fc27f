"""jumio-pipeline simulate."""

import json
import shlex
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from deploy.simulator.program import Play, simulate
from schemas.logs import configure_logs


def _words(_ctx: click.Context, _option: click.Parameter, text: str) -> list[str]:
    return [*filter(None, text.split(","))]


@click.command("simulate")
@click.option("--callback-url", help="Where the product takes callbacks; without it nothing is posted.")
@click.option("--workflows", default=10, show_default=True)
@click.option("--rate", default=5.0, show_default=True, help="Workflows a second.")
@click.option(
    "--faults", default="", callback=_words, help="What goes wrong, with its share: late=0.1,duplicate,wrong_source."
)
@click.option(
    "--families",
    default="kyx",
    show_default=True,
    callback=_words,
    help="With shares: kyx=60,netverify=15,authentication,document.",
)
@click.option("--seed", default="1", show_default=True)
@click.option("--dns-port", default=0)
@click.option("--http-port", default=0)
@click.option("--latency", "latency_seconds", default=0.0, help="Seconds that every answer takes.")
@click.option("--env-file", type=click.Path(path_type=Path), help="Where to write the settings that the product needs.")
@click.option("--serve", is_flag=True, help="Stay after playing, so that workers can read.")
def command(*, env_file: Path | None, **wishes: Any) -> None:  # noqa: ANN401 - the options above, named as in Play
    """Play Jumio, for development: DNS, OAuth, retrieval API, images, and callbacks that may go wrong."""
    configure_logs()

    try:
        report = simulate(Play(**wishes), announce=partial(_announce, env_file))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--faults or --families") from None
    if report:
        click.echo(json.dumps(report.as_dict(), default=str))


def _announce(env_file: Path | None, environment: Mapping[str, str]) -> None:
    lines = "".join(f"{name}={shlex.quote(value)}\n" for name, value in environment.items())
    if env_file:
        env_file.write_text(lines, encoding="utf-8")
    click.echo(lines, nl=False)
