"""A reference of ours that is erased takes along what waits of it, and nothing that is somebody else's."""

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest

from deploy import holds
from deploy.erasure.erase import erase
from deploy.erasure.subject import Subject, SubjectError
from deploy.simulator.run import Simulator
from deploy.simulator.scenarios import Execution
from schemas.callbacks.reference import references
from tests.line.byte_search import rows
from tests.line.conftest import Hand
from tests.line.test_steps import view

NOW = datetime.now(UTC)


def test_what_waits_of_a_reference_goes_with_it_and_does_not_bring_it_back(hand: Hand, simulator: Simulator) -> None:
    known, unread, acquired, other, astray = simulator.create(5, outcomes=["passed"])
    [scan] = simulator.create_legacy("netverify", 1)
    reference = known.user_reference
    for each in (known, other):
        hand.receive(named(each, each.user_reference))
    hand.receive(named(acquired, reference, status="ACQUIRED"))
    hand.run_until_idle()
    own = [
        hand.receive(named(unread, reference)),
        hand.receive(scan.callback(scan.status, NOW).replace(scan.user_reference.encode(), reference.encode())),
        # On somebody's account, who has another reference: only the workflow is this one's.
        hand.receive(named(astray, reference).replace(astray.account_id.encode(), other.account_id.encode())),
        set_aside(hand, named(unread, reference)[:-9], "parked"),
        set_aside(hand, named(unread, reference).decode().encode("utf-16"), "parked"),
        # A stranger who says that somebody's workflow is this person's.
        set_aside(hand, named(other, reference), "refused"),
    ]
    others = [
        hand.receive(named(other, f"{reference}0")),
        set_aside(hand, named(other, f"x {reference}"), "refused"),
        set_aside(hand, b'{"note": "%s", "userReference": "somebody"' % reference.encode(), "parked"),
    ]

    erased = erase_reference(hand, reference)
    left = {row["callback_id"] for row in view(hand.conn, "callbacks")}
    hand.run_until_idle()
    for each in (unread, acquired, astray):
        hand.receive(named(each, reference))
    hand.run_until_idle()

    assert left.isdisjoint(own)
    assert left.issuperset(others)
    assert [row["workflow_key"] for row in view(hand.conn, "workflows")] == [other.key]
    assert erased["workflows"] == 2
    asked = rows(hand.conn, "SELECT count(*) FROM pipeline.tombstones")
    assert asked == [(5 + 3,)]  # five workflows, and the accounts that nobody else is on
    assert simulator.world.find(other.account_id, other.key) is not None
    assert simulator.world.find(unread.account_id, unread.key) is None


def test_a_reference_that_is_only_in_what_nobody_believes_is_erased_too(hand: Hand, simulator: Simulator) -> None:
    other, later = simulator.create(2, outcomes=["passed"])
    hand.receive(named(other, "somebody"))
    hand.run_until_idle()
    for each in (other, later):
        set_aside(hand, named(each, "user-4711"), "refused")

    held = Subject("default", "user-reference", "user-4711")
    holds.place(hand.conn, held, reason="case 17")
    with pytest.raises(SubjectError, match="this user-reference is on legal hold"):
        erase_reference(hand, "user-4711")
    holds.release(hand.conn, held, reason="case 17 is closed")
    erased = erase_reference(hand, "user-4711")
    refused = rows(hand.conn, "SELECT FROM pipeline.callbacks WHERE state = 'refused'")
    # Nobody can have somebody else erased, not even before Jumio tells of them.
    hand.receive(named(later, "somebody else"))
    hand.run_until_idle()

    assert erased == {"callbacks": 2, "holds": 1}
    assert refused == []
    assert len(view(hand.conn, "workflows")) == 2
    with pytest.raises(SubjectError, match="nothing is known"):
        erase_reference(hand, "user-4711")


def test_what_is_on_hold_for_another_workflow_is_not_erased_with_a_reference(hand: Hand, simulator: Simulator) -> None:
    """A forged callback is evidence in somebody's case, whomever it names."""
    known, other = simulator.create(2, outcomes=["passed"])
    reference = known.user_reference
    hand.receive(named(known, reference))
    hand.run_until_idle()
    forged = set_aside(hand, named(other, reference), "parked")
    hand.conn.execute(
        "UPDATE pipeline.callbacks SET last_error = 'mismatch: x', family = 'kyx', workflow_key = %s WHERE id = %s",
        [other.key, forged],
    )
    held = Subject("default", "workflow", other.key)
    holds.place(hand.conn, held, reason="case 17")

    with pytest.raises(SubjectError, match=f"workflow {other.key}, which is on legal hold, names it, so nothing"):
        erase_reference(hand, reference)
    assert len(view(hand.conn, "workflows")) == 1
    holds.release(hand.conn, held, reason="case 17 is closed")

    erase_reference(hand, reference)
    assert view(hand.conn, "callbacks") == []


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"userReference": "a", "workflowExecution": {"id"', {"a"}),
        (b'{"USERREFERENCE":"a\\u00e9\\"b" broken', {'aé"b'}),
        (b'{"userReference": 4711 broken', {"4711"}),
        (b'{"userReference": "cut in the mid', set()),
        (b'{"userReference": "bad \\x escape" }', set()),
        (b'{"note": "userReference: a", "reference": "a"', set()),
        (b"callBackType=NEW&customerId=a%20b&x=1", {"a b"}),
        (b"callBackType=NEW&notcustomerId=a&x=customerId", set()),
        (b"transaction=%7B%22customerId%22%3A%22a%22%7D", {"a"}),
        (b'{"transaction": "{\\"customerId\\": \\"a\\"}"', {"a"}),
        ('{"userReference": "aé" '.encode("utf-16"), {"aé"}),
        (b"\xff\x00\xfe", set()),
        # A stranger's: each quote may open a text, and none ends one. Read once, or for hours.
        (b'{"' + b'\\"' * 500_000, set()),
        (b'{"userReference"' * 60_000, set()),
    ],
)
def test_a_reference_is_a_member_with_its_whole_value(body: bytes, found: set[str]) -> None:
    assert references(body) == found


def named(execution: Execution, reference: str, *, status: str | None = None) -> bytes:
    """Its callback, with a reference as Jumio echoes it."""
    body = json.loads(execution.callback(status or execution.status, NOW))
    return json.dumps({**body, "userReference": reference}).encode()


def set_aside(hand: Hand, body: bytes, state: str) -> UUID:
    callback_id = hand.receive(body)
    hand.conn.execute(
        "UPDATE pipeline.callbacks SET state = %s, finished_at = now(), last_error = 'json: broken' WHERE id = %s",
        [state, callback_id],
    )
    return callback_id


def erase_reference(hand: Hand, reference: str) -> dict[str, int]:
    erased = erase(
        hand.conn,
        Subject("default", "user-reference", reference),
        reason="asked for it",
        keys=hand.tools.settings.keys,
        outlet=hand.tools.outlet,
        vaults=hand.tools.vaults,
    )
    return {table: count for table, count in erased.rows.items() if count}
