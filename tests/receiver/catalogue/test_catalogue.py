"""Every case of the catalogue over raw sockets: directly, behind nginx, behind haproxy; answers, ends, and rows."""

import re

import pytest

from tests.receiver.catalogue.case import LIMIT, Case, kept, post
from tests.receiver.catalogue.cases import CASES
from tests.receiver.catalogue.conftest import Front

# After these a request may not be followed by another one on the same connection.
FINAL = {400, 403, 404, 408, 413, 414, 431}


@pytest.mark.parametrize("name", CASES)
def test_it_is_answered_and_kept_as_the_catalogue_says(front: Front, name: str) -> None:
    case = CASES[name]
    expected = case.outcome(front.way)

    heard = front.send(case)
    rows = front.rows()

    assert not heard.hung
    assert heard.statuses in expected.alternatives, (case.about, heard.data[:300])
    assert len(rows) in expected.kept, case.about
    assert case.body is None or rows == [case.body]
    # A proxy keeps its own connection with the caller.
    assert front.way != "direct" or not FINAL.intersection(heard.statuses) or heard.closes
    assert b"SECRET" not in heard.data
    if heard.statuses == [403]:
        # Whether a proxy keeps the connection is the caller's wish.
        told = rb"date|server" if front.way == "direct" else rb"date|server|connection"
        front.refusals.add(re.sub(rb"(?i)\r\n(%s): [^\r]*" % told, b"", heard.data))


def test_what_is_far_too_long_is_kept_as_far_as_it_goes_unless_nginx_takes_none_of_it(front: Front) -> None:
    """What nginx holds has a limit of its own, and its file says that it must be the higher one."""
    case = Case("far too long", "five times the limit", post(b"b" * (5 * LIMIT)), kept("413"))

    heard = front.send(case)

    # Closed before all of it was sent, a caller may meet a reset before it reads the answer.
    assert heard.statuses in ([413], [])
    assert front.rows() == ([] if front.way == "nginx" else [b"b" * LIMIT])


def test_every_refusal_was_the_same_to_the_byte(front: Front) -> None:
    [refusal] = front.refusals

    assert b"content-length: 0" in refusal.lower()


def test_nothing_of_it_was_a_crash_and_nothing_came_late(front: Front) -> None:
    events = {line["event"] for line in front.served.lines()}

    assert not events & {"callback.failed", "library.logged", "process.crashed"}
    assert front.rows() == []
    assert "500" not in re.findall(r'answers_total\{code="(\d+)"', front.served.metrics())
    assert front.served.post() == 200


def test_what_is_no_request_is_counted(front: Front) -> None:
    if front.way == "direct":
        assert re.search(r'turned_away_total\{code="400"\} [1-9]', front.served.metrics())
