"""Writes the catalogue of events to schemas/events/catalogue: `make catalogue`. Refuses what would break a consumer."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from schemas.events.compatibility import breaks, shared_breaks
from schemas.events.documents import catalogue, text

FOLDER = Path(__file__).parents[1] / "schemas/events/catalogue"


def write_catalogue(folder: Path = FOLDER) -> list[str]:
    """Write what the models say, or nothing where that breaks what stands: what would."""
    made = catalogue()
    broken = [
        f"{name}: {what}"
        for name, document in made.items()
        if not name.endswith(".example.json") and (folder / name).exists()
        for what in compare(name)(json.loads((folder / name).read_text(encoding="utf-8")), document)
    ]
    broken += [f"{path.name}: the type was removed" for path in folder.glob("*.schema.json") if path.name not in made]
    if not broken:
        folder.mkdir(parents=True, exist_ok=True)
        for name, document in made.items():
            (folder / name).write_text(text(document), encoding="utf-8")
    return broken


def compare(name: str) -> Callable[[dict[str, Any], dict[str, Any]], list[str]]:
    """How a file of this name is compared with what stands."""
    return shared_breaks if name == "asyncapi.json" else breaks


if __name__ == "__main__":
    wrong = write_catalogue()
    sys.stderr.write("".join(f"{line}\n" for line in wrong))
    if wrong:
        sys.exit("this breaks consumers, so it needs a type of its own (.v2) beside the one that stands")
