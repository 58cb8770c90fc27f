"""`python -m tests.fuzz`: chance at the door for a while; the seed and the number of an input repeat it."""

import os
import random
import tempfile
from pathlib import Path

import click
import psycopg

from deploy.embedded.services import embedded_services
from deploy.migrate import migrate
from schemas.logs import configure_logs
from tests.fuzz.play import play


@click.command()
@click.option("--seconds", default=60.0, show_default=True)
@click.option("--seed", type=int, help="All that is drawn; else a new one.")
@click.option("--only", type=int, help="The number of one input, to see it again.")
def main(seconds: float, seed: int | None, only: int | None) -> None:
    """Throw random and mutated requests at a receiver; ends with 1 where an answer, a row or the process was wrong."""
    configure_logs("json", stream=Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - until the end
    seed = random.randrange(1_000_000) if seed is None else seed
    click.echo(f"seed {seed}, {seconds:g} s")
    with tempfile.TemporaryDirectory(prefix="jumio-pipeline-fuzz-") as name:
        Path(name).chmod(0o711)
        with embedded_services(Path(name) / "services", broker=False) as urls:
            with psycopg.connect(urls.database_url, autocommit=True) as conn:
                migrate(conn)
            found = play(urls.database_url, Path(name), seconds=seconds, seed=seed, only=only)
    answers = ", ".join(f"{count} x {status}" for status, count in sorted(found.answers.items()))
    click.echo(f"{found.sent} inputs, {found.kept} rows, slowest {found.slowest:.2f} s; answers: {answers}")
    for problem in found.problems[:20]:
        click.echo(f"problem: {problem}")
    if found.problems:
        raise SystemExit(f"repeat it with: make fuzz SECONDS={seconds:g} SEED={seed}")


if __name__ == "__main__":
    main()
