"""The catalogue is what the models say, its examples are events, and no change of it breaks a consumer unseen."""

import json
import subprocess
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any, get_args

import pytest
from jsonschema import Draft202012Validator, ValidationError

from deploy.catalogue import FOLDER, compare, write_catalogue
from schemas.events.compatibility import breaks, shared_breaks
from schemas.events.data import CATALOGUE, DATA, event_data
from schemas.events.documents import catalogue, data_schema, text
from schemas.events.envelope import EventType, TrialType, schema_id
from tests.events import FORMATS, validate_event

ROOT = Path(__file__).parents[2]
CHANGED = data_schema("kyc.workflow.changed.v1")
ASYNCAPI = catalogue()["asyncapi.json"]

Plant = Callable[[dict[str, Any]], object]


def test_every_type_has_a_model() -> None:
    assert set(DATA) == set(get_args(EventType))
    assert set(CATALOGUE) == set(DATA) | set(get_args(TrialType))


def test_the_files_are_what_the_models_say() -> None:
    written = {path.name: path.read_text() for path in FOLDER.iterdir()}

    assert written == {name: text(document) for name, document in catalogue().items()}, "run: make catalogue"


@pytest.mark.parametrize("name", sorted(name for name in catalogue() if name.endswith(".schema.json")))
def test_a_schema_is_one_and_says_its_name(name: str) -> None:
    schema = catalogue()[name]

    Draft202012Validator.check_schema(schema)
    event_type, _, enriched = name.removesuffix(".schema.json").partition(".enriched")
    assert schema["$id"] == schema_id(event_type, enriched=".enriched" in name)
    assert enriched == ""
    assert "additionalProperties" not in text(schema)


@pytest.mark.parametrize("event_type", CATALOGUE)
def test_an_example_is_an_event_of_its_type(event_type: EventType | TrialType) -> None:
    event = json.loads((FOLDER / f"{event_type}.example.json").read_text())

    assert event["type"] == event_type
    validate_event(event)


@pytest.mark.parametrize(
    ("name", "value"),
    [("outcome", "pending"), ("outcome", "expired"), ("verdict_version", 0), ("checks", None), ("decided_at", "soon")],
)
def test_data_that_does_not_fit_is_refused_by_model_and_schema(name: str, value: object) -> None:
    event = json.loads((FOLDER / "kyc.workflow.decided.v1.example.json").read_text())
    event["data"][name] = value

    with pytest.raises(ValidationError):
        Draft202012Validator(data_schema("kyc.workflow.decided.v1"), format_checker=FORMATS).validate(event["data"])
    with pytest.raises(ValueError, match=name) as refused:
        event_data("kyc.workflow.decided.v1", event["data"])
    assert "user-000417" not in str(refused.value)


