"""What the line costs where it is felt: `make measure` prints it, measured on your machine.

The budget: how many requests a simulated Jumio saw in its busiest second, with 8 worker processes and more work than
the budget lets through. The reading: what one details document with all capabilities costs to read and to decide.
"""

import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

from deploy.simulator.run import Simulator
from deploy.up import running_line
from schemas.logs import configure_logs
from schemas.settings import Settings, inherited_environment
from workers.decide import decide
from workers.jumio.kyx import read_report

_WORKERS = 8
_WORKFLOWS = 40
_SECONDS = 30.0
_ROUNDS = 300
_DETAILS = Path("tests/fixtures/retrieval/kyx/details_all_capabilities.json")
_STEPS = Path("tests/fixtures/retrieval/kyx/steps.json")


def main() -> None:
    """Print the figures as JSON."""
    configure_logs("json")
    figures = {"machine": platform.platform(), "python": platform.python_version(), **reading(), **budget()}
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")


def reading() -> dict[str, object]:
    """Microseconds, medians; json.loads of the same bytes beside them, so that machines can be compared."""
    details, steps = _DETAILS.read_bytes(), _STEPS.read_bytes()
    ids = {"account_id": json.loads(details)["account"]["id"], "workflow_key": json.loads(details)["workflow"]["id"]}
    report = read_report(details, steps, **ids)
    return {
        "details_bytes": len(details),
        "json_loads_us": _median_us(lambda: json.loads(details)),
        "read_report_us": _median_us(lambda: read_report(details, steps, **ids)),
        "decide_us": _median_us(lambda: decide(report)),
    }


def budget() -> dict[str, object]:
    """The busiest second of a Jumio that is asked by 8 processes with a budget of 15/s."""
    with tempfile.TemporaryDirectory(prefix="jumio-pipeline-measure-") as name, Simulator(seed="measure") as simulator:
        folder = Path(name)
        folder.chmod(0o711)
        environment = {
            **inherited_environment(),
            **simulator.environment(),
            "WORKER_PROCESSES": str(_WORKERS),
            "JUMIO_RETRIEVAL_RATE": "15/s",
            "BIND": "127.0.0.1:0",
            "METRICS_BIND": "127.0.0.1:0",
        }
        with running_line(folder, environment, logs=folder) as line:
            simulator.play(f"{line.url}/callbacks/default", _WORKFLOWS, rate=None)
            time.sleep(_SECONDS)
            settings = Settings.load("operator", line.environment)
            with psycopg.connect(settings.database_url.get_secret_value()) as conn:
                counted = conn.execute("SELECT count(*) FROM compliance.verdicts").fetchone()
            return {
                "worker_processes": _WORKERS,
                "budget_per_second": 15,
                "seconds": _SECONDS,
                "requests": sum(simulator.stats.counts.values()),
                "busiest_second": simulator.stats.highest_rate(),
                "verdicts": counted[0] if counted else 0,
            }


def _median_us(work: Callable[[], object]) -> float:
    times = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return round(statistics.median(times) * 1e6, 1)


if __name__ == "__main__":
    main()
