"""The schemas -> an AsyncAPI 3 document: where events are to be had, how they are proven, and what is in them."""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from schemas.events.envelope import BATCH_CONTENT_TYPE, CONTENT_TYPE, TRIAL, EventType, TrialType

Document = dict[str, Any]

# What one answer of the feed holds: about three megabytes at most, and shorter than proxies wait.
USUAL_EVENTS, MOST_EVENTS = 100, 1000
LONGEST_WAIT_SECONDS = 30

_SIGNED = {
    "type": "object",
    "required": ["webhook-id", "webhook-timestamp", "webhook-signature"],
    "properties": {
        "webhook-id": {"type": "string", "description": "The event's id: the same at every try."},
        "webhook-timestamp": {"type": "string", "description": "Seconds since 1970 of this try; refuse old ones."},
        "webhook-signature": {
            "type": "string",
            "description": "Standard Webhooks 1.0: one or more signatures with a space between, each v1,BASE64.",
        },
        "jumio-pipeline-replay": {
            "type": "string",
            "description": "Only where an operator sent it again: how often. It may come after later events.",
        },
    },
}
_ROUTED = {
    "type": "object",
    "required": ["subject", "sequence", "tenant"],
    "properties": {
        "subject": {"type": "string"},
        "sequence": {"type": "integer", "minimum": 1},
        "tenant": {"type": "string"},
        "replays": {
            "type": "integer",
            "minimum": 1,
            "description": "Only where an operator sent it again: how often. It may come after later events.",
        },
    },
}
_PLACED = {
    "type": "object",
    "required": ["feed-cursor", "feed-more"],
    "properties": {
        "feed-cursor": {"type": "string", "description": "Where to go on: send it as `after`."},
        "feed-more": {"enum": ["true", "false"], "description": "Whether to ask again at once."},
    },
}
_ENVELOPE: Document = {
    "type": "object",
    "required": ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "sequence", "data"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "format": "uuid", "description": "Keep it and drop repeats."},
        "source": {"type": "string", "format": "uri-reference"},
        "subject": {"type": "string", "description": "The workflow key; of a test event, the subscription."},
        "time": {"type": "string", "format": "date-time"},
        "datacontenttype": {"const": "application/json"},
        "dataschema": {"type": "string", "format": "uri", "description": "Only where the data is enriched."},
        "sequence": {"type": "integer", "minimum": 1, "description": "Counts up by one for each workflow."},
    },
}
_QUERY = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "after": {"type": "string", "description": "The feed-cursor of an earlier answer; without it, from the start."},
        "types": {"type": "string", "description": "Types with commas between; without it, all."},
        "limit": {"type": "integer", "minimum": 1, "maximum": MOST_EVENTS, "default": USUAL_EVENTS},
        "wait": {"type": "number", "minimum": 0, "maximum": LONGEST_WAIT_SECONDS, "default": 0},
    },
}
_ASKED: Document = {
    "security": [{"$ref": "#/components/securitySchemes/feedToken"}],
    "bindings": {"http": {"method": "GET", "query": _QUERY, "bindingVersion": "0.3.0"}},
}
_FEED_DESCRIPTION = (
    "GET /events?after=CURSOR&types=&limit=&wait= answers a CloudEvents batch; "
    "the header feed-cursor says where to go on, feed-more whether to do so at once. "
    f"Batches are {BATCH_CONTENT_TYPE}, an array of the other messages' payloads; jumio-pipeline consumers add NAME"
)
_STREAM_DESCRIPTION = (
    "Fields id, type, subject, sequence, tenant; body holds the event. Where an operator sent it again, the field "
    "replays says how often. There are no headers and no signature."
)
_AMQP = {
    "is": "routingKey",
    "exchange": {"name": "jumio.events", "type": "topic", "durable": True},
    "bindingVersion": "0.3.0",
}


