"""Is it an event of the catalogue? The published schema, the strict model and CloudEvents each have their say."""

import json
import re
from datetime import datetime
from typing import Any

from cloudevents.core.formats.json import JSONFormat
from jsonschema import Draft202012Validator, FormatChecker

from deploy.catalogue import FOLDER
from schemas.events.data import CATALOGUE

FORMATS = FormatChecker()
_DATASCHEMA = re.compile(r"urn:jumio-pipeline:(.+?)(:enriched)?")


@FORMATS.checks("date-time", raises=ValueError)
def is_a_time(value: object) -> bool:
    """The library looks only where a further one is installed."""
    return datetime.fromisoformat(str(value)).tzinfo is not None


def validate_event(event: dict[str, Any]) -> None:
    """Raises where it is none: an unknown property is as wrong as one that is missing."""
    JSONFormat().read(None, json.dumps(event))
    shared = json.loads((FOLDER / "asyncapi.json").read_text())["components"]["schemas"]["cloudevent"]
    Draft202012Validator(shared, format_checker=FORMATS).validate(event)
    name = event["type"]
    if "dataschema" in event:
        named = _DATASCHEMA.fullmatch(event["dataschema"])
        assert named is not None
        assert named[1] == name
        name += ".enriched" if named[2] else ""
    else:
        CATALOGUE[event["type"]].model_validate_json(json.dumps(event["data"]))
    schema = json.loads((FOLDER / f"{name}.schema.json").read_text())
    Draft202012Validator(schema, format_checker=FORMATS).validate(event["data"])
