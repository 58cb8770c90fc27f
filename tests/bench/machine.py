"""Where it was measured, and with what."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

_PACKAGES = ("uvicorn", "starlette", "psycopg", "celery", "redis", "cryptography")


def machine() -> dict[str, str]:
    """For the head of a table."""
    names = [line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")]
    cpu = names[0] if names else platform.processor()
    return {
        "machine": f"{os.cpu_count()} x {cpu}, {platform.system()} {platform.release()}; load generator on it too",
        "versions": ", ".join(
            [f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in _PACKAGES)]
        ),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []
