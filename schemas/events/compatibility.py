"""Would a change of a schema break somebody? Only a new property that may be absent does not.

The feed and replays hand out events of yesterday under the same type. So what is sent tomorrow must fit the schema that
a consumer has today, and what was sent yesterday must fit tomorrow's: neither side of any rule may move.
"""

import json
from collections.abc import Iterator
from typing import Any

# What people read, and what is looked at apart.
_APART = frozenset({"title", "description", "examples", "default", "$defs", "$schema", "properties", "$ref"})
# In the AsyncAPI document: what all events have in common, what they are signed with, and how the feed is asked.
_SHARED = {
    "event": ("components", "schemas", "cloudevent"),
    "headers": ("components", "messages", "kyc.workflow.decided.v1", "headers"),
    "query": ("operations", "sendFeed", "bindings", "http", "query"),
}
_LISTS_OF_SCHEMAS = frozenset({"anyOf", "allOf", "oneOf", "prefixItems"})


def breaks(old: dict[str, Any], new: dict[str, Any], *, path: str = "data") -> list[str]:
    """What breaks, by the path in the data; empty where none would notice."""
    return list(_breaks(old, new, old_root=old, new_root=new, path=path))


def shared_breaks(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """The same for AsyncAPI documents: around the data, and where events are to be had."""
    found = [
        what for name, place in _SHARED.items() for what in breaks(_part(old, *place), _part(new, *place), path=name)
    ]
    for name, was in _part(old, "channels").items():
        is_now = _part(new, "channels", name)
        if is_now.get("address", "") != was["address"]:
            found.append(f"{name}: address was {was['address']} and is {is_now.get('address')}")
        gone = sorted(was["messages"].keys() - is_now.get("messages", {}).keys())
        found += [f"{name}: {message} was removed" for message in gone]
    return found


def _part(document: dict[str, Any], *place: str) -> dict[str, Any]:
    for name in place:
        document = document.get(name, {})
    return document


def _breaks(
    old: dict[str, Any], new: dict[str, Any], *, old_root: dict[str, Any], new_root: dict[str, Any], path: str
) -> Iterator[str]:
    old, new = _resolved(old, old_root), _resolved(new, new_root)
    before, after = old.get("properties", {}), new.get("properties", {})
    for name in before:
        if name not in after:
            yield f"{path}.{name} was removed or renamed"
        else:
            yield from _breaks(before[name], after[name], old_root=old_root, new_root=new_root, path=f"{path}.{name}")
    for keyword in sorted((old.keys() | new.keys()) - _APART):
        was, is_now = old.get(keyword), new.get(keyword)
        if isinstance(was, dict) and isinstance(is_now, dict):
            yield from _breaks(was, is_now, old_root=old_root, new_root=new_root, path=f"{path}[]")
        elif keyword in _LISTS_OF_SCHEMAS and len(was or ()) == len(is_now or ()):
            for one, other in zip(was or (), is_now or (), strict=True):
                yield from _breaks(one, other, old_root=old_root, new_root=new_root, path=path)
        elif _text(was) != _text(is_now):
            yield f"{path}: {keyword} was {was} and is {is_now}"


def _resolved(node: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        target: dict[str, Any] = root
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = {**target, **{name: value for name, value in node.items() if name != "$ref"}}
    return node


def _text(value: object) -> str:
    """Without the order of a list; to Python 1 is the same as true, and to a consumer it is not."""
    parts = sorted(map(json.dumps, value)) if isinstance(value, list) else value
    return json.dumps(parts, sort_keys=True)
