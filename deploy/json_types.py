"""A row of Postgres as JSON has it: `--json` and tables show the same."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID


def as_json(row: Mapping[str, Any]) -> dict[str, Any]:
    """Times and ids become texts; the rest is JSON already."""
    return {name: _as_json(value) for name, value in row.items()}


def _as_json(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value