def asyncapi(
    schemas: Mapping[EventType | TrialType, Document],
    examples: Mapping[EventType | TrialType, Document],
    enriched: Mapping[str, Document],
) -> Document:
    """The whole document; `enriched` is there to be looked up by an event's dataschema."""
    told = [name for name in schemas if name != TRIAL]
    named: list[tuple[str, Document]] = [*schemas.items(), *enriched.items()]
    embedded = {name: _embedded(name, schema) for name, schema in named}
    return {
        "asyncapi": "3.0.0",
        "id": "urn:jumio-pipeline:events",
        "info": {
            "title": "jumio-pipeline events",
            "version": "1.0.0",
            "description": "CloudEvents 1.0 about identity verifications: references and outcomes, no personal data.",
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": _channels(schemas, told),
        "operations": {
            "sendWebhook": _send("webhook", schemas, "POST each event, signed, in order for each workflow, until 2xx."),
            "sendStream": _send("stream", told, "XADD each event; the stream keeps the latest hundred thousand."),
            "sendExchange": _send("exchange", told, "Publish each event, persistent, until the broker confirms it."),
            "sendFeed": {**_send("feed", ["batch"], "Answer with the events after a cursor."), **_ASKED},
        },
        "components": {
            "messages": {
                **{name: _message(name, schema, examples[name], _SIGNED) for name, schema in schemas.items()},
                **{f"exchange.{name}": _message(name, schemas[name], examples[name], _ROUTED) for name in told},
                "batch": _batch([examples[name] for name in told[:2]]),
            },
            "schemas": {"cloudevent": _ENVELOPE, **embedded},
            "securitySchemes": {"feedToken": {"type": "http", "scheme": "bearer"}},
        },
    }


def _channels(sent: Iterable[str], told: Sequence[str]) -> Document:
    """A test event is sent to the subscriber that is tried, and told to nobody else."""
    messages = _messages(told)
    return {
        "webhook": {
            "address": None,
            "title": "The URL of a subscription",
            "description": "jumio-pipeline subscriptions add URL",
            "messages": _messages(sent),
        },
        "stream": {
            "address": "jumio:events",
            "title": "The Redis stream EVENT_STREAM",
            "description": _STREAM_DESCRIPTION,
            "messages": messages,
        },
        "exchange": {
            "address": "jumio.events",
            "title": "The topic exchange EVENT_EXCHANGE on the RabbitMQ of EVENT_EXCHANGE_URL",
            "description": "The routing key is the event's type, the property message_id its id.",
            "messages": {name: {"$ref": f"#/components/messages/exchange.{name}"} for name in told},
            "bindings": {"amqp": _AMQP},
        },
        "feed": {
            "address": "/events",
            "title": "The feed on FEED_BIND",
            "description": _FEED_DESCRIPTION,
            "messages": {**messages, "batch": {"$ref": "#/components/messages/batch"}},
        },
    }


def _messages(types: Iterable[str]) -> Document:
    return {name: {"$ref": f"#/components/messages/{name}"} for name in types}


def _send(channel: str, types: Iterable[str], summary: str) -> Document:
    messages = [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in types]
    return {"action": "send", "channel": {"$ref": f"#/channels/{channel}"}, "summary": summary, "messages": messages}


def _message(name: str, schema: Document, example: Document, headers: Document) -> Document:
    event = {
        "properties": {"type": {"const": name}, "data": {"$ref": f"#/components/schemas/{name}"}},
        "required": ["type", "data"],
    }
    return {
        "name": name,
        "title": schema["title"],
        "summary": schema["description"],
        "contentType": CONTENT_TYPE,
        "headers": headers,
        "payload": {"allOf": [{"$ref": "#/components/schemas/cloudevent"}, event]},
        "examples": [{"payload": example}],
    }


def _batch(examples: list[Document]) -> Document:
    """The types are not listed: one that is new is no change of a batch."""
    return {
        "name": "batch",
        "title": "Events after a cursor",
        "summary": "As many as were asked for, or as there are: none at all is a batch, too.",
        "contentType": BATCH_CONTENT_TYPE,
        "headers": _PLACED,
        "payload": {"type": "array", "maxItems": MOST_EVENTS, "items": {"$ref": "#/components/schemas/cloudevent"}},
        "examples": [{"payload": examples}],
    }


def _embedded(name: str, schema: Document) -> Document:
    """Where the schema lies in another document, its references to its own parts must say where that is."""
    moved: Document = _moved(deepcopy(schema), f"#/components/schemas/{name}/")
    del moved["$id"], moved["$schema"]
    return moved


def _moved(node: Any, to: str) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(node, dict):
        return {key: value.replace("#/", to, 1) if key == "$ref" else _moved(value, to) for key, value in node.items()}
    return [_moved(value, to) for value in node] if isinstance(node, list) else node