def test_a_thin_event_has_no_place_for_personal_data() -> None:
    personal = {"first_name", "last_name", "date_of_birth", "document_number", "identities"}
    thin = [text(data_schema(event_type)) for event_type in DATA]

    assert [name for name in personal for schema in thin if f'"{name}"' in schema] == []


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        (lambda new: new["properties"].pop("label"), "data.label was removed or renamed"),
        (lambda new: new["properties"].update(word=new["properties"].pop("label")), "data.label was removed"),
        (lambda new: new["required"].remove("label"), "data: required"),
        (lambda new: new["properties"].update(extra={"type": "string"}) or new["required"].append("extra"), "required"),
        (lambda new: new["properties"]["verdict_version"].update(type="string"), "data.verdict_version: type"),
        (lambda new: new["properties"]["verdict_version"].update(minimum=0), "data.verdict_version: minimum"),
        (lambda new: new["properties"]["outcome"]["enum"].append("maybe"), "data.outcome: enum"),
        (lambda new: new["properties"]["outcome"]["enum"].remove("warning"), "data.outcome: enum"),
        (lambda new: new["properties"]["account_id"]["anyOf"].pop(), "data.account_id: anyOf"),
        (lambda new: new["properties"]["risk_score"]["anyOf"][0].update(type="string"), "data.risk_score: type"),
        (lambda new: new["properties"]["decided_at"].pop("format"), "data.decided_at: format"),
        (lambda new: new["properties"]["checks"].update(items={"type": "string"}), "data.checks[].name was removed"),
        (lambda new: new["$defs"]["CheckResult"]["properties"].pop("label"), "data.checks[].label was removed"),
        (
            lambda new: new["$defs"]["CheckResult"]["properties"]["outcome"]["enum"].append("x"),
            "checks[].outcome: enum",
        ),
        (lambda new: new.update(additionalProperties=False), "data: additionalProperties"),
        (lambda new: new["properties"]["label"].update(maxLength=10), "data.label: maxLength"),
        (lambda new: new["properties"]["label"].update(pattern="^[A-Z]+$"), "data.label: pattern"),
        (lambda new: new["$defs"]["CheckResult"].update(additionalProperties=False), "checks[]: additionalProperties"),
        (lambda new: new.update({"$id": "urn:jumio-pipeline:kyc.workflow.revised.v1"}), "data: $id"),
        (lambda new: new.update({"$schema": "http://json-schema.org/draft-04/schema#"}), "data: $schema"),
        (lambda new: new["properties"].update(label=False), "data.label was {"),
        (lambda new: new["properties"].update(label=True), "and is True"),
        (lambda new: new["properties"]["account_id"].update(anyOf=[False, {"type": "null"}]), "data.account_id was {"),
        (lambda new: new["properties"]["checks"].update(items=False), "data.checks: items"),
    ],
)
def test_a_break_is_seen(plant: Plant, said: str) -> None:
    new = deepcopy(CHANGED)
    plant(new)

    assert any(said in line for line in breaks(CHANGED, new)), breaks(CHANGED, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"const": "expired"}, {"const": "ended"}),
        ({"pattern": "^[a-z]+$"}, {"pattern": "^[a-z]{1,8}$"}),
        ({"maxLength": 40}, {"maxLength": 20}),
        ({"enum": ["1", "2"]}, {"enum": [1, 2]}),
        ({"const": 1}, {"const": True}),
        ({"minimum": 1}, {"minimum": 1.5}),
        ({"type": "string"}, {"type": ["string", "null"]}),
        ({"const": {"title": "one"}}, {"const": {"title": "other"}}),
        ({"patternProperties": {"title": {"type": "string"}}}, {"patternProperties": {"title": {"type": "integer"}}}),
        ({"patternProperties": {"^a": {}}}, {"patternProperties": {"^b": {}}}),
    ],
    ids=["const", "pattern", "maxLength", "enum", "true", "minimum", "null", "title", "patterns", "other pattern"],
)
def test_no_rule_moves(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert breaks(old, new)
    assert breaks(new, old)


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        (lambda new: event_of(new)["properties"]["sequence"].update(type="string"), "event.sequence: type"),
        (lambda new: event_of(new)["properties"].pop("sequence"), "event.sequence was removed"),
        (lambda new: event_of(new)["required"].remove("time"), "event: required"),
        (lambda new: new["components"]["schemas"].pop("cloudevent"), "event.id was removed"),
        (
            lambda new: new["components"]["messages"]["kyc.workflow.decided.v1"]["headers"]["required"].pop(),
            "headers: required",
        ),
        (
            lambda new: new.update(defaultContentType="application/json"),
            "defaultContentType was application/cloudevents",
        ),
        (
            lambda new: new["components"]["messages"]["kyc.workflow.changed.v1"].update(contentType="text/plain"),
            "kyc.workflow.changed.v1: contentType",
        ),
        (
            lambda new: new["components"]["messages"]["kyc.subject.erased.v1"]["headers"]["required"].pop(),
            "kyc.subject.erased.v1 headers: required",
        ),
        (
            lambda new: new["components"]["messages"]["kyc.workflow.expired.v1"]["payload"]["allOf"][1]["properties"][
                "type"
            ].update(const="x"),
            "kyc.workflow.expired.v1 payload.type: const",
        ),
        (lambda new: new["operations"]["sendFeed"].pop("security"), "sendFeed: security"),
        (lambda new: new["operations"]["sendFeed"]["bindings"]["http"].update(method="POST"), "bindings.http.method"),
        (lambda new: new["operations"]["sendWebhook"].update(action="receive"), "sendWebhook: action"),
        (lambda new: new["operations"].pop("sendStream"), "sendStream: action"),
        (
            lambda new: new["components"]["securitySchemes"]["feedToken"].update(scheme="basic"),
            "components.securitySchemes",
        ),
        (lambda new: query_of(new)["wait"].update(default=30), "query.wait: default"),
        (lambda new: query_of(new)["limit"].update(maximum=100), "query.limit: maximum"),
        (lambda new: query_of(new).pop("wait"), "query.wait was removed"),
        (lambda new: new["channels"]["feed"].update(address="/v2/events"), "feed: address was /events"),
        (lambda new: new["channels"].pop("stream"), "stream: address"),
        (
            lambda new: new["channels"]["webhook"]["messages"].pop("kyc.workflow.expired.v1"),
            "webhook: kyc.workflow.expired.v1 was removed",
        ),
    ],
)
def test_a_break_around_the_data_is_seen(plant: Plant, said: str) -> None:
    new = deepcopy(ASYNCAPI)
    assert shared_breaks(ASYNCAPI, new) == []
    plant(new)

    found = shared_breaks(ASYNCAPI, new)
    assert any(said in line for line in found), found


