"""What the processes under test are set to; the addresses of their services apart, which each gets by its proxies."""

from deploy.simulator.run import Simulator
from schemas.sealing import KeyRing
from schemas.settings import inherited_environment

# Schedules of seconds, long enough that two hundred faults in a row use nobody's attempts up.
SCHEDULE = ",".join(["1", "1", "2", "2", "4", "4", *["8"] * 14])


def environment(simulator: Simulator, *, worker_processes: int) -> dict[str, str]:
    """What every process is set to, the addresses of its services apart."""
    given = {name: value for name, value in inherited_environment().items() if not name.startswith("PG")}
    return {
        **given,
        **simulator.environment(),
        "METRICS_BIND": "127.0.0.1:0",
        "ENCRYPTION_KEYS": KeyRing.generate(),
        "SUBSCRIBER_PRIVATE_CIDRS": "127.0.0.0/8",
        "JUMIO_RETRY_SECONDS": SCHEDULE,
        "DELIVERY_RETRY_SECONDS": SCHEDULE,
        "JUMIO_RETRIEVAL_RATE": "1000/s",
        "WORKER_PROCESSES": str(worker_processes),
        "LOG_FORMAT": "json",
    }
