"""The simulator as a program of its own: a Jumio that says where it is, plays, and may stay."""

import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from deploy.simulator.caller import wait_for
from deploy.simulator.faults import parse_faults
from deploy.simulator.mix import Mix, parse_families
from deploy.simulator.report import Report
from deploy.simulator.run import Simulator

log = structlog.get_logger()

# Until the product, started from what was announced, takes connections.
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Play:
    """What is played, and how that Jumio is reached; without a URL nothing is posted."""

    callback_url: str | None = None
    workflows: int = 10
    # A second; None: all at once.
    rate: float | None = 5.0
    faults: Sequence[str] = ()
    families: Mix = ("kyx",)
    seed: int | str = 1
    # Stay until SIGTERM or SIGINT.
    serve: bool = False
    dns_port: int = 0
    http_port: int = 0
    latency_seconds: float = 0.0


def simulate(play: Play, *, announce: Callable[[Mapping[str, str]], None]) -> Report | None:
    """Start a Jumio, say where it is, and play. Only from the main thread.

    `announce` gets the product's settings as soon as they are true. Nothing is posted before the callback URL takes
    connections. Raises ValueError for an unknown fault or family before anything is started.
    """
    faults, families, report = parse_faults(play.faults), parse_families(play.families), None
    # Both signals interrupt whatever runs; then everything stops in order.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with _jumio(play) as simulator:
            announce(simulator.environment())
            if play.callback_url:
                wait_for(play.callback_url, _PATIENCE_SECONDS)
                url, count = play.callback_url, play.workflows
                report = simulator.play(url, count, rate=play.rate, faults=faults, families=families)
            if play.serve:
                threading.Event().wait()
    except KeyboardInterrupt:
        log.info("simulator.interrupted")
    finally:
        signal.signal(signal.SIGTERM, before)
    return report


def _jumio(play: Play) -> Simulator:
    return Simulator(
        seed=play.seed, dns_port=play.dns_port, http_port=play.http_port, latency_seconds=play.latency_seconds
    )