def event_of(document: dict[str, Any]) -> dict[str, Any]:
    return dict(document["components"]["schemas"])["cloudevent"]


def query_of(document: dict[str, Any]) -> dict[str, Any]:
    return document["operations"]["sendFeed"]["bindings"]["http"]["query"]["properties"]


@pytest.mark.parametrize(
    "plant",
    [
        lambda new: new["properties"].update(extra={"type": "string"}),
        lambda new: new["$defs"]["CheckResult"]["properties"].update(extra={"type": "string"}),
        lambda new: new["properties"]["label"].update(description="In other words."),
        lambda new: new["required"].reverse(),
        lambda new: new["properties"]["checks"].update(items=deepcopy(new["$defs"]["CheckResult"])),
    ],
)
def test_what_nobody_notices_is_no_break(plant: Plant) -> None:
    new = deepcopy(CHANGED)
    plant(new)

    assert breaks(CHANGED, new) == []


def test_what_breaks_is_not_written(tmp_path: Path) -> None:
    assert write_catalogue(tmp_path) == []
    path = tmp_path / "kyc.workflow.decided.v1.schema.json"
    promised = json.loads(path.read_text())
    promised["properties"]["mood"] = {"type": "string"}
    path.write_text(text(promised))
    (tmp_path / "kyc.workflow.gone.v1.schema.json").write_text("{}")

    assert write_catalogue(tmp_path) == [
        "kyc.workflow.decided.v1.schema.json: data.mood was removed or renamed",
        "kyc.workflow.gone.v1.schema.json: the type was removed",
    ]
    assert json.loads(path.read_text()) == promised


# Before the first release, so that nobody has read it: families are found by their files, and listed nowhere.
TAKEN_BACK = ("data.family: enum was ['kyx', 'netverify', 'authentication', 'document'] and is None",)


def test_nothing_that_was_ever_committed_is_broken() -> None:
    """Also by someone who edits or removes a file by hand: history remembers, as far as it was cloned."""
    folder = FOLDER.relative_to(ROOT).as_posix()
    commits = git("log", "--format=%H", "--max-count=20", "--", folder).split()
    made = catalogue()

    broken = [
        f"{name}: {what}"
        for commit in commits
        for name in git("ls-tree", "--name-only", f"{commit}:{folder}").split()
        if not name.endswith(".example.json")
        for what in compare(name)(json.loads(git("show", f"{commit}:{folder}/{name}")), made.get(name, {}))
        if not what.endswith(TAKEN_BACK)
    ]

    assert broken == []


def git(*arguments: str) -> str:
    """Its answer; nothing where there is no git, or no repository."""
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout if done.returncode == 0 else ""
