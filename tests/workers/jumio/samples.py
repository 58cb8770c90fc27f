"""The samples of details and steps, and their reading."""

import json
from pathlib import Path
from typing import Any

from schemas.report import Report
from workers.jumio.kyx import read_report

FIXTURES = Path("tests/fixtures/retrieval/kyx")
ACCOUNT = "f5057fee-4c3e-4459-82dd-21250b729601"
WORKFLOW = "f41fcb28-e1ec-4229-9aa5-148c01a8c3f5"
ID = "b7b3ff7b-623d-48df-8cd5-8cc6f137bdc5"


def load(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((FIXTURES / name).read_bytes())
    return document


def read(details: object, steps: object = None) -> Report:
    return read_report(
        json.dumps(details).encode(),
        None if steps is None else json.dumps(steps).encode(),
        account_id=ACCOUNT,
        workflow_key=WORKFLOW,
    )


def minimal(**members: object) -> dict[str, Any]:
    return load("details_minimal.json") | members
