"""The subscriptions' commands as an operator types them."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from standardwebhooks.webhooks import Webhook

from deploy.__main__ import cli
from schemas.sealing import KeyRing
from tests.events import validate_event
from tests.workers.conftest import Subscriber, running_subscriber

Type = Callable[..., Result]


@pytest.fixture
def subscriber() -> Iterator[Subscriber]:
    with running_subscriber() as running:
        yield running


@pytest.fixture
def type_(database_url: str) -> Type:
    """Runs a command; it has to end well unless another exit code is expected."""
    environment = {
        "DATABASE_URL": database_url,
        "ENCRYPTION_KEYS": KeyRing.generate(),
        "SUBSCRIBER_PRIVATE_CIDRS": "127.0.0.0/8,fd00::/8",
    }

    def run(*words: str, code: int = 0) -> Result:
        result = CliRunner().invoke(cli, words, env=environment)
        assert result.exit_code == code, result.output
        return result

    return run


def listed(type_: Type) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(type_("subscriptions", "list", "--json").stdout)
    return found


def words_after(output: str, start: str) -> str:
    [line] = [line for line in output.splitlines() if line.startswith(start)]
    return line.removeprefix(start).split()[0]


def test_a_subscriber_is_added_with_its_filters_and_listed(type_: Type) -> None:
    filters = ("--types", "kyc.workflow.decided.v1, kyc.workflow.changed.v1", "--outcomes", "passed", "--tenants", "a")
    type_("subscriptions", "add", "http://127.0.0.1:1/", *filters, "--families", "kyx,document")

    [found] = listed(type_)
    assert found["types"] == ["kyc.workflow.decided.v1", "kyc.workflow.changed.v1"]
    assert (found["outcomes"], found["tenants"], found["families"]) == (["passed"], ["a"], ["kyx", "document"])
    assert "kyx, document" in type_("subscriptions", "list").stdout
    refused = type_("subscriptions", "add", "http://127.0.0.1:2/", "--outcomes", "approved", code=1)
    assert "no such outcome: approved; there are: passed" in refused.output


def test_the_list_says_who_gets_identities_and_where(type_: Type) -> None:
    url = "http://[fd00::1]/hook"
    type_("subscriptions", "add", url, "--enrich", "checks,identity")
    type_("subscriptions", "rotate", url, "--hours", "2")

    shown = type_("subscriptions", "list").stdout

    assert f"{url} " in shown
    assert "all + checks + identity" in shown
    assert "well; an old secret signs too until 20" in shown


def test_a_test_event_goes_out_signed_and_its_answer_is_shown(type_: Type, subscriber: Subscriber) -> None:
    added = type_("subscriptions", "add", subscriber.url())
    secret = words_after(added.stdout, "secret ")

    tried = type_("subscriptions", "test", subscriber.url())

    assert tried.stdout.startswith("answer 200 after ")
    [request] = subscriber.requests
    event = Webhook(secret).verify(request.body, request.headers)
    assert event["type"] == "kyc.subscription.test.v1"
    assert event["data"] == {"test": True, "subscription_id": words_after(added.stdout, "subscription ")}
    assert event["id"] == request.headers["webhook-id"]
    validate_event(event)


@pytest.mark.parametrize(
    ("path", "said"),
    [("/status/302", "answer 302"), ("/hangup", "subscriber_away: RemoteProtocolError")],
)
def test_a_test_event_that_is_not_taken_ends_with_1(type_: Type, subscriber: Subscriber, path: str, said: str) -> None:
    type_("subscriptions", "add", subscriber.url(path))

    assert said in type_("subscriptions", "test", subscriber.url(path), code=1).output


def test_a_rotation_signs_with_both_and_keeps_the_kind(type_: Type, subscriber: Subscriber, tmp_path: Path) -> None:
    type_("subscriptions", "add", subscriber.url(), "--secret-file", str(tmp_path / "old"))
    same = type_("subscriptions", "rotate", subscriber.url(), "--secret-file", str(tmp_path / "old"), code=1)
    assert "the secret that is in use" in same.output

    type_("subscriptions", "rotate", subscriber.url(), "--secret-file", str(tmp_path / "new"), "--hours", "2")
    rotated = type_("subscriptions", "rotate", subscriber.url(), "--ed25519")
    again = type_("subscriptions", "rotate", subscriber.url())

    assert "for 24 h the old one signs too" in rotated.stdout
    assert words_after(rotated.stdout, "public key ") != words_after(again.stdout, "public key ")
    assert "whsk_" not in rotated.stdout + again.stdout
    type_("subscriptions", "test", subscriber.url())
    [request] = subscriber.requests
    for name in ("old", "new"):
        Webhook((tmp_path / name).read_text().strip()).verify(request.body, request.headers)
    assert request.headers["webhook-signature"].count("v1a,") == 2


def test_pause_resume_and_remove_say_what_they_did(type_: Type) -> None:
    url = "http://127.0.0.1:1/"
    type_("subscriptions", "add", url)

    said = [type_("subscriptions", word, url).stdout for word in ("pause", "pause", "resume", "remove")]

    assert said[:2] == ["paused\n", "it was paused already\n"]
    assert said[2].startswith("resumed; 0 deliveries")
    assert said[3].startswith("removed")
    for word in ("pause", "resume", "rotate", "test", "remove"):
        assert "see: jumio-pipeline subscriptions list" in type_("subscriptions", word, url, code=1).output


@pytest.mark.parametrize(
    "words",
    [
        ("--event", "01a213a1-25e5-77b2-beea-ff51961989f9"),
        ("--workflow", "w"),
        ("--since", "2026-01-02", "--destination", "stream"),
        ("--since", "2026-01-02T03:04:05+02:00", "--subscription", "01a213a1-25e5-77b2-beea-ff51961989f9"),
    ],
)
def test_a_replay_says_how_much_goes_out(type_: Type, words: Sequence[str]) -> None:
    assert type_("replay", *words).stdout.startswith("0 deliveries go out again")


def test_a_replay_of_nothing_in_particular_is_refused(type_: Type) -> None:
    assert "say what: --event ID" in type_("replay", code=2).output
    where = ("--workflow", "w", "--destination", "exchange")
    assert "the exchange is switched off here: set EVENT_EXCHANGE_URL" in type_("replay", *where, code=1).output


def test_deliveries_are_shown_to_people_and_programs(type_: Type) -> None:
    assert json.loads(type_("deliveries", "--json").stdout) == []
    assert type_("deliveries", "--state", "parked").stdout.startswith("event")
