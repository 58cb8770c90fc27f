"""Would a change of a schema break somebody? Only a new property that may be absent does not.

The feed and replays hand out events of yesterday under the same type. So what is sent tomorrow must fit the schema that
a consumer has today, and what was sent yesterday must fit tomorrow's: neither side of any rule may move.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

# What people read, and what is looked at apart.
_APART = frozenset({"title", "description", "examples", "default", "$defs", "properties", "$ref"})
# Values, not schemas, whatever the names of their members are.
_VALUES = frozenset({"const", "enum"})
_LISTS_OF_SCHEMAS = frozenset({"anyOf", "allOf", "oneOf", "prefixItems"})
_MAPS_OF_SCHEMAS = frozenset({"patternProperties", "dependentSchemas"})
# In the AsyncAPI document: how the feed is asked; what is said of each message and of each operation; how one gets in.
_QUERY = ("operations", "sendFeed", "bindings", "http", "query")
_OF_A_MESSAGE = ("headers", "payload")
_OF_AN_OPERATION = (("action",), ("channel",), ("security",), ("bindings", "http", "method"))
_OF_ALL = (("defaultContentType",), ("components", "securitySchemes"))


@dataclass(frozen=True)
class _Roots:
    """The documents in which references are looked up."""

    old: dict[str, Any]
    new: dict[str, Any]


def breaks(old: dict[str, Any], new: dict[str, Any], *, path: str = "data") -> list[str]:
    """What breaks, by the path in the data; empty where none would notice."""
    return list(_breaks(old, new, _Roots(old, new), path))


def shared_breaks(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """The same for AsyncAPI documents: around the data, and where events are to be had."""
    return [
        *breaks(
            _part(old, "components", "schemas", "cloudevent"),
            _part(new, "components", "schemas", "cloudevent"),
            path="event",
        ),
        *_query_breaks(_part(old, *_QUERY), _part(new, *_QUERY)),
        *_message_breaks(old, new),
        *_channel_breaks(_part(old, "channels"), _part(new, "channels")),
        *_differences(old, new, _OF_ALL, ""),
        *(
            what
            for name, was in _part(old, "operations").items()
            for what in _differences(was, _part(new, "operations", name), _OF_AN_OPERATION, f"{name}: ")
        ),
    ]


def _query_breaks(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    """Who leaves a parameter out gets its default, so that this must stay, too."""
    yield from breaks(old, new, path="query")
    for name, was in old.get("properties", {}).items():
        yield from _differences(was, _part(new, "properties", name), (("default",),), f"query.{name}: ")


def _message_breaks(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    for name, was in _part(old, "components", "messages").items():
        is_now = _part(new, "components", "messages", name)
        yield from _differences(was, is_now, (("contentType",),), f"{name}: ")
        for part in _OF_A_MESSAGE:
            yield from _breaks(was.get(part, {}), is_now.get(part, {}), _Roots(old, new), f"{name} {part}")


def _channel_breaks(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    for name, was in old.items():
        is_now = new.get(name, {})
        if is_now.get("address", "") != was["address"]:
            yield f"{name}: address was {was['address']} and is {is_now.get('address')}"
        for message in sorted(was["messages"].keys() - is_now.get("messages", {}).keys()):
            yield f"{name}: {message} was removed"


def _differences(old: dict[str, Any], new: dict[str, Any], places: Iterable[Sequence[str]], path: str) -> Iterator[str]:
    for place in places:
        was, is_now = _part(old, *place), _part(new, *place)
        if _text(was) != _text(is_now):
            yield f"{path}{'.'.join(place)} was {was or None} and is {is_now or None}"


def _part(document: Any, *place: str) -> Any:  # noqa: ANN401 - any JSON
    for name in place:
        document = document.get(name, {})
    return document


def _breaks(old: Any, new: Any, roots: _Roots, path: str) -> Iterator[str]:  # noqa: ANN401 - a schema may be true or false
    if not isinstance(old, dict) or not isinstance(new, dict):
        if _text(old) != _text(new):
            yield f"{path} was {old} and is {new}"
        return
    old, new = _resolved(old, roots.old), _resolved(new, roots.new)
    before, after = old.get("properties", {}), new.get("properties", {})
    for name in before:
        if name not in after:
            yield f"{path}.{name} was removed or renamed"
        else:
            yield from _breaks(before[name], after[name], roots, f"{path}.{name}")
    for keyword in sorted((old.keys() | new.keys()) - _APART):
        yield from _rule_breaks(keyword, old.get(keyword), new.get(keyword), roots, path)


def _rule_breaks(keyword: str, was: Any, is_now: Any, roots: _Roots, path: str) -> Iterator[str]:  # noqa: ANN401 - any JSON
    both = isinstance(was, dict) and isinstance(is_now, dict)
    if keyword in _LISTS_OF_SCHEMAS and len(was or ()) == len(is_now or ()):
        for one, other in zip(was or (), is_now or (), strict=True):
            yield from _breaks(one, other, roots, path)
    elif keyword in _MAPS_OF_SCHEMAS and both and was.keys() == is_now.keys():
        for name in was:
            yield from _breaks(was[name], is_now[name], roots, f"{path}[{name}]")
    elif both and keyword not in _VALUES | _MAPS_OF_SCHEMAS:
        yield from _breaks(was, is_now, roots, f"{path}[]")
    elif _text(was) != _text(is_now):
        yield f"{path}: {keyword} was {was} and is {is_now}"


def _resolved(node: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        target: dict[str, Any] = _part(root, *node["$ref"].removeprefix("#/").split("/"))
        node = {**target, **{name: value for name, value in node.items() if name != "$ref"}}
    return node


def _text(value: object) -> str:
    """Without the order of a list; to Python 1 is the same as true, and to a consumer it is not."""
    parts = sorted(map(json.dumps, value)) if isinstance(value, list) else value
    return json.dumps(parts, sort_keys=True)
