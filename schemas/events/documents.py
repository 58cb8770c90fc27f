"""The models of events -> the catalogue: a JSON Schema and an example each, and one AsyncAPI document."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, create_model
from pydantic.json_schema import GenerateJsonSchema

from schemas.events.asyncapi import asyncapi
from schemas.events.data import CATALOGUE, DATA, ENRICHABLE, Enrichment
from schemas.events.envelope import EventType, TrialType, schema_id
from schemas.events.examples import example

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Document = dict[str, Any]


class _Plain(GenerateJsonSchema):
    """Without a title for every field: it says the field's name again."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ANN401, ARG002 - pydantic's signature
        return False


def catalogue() -> Mapping[str, Document]:
    """Every file of the catalogue, by its name."""
    schemas = {name: data_schema(name) for name in CATALOGUE}
    examples = {name: example(name) for name in CATALOGUE}
    enriched = {f"{name}.enriched": enriched_schema(name) for name in ENRICHABLE}
    return {
        "asyncapi.json": asyncapi(schemas, examples, enriched),
        **{f"{name}.schema.json": schema for name, schema in schemas.items()},
        **{f"{name}.schema.json": schema for name, schema in enriched.items()},
        **{f"{name}.example.json": event for name, event in examples.items()},
    }


def text(document: Document) -> str:
    """As it is written: for people and for diffs."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def data_schema(event_type: EventType | TrialType) -> Document:
    """What `data` of this type holds."""
    return _schema(CATALOGUE[event_type], schema_id(event_type))


def enriched_schema(event_type: EventType) -> Document:
    """The same with what a subscription may ask for besides."""
    thin = DATA[event_type]
    model = create_model(f"Enriched{thin.__name__}", __base__=(Enrichment, thin), __doc__=thin.__doc__)
    return _schema(model, schema_id(event_type, enriched=True))


def _schema(model: type[BaseModel], identifier: str) -> Document:
    generated = model.model_json_schema(mode="serialization", schema_generator=_Plain)
    opened = _opened(generated)
    return {"$schema": DIALECT, "$id": identifier, **opened}


def _opened(node: Any) -> Any:  # noqa: ANN401 - any JSON
    """Consumers must bear new properties: what is forbidden to us is not forbidden in what is published."""
    if isinstance(node, dict):
        return {name: _opened(value) for name, value in node.items() if name != "additionalProperties"}
    return [_opened(value) for value in node] if isinstance(node, list) else node
