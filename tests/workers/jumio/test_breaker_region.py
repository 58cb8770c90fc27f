"""A region that says it is down is left in peace; one that fails without a word is left to the schedule."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.workers.jumio.fleet import WINDOW_OVER, Fleet, open_parts
from tests.workers.jumio.scripted import reply
from workers.errors import JumioAwayError
from workers.jumio.breaker import ClosedError, says_down
from workers.jumio.deadline import within

HEALTH = Path("tests/fixtures/other")
DOWN = [
    pytest.param(reply(200, (HEALTH / "health_down.json").read_bytes()), id="down"),
    pytest.param(reply(200, b'{"status": "DEGRADED", "details": {"retrieval": "down "}}'), id="retrieval is"),
    pytest.param(reply(503, b'{"status": "DOWN"}'), id="with a 503"),
]
NOT_DOWN = [
    pytest.param(reply(200, (HEALTH / "health_up.json").read_bytes()), id="up"),
    pytest.param(reply(200, b'{"status": "DEGRADED", "details": {"retrieval": "DEGRADED"}}'), id="degraded"),
    pytest.param(reply(200, b'{"status": "DEGRADED", "details": {"web": "DOWN"}}'), id="web is"),
    pytest.param(reply(200, b"<html>"), id="no JSON"),
    pytest.param(reply(200, b""), id="empty"),
    pytest.param(reply(404), id="404"),
    pytest.param(b"", id="silent"),
]


@pytest.mark.parametrize("page", DOWN)
def test_a_region_that_says_down_is_left_in_peace(fleet: Fleet, page: bytes) -> None:
    fleet.region.retrieval, fleet.region.page = 503, page

    errors = fleet.ask(5)

    assert errors == [ClosedError] * 5
    assert fleet.asked() == 1
    assert open_parts(fleet.conn) == ["region"]


def test_a_row_whose_time_is_up_still_hears_why(fleet: Fleet) -> None:
    """A region that goes down is slow first: who waited for it in vain has no second left of its own."""
    fleet.region.page = reply(200, (HEALTH / "health_down.json").read_bytes())

    with within(-1):
        errors = fleet.ask(2)

    assert errors == [ClosedError] * 2
    assert open_parts(fleet.conn) == ["region"]


@pytest.mark.parametrize("page", NOT_DOWN)
def test_one_that_does_not_is_left_to_the_schedule_and_its_page_asked_now_and_then(fleet: Fleet, page: bytes) -> None:
    fleet.region.retrieval, fleet.region.page = 503, page

    errors = fleet.ask(4)

    assert errors == [JumioAwayError] * 4
    assert len(fleet.server.of("/")) - len(fleet.server.of("/api")) - len(fleet.server.of("/oauth2")) == 1


def test_successes_in_between_do_not_ask_the_page_more_often(fleet: Fleet) -> None:
    for _ in range(3):
        fleet.region.retrieval = 500
        fleet.ask()
        fleet.region.retrieval = 200
        fleet.ask()

    assert [asked.path for asked in fleet.server.asked].count("/") == 1


def test_a_region_that_is_not_there_at_all_is_away(fleet: Fleet) -> None:
    fleet.region.gone = True

    assert fleet.ask(3) == [JumioAwayError] * 3
    assert open_parts(fleet.conn) == []


def test_a_region_is_tried_once_a_minute_and_asks_its_page_again(fleet: Fleet) -> None:
    fleet.region.retrieval, fleet.region.page = 503, reply(200, b'{"status": "DOWN"}')
    fleet.ask()

    fleet.conn.execute(WINDOW_OVER)
    assert fleet.ask(3) == [ClosedError] * 3
    assert fleet.asked() == 2

    fleet.region.page = b""
    fleet.conn.execute(WINDOW_OVER)
    assert fleet.ask(2) == [ClosedError] * 2

    fleet.region.page = reply(200, b'{"status": "UP"}')
    fleet.conn.execute(WINDOW_OVER)
    assert fleet.ask(2) == [JumioAwayError] * 2
    assert open_parts(fleet.conn) == []


def test_a_region_that_answers_is_open_to_rows_again(fleet: Fleet) -> None:
    fleet.region.retrieval, fleet.region.page = 503, reply(200, b'{"status": "DOWN"}')
    fleet.ask()
    fleet.region.retrieval = 200
    fleet.conn.execute(WINDOW_OVER)

    assert fleet.ask(4) == [None] * 4


def test_the_token_s_host_belongs_to_the_region(fleet: Fleet) -> None:
    fleet.region.token, fleet.region.page = 503, reply(200, b'{"status": "DOWN"}')

    assert fleet.ask(3) == [ClosedError] * 3


def test_a_refusal_is_an_answer_of_the_region_and_silence_none_of_the_credentials(fleet: Fleet) -> None:
    for status in (500, 500, 403, 500, 500, 403, 500, 500, 403, 403, 403):
        fleet.region.retrieval = status
        fleet.ask()

    assert open_parts(fleet.conn) == ["credentials"]


@pytest.mark.parametrize(
    ("page", "down"),
    [({}, False), ({"status": None}, False), ({"status": ["DOWN"]}, False), ({"details": "DOWN"}, False),
     ({"status": "down"}, True), ({"details": {"retrieval": "DOWN"}}, True), ({"details": {"api": "DOWN"}}, False)],
)  # fmt: skip
def test_the_page_is_read_tolerantly(page: dict[str, Any], down: bool) -> None:  # noqa: FBT001 - a table's column
    assert says_down(json.loads(json.dumps(page))) is down
