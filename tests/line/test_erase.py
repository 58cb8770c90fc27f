"""An erased person: nothing of them is left or comes back, and nobody else misses anything."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import psycopg
import pytest
import redis
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from psycopg import Connection
from uuid_utils.compat import uuid7

from deploy import holds
from deploy.bundle.write import find_family, write_bundle
from deploy.commands.erase import command
from deploy.erasure.erase import Erased, erase
from deploy.erasure.rows import lock
from deploy.erasure.scrub import scrub
from deploy.erasure.spools import NOT_SET, Aside
from deploy.erasure.subject import Kind, Subject, SubjectError
from deploy.retention import run as retention
from deploy.retention.policy import Rule, read_policy
from deploy.simulator.mix import Family
from deploy.simulator.run import Simulator
from deploy.simulator.scenarios import Execution
from receiver.arrival import Arrival
from receiver.metrics import Metrics
from receiver.spool.depth import measure
from receiver.spool.drain import Drain
from receiver.spool.line import write_line
from receiver.spool.segment import DAMAGED_SUFFIX, Segment
from receiver.spool.spool import Spool
from schemas.sealing import KeyRing
from schemas.settings import Settings
from schemas.sql.queries import query
from tests.line.byte_search import LEFT, everything, files, fingerprints, missing, rows, stream
from tests.line.conftest import Hand
from tests.line.test_steps import view
from tests.waiting import until
from workers.jumio.breaker import FRESH_SECONDS

NOW = datetime.now(UTC)
EXAMPLE = Path(__file__).parents[2] / "deploy/retention.example.toml"
FIRST, LAST, NUMBER, STREET = "CANARYFIRST-7F3A", "CANARYLAST-91BC", "CANARYNUMBER-55D0", "CANARYSTREET-E2"
CLEAR = [FIRST, LAST, NUMBER, STREET]


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """People of this file only: Postgres's files hold references of those whom other tests knew."""
    with Simulator(seed="erased") as running:
        yield running


@pytest.mark.usefixtures("_wal_is_removed")
def test_nothing_of_an_erased_person_is_found_and_nobody_else_misses_anything(
    hand: Hand, simulator: Simulator, data_folder: Path | None
) -> None:
    person, other = planted(simulator), simulator.create(outcomes=["passed"])[0]
    for execution in (person, other, other):
        hand.receive(execution.callback(execution.status, NOW))
    unreadable = hand.receive(b'{"workflowExecution": broken ' + person.key.encode() + STREET.encode())
    hand.run_until_idle()
    sealed = [row[0] for row in hand.conn.execute("SELECT sealed FROM pipeline.image_blobs b JOIN pipeline.images i "
        "ON i.id = b.image_id WHERE workflow_key = %s", [person.key])]  # fmt: skip
    hand.conn.execute("ANALYZE")
    needles = [each.encode() for each in (*CLEAR, person.user_reference, person.account_id)]
    assert missing(needles, everything(hand, data_folder)) == []
    before = fingerprints(hand.conn, but=person.key)

    erased = erase_now(hand, "workflow", person.key)
    hand.run_until_idle()
    # What a search of files is worth: rows that are deleted are in them until they are rewritten.
    if data_folder:
        assert missing([each.encode() for each in CLEAR[:3]], files(data_folder)) == []
    scrub(hand.conn)

    found = everything(hand, data_folder)
    assert missing(needles, found) == needles
    assert len(sealed) == person.expectation.images
    assert missing([each[:64] for each in sealed], found) == [each[:64] for each in sealed]
    assert fingerprints(hand.conn, but=person.key) == before
    assert not rows(hand.conn, "SELECT FROM pipeline.callbacks WHERE id = %s", unreadable)
    assert erased.rows["workflows"] == 1
    assert {"callbacks": 2, "identities": 1, "stored_images": person.expectation.images}.items() <= erased.rows.items()


def test_jumio_deletes_and_everyone_hears_of_it_with_the_next_number(hand: Hand, simulator: Simulator) -> None:
    person = arrived(hand, simulator)
    before = [event["sequence"] for event in view(hand.conn, "events", "sequence")]

    erased = erase_now(hand, "workflow", person.key)
    hand.run_until_idle()

    assert simulator.stats.counts["delete_workflow"] == 1
    assert simulator.world.find(person.account_id, person.key) is None
    [event] = view(hand.conn, "events")
    assert (event["type"], event["sequence"]) == ("kyc.subject.erased.v1", before[-1] + 1)
    [entry] = stream(hand)
    assert (entry[b"type"], entry[b"subject"]) == (b"kyc.subject.erased.v1", person.key.encode())
    assert person.account_id.encode() not in entry[b"body"]
    [certificate] = view(hand.conn, "erasures")
    assert certificate["erasure_id"] == erased.id
    assert (certificate["elsewhere_pending"], certificate["elsewhere_done"]) == (0, 2)
    assert rows(hand.conn, "SELECT compliance.erasure_of('default', %s)", person.key) == [(erased.id,)]
    assert rows(hand.conn, "SELECT action, workflow_key, reason FROM compliance.audit_trail") == [
        ("workflow.erased", None, "asked for it")
    ]


@pytest.mark.parametrize("kind", ["account", "user-reference"])
def test_an_account_goes_with_all_of_its_workflows(hand: Hand, simulator: Simulator, kind: Kind) -> None:
    first, second, other = simulator.create(3, outcomes=["passed"])
    for each in (first, second, other):
        hand.receive(each.callback(each.status, NOW))
    hand.run_until_idle()
    hand.conn.execute("UPDATE pipeline.workflows SET account_id = %s WHERE workflow_key = %s",
        [first.account_id, second.key])  # fmt: skip

    erase_now(hand, kind, first.account_id if kind == "account" else first.user_reference)
    hand.run_until_idle()
    hand.receive(second.callback(second.status, NOW))
    hand.receive(first.callback("ACQUIRED", NOW).replace(first.key.encode(), b"another-workflow"))
    hand.run_until_idle()

    assert [row["workflow_key"] for row in view(hand.conn, "workflows")] == [other.key]
    assert len(view(hand.conn, "callbacks")) == 1
    assert simulator.stats.counts["delete_account"] == 1
    assert simulator.stats.counts["delete_workflow"] == 0
    assert view(hand.conn, "erasures")[0]["late_callbacks"] == 2


@pytest.mark.parametrize("family", ["netverify", "authentication", "document"])
def test_older_generations_are_deleted_at_jumio_too(hand: Hand, simulator: Simulator, family: Family) -> None:
    [transaction] = simulator.create_legacy(family, 1)
    hand.receive(transaction.callback(transaction.status, NOW))
    hand.run_until_idle()

    erase_now(hand, "workflow", transaction.key)
    hand.run_until_idle()

    assert simulator.stats.counts["legacy_delete"] == 1
    assert simulator.world.find("", transaction.key) is None
    assert view(hand.conn, "workflows") == view(hand.conn, "callbacks") == []
    assert view(hand.conn, "erasures")[0]["elsewhere_done"] == 2


def test_a_late_callback_is_dropped_counted_and_asked_nothing_about(hand: Hand, simulator: Simulator) -> None:
    person = arrived(hand, simulator)
    erase_now(hand, "workflow", person.key)
    hand.run_until_idle()
    asked = len(simulator.stats.asked)

    for status in ("PROCESSED", "ACQUIRED", "SOMETHING_NEW"):
        hand.receive(person.callback(status, NOW))
    hand.run_until_idle()

    assert len(simulator.stats.asked) == asked
    assert view(hand.conn, "workflows") == view(hand.conn, "callbacks") == []
    assert view(hand.conn, "erasures")[0]["late_callbacks"] == 3


def test_what_waits_in_a_spool_does_not_bring_anybody_back(
    hand: Hand, simulator: Simulator, database_url: str, tmp_path: Path
) -> None:
    person = arrived(hand, simulator)
    callback_id = uuid7()
    arrival = Arrival(callback_id, "default", NOW, None, None, "{}", person.callback(person.status, NOW), b"{}")
    segment = Segment.create(tmp_path / "spool")
    segment.append([write_line(arrival.sealed(hand.tools.settings.keys))])
    segment.close()
    erase_now(hand, "workflow", person.key)

    asyncio.run(drained(database_url, tmp_path / "spool", hand.tools.settings.keys))
    came = rows(hand.conn, "SELECT id FROM pipeline.callbacks")
    hand.run_until_idle()

    assert came == [(callback_id,)]
    assert view(hand.conn, "callbacks") == view(hand.conn, "workflows") == list((tmp_path / "spool").iterdir()) == []
    assert view(hand.conn, "erasures")[0]["late_callbacks"] == 1


def test_damaged_spool_lines_are_searched_and_what_nobody_can_read_is_decided_or_told(
    hand: Hand, simulator: Simulator, tmp_path: Path
) -> None:
    person, second, other = arrived(hand, simulator), arrived(hand, simulator), arrived(hand, simulator)
    keys, aside = hand.tools.settings.keys, tmp_path / f"20260101T000000.000000Z-00000000{DAMAGED_SUFFIX}"
    bodies = [each.callback(each.status, NOW) for each in (person, second, other, other)]
    arrivals = [Arrival(uuid7(), "default", NOW, None, None, "{}", body, b"{}") for body in bodies]
    lines = [write_line(arrival.sealed(keys)) for arrival in arrivals]
    unread = lines[3].replace(b'"sealed_body":"', b'"sealed_body":"AAAA')
    # Its checksum is damaged, its body is not.
    aside.write_bytes(b"0" * 8 + lines[0][8:] + lines[1] + lines[2] + unread)

    # A receiver in a container, dead by now, that had the same folder.
    hand.conn.execute(
        "INSERT INTO pipeline.pulses (process, role, spooled_rows, damaged_files, spool_folder, beat_at) "
        "VALUES ('receiver/0123456789ab/7', 'receiver', 0, 1, %s, now() - interval '1 hour')",
        [measure(tmp_path).name],
    )

    with pytest.raises(SubjectError, match="1 damaged spool lines cannot be opened"):
        erase_now(hand, "workflow", person.key, aside=Aside(tmp_path))
    assert len(aside.read_bytes().splitlines()) == 4
    left = erase_now(hand, "workflow", person.key, aside=Aside(tmp_path, "leave"))
    assert aside.read_bytes() == lines[1] + lines[2] + unread
    deleted = erase_now(hand, "workflow", second.key, aside=Aside(tmp_path, "delete"))

    assert aside.read_bytes() == lines[2]
    assert [path.name for path in tmp_path.glob(f"*{DAMAGED_SUFFIX}")] == [aside.name]
    assert (left.rows["spool_lines"], left.rows["unread_spool_lines"], left.unsearched) == (1, 0, 1)
    assert (deleted.rows["spool_lines"], deleted.rows["unread_spool_lines"], deleted.unsearched) == (1, 1, 0)
    assert sorted(row["unsearched"] for row in view(hand.conn, "erasures")) == [0, 1]
    assert erase_now(hand, "workflow", other.key, aside=Aside(tmp_path)).rows["spool_lines"] == 1
    assert not aside.exists()
    with pytest.raises(SubjectError, match="1 files of damaged spool lines are not in SPOOL_DIR here"):
        erase_now(hand, "workflow", arrived(hand, simulator).key)


async def drained(database_url: str, folder: Path, keys: KeyRing) -> None:
    """As a receiver does it, until its folder is empty."""
    metrics = Metrics()
    drain = Drain(database_url, Spool(folder, keys, metrics=metrics), away=lambda: False, metrics=metrics)
    await drain.open()
    async with asyncio.timeout(10):
        while await asyncio.to_thread(lambda: list(folder.iterdir())):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.05)
    await drain.close()


def test_jumio_is_asked_again_when_it_is_back(hand: Hand, simulator: Simulator) -> None:
    person = arrived(hand, simulator)
    simulator.say_status("DOWN", {"retrieval": "DOWN"})
    erase_now(hand, "workflow", person.key)
    for row_id in hand.due("deletions"):
        hand.work("deletions", row_id).run(hand.conn)
    waiting = view(hand.conn, "erasures")[0]["elsewhere_pending"]

    simulator.say_status("UP", {"retrieval": "UP"})
    hand.conn.execute("DELETE FROM pipeline.breakers")
    time.sleep(FRESH_SECONDS)
    hand.conn.execute("UPDATE pipeline.deletions SET next_attempt_at = now()")
    hand.run_until_idle()

    assert waiting == 1
    assert view(hand.conn, "erasures")[0]["elsewhere_pending"] == 0
    assert simulator.world.find(person.account_id, person.key) is None
    assert rows(hand.conn, "SELECT account_id, workflow_key FROM pipeline.deletions WHERE place = 'jumio'") == [
        (None, None)
    ]


def test_a_held_person_is_not_erased_until_the_hold_ends(hand: Hand, simulator: Simulator) -> None:
    person = arrived(hand, simulator)
    held = Subject("default", "user-reference", person.user_reference)
    holds.place(hand.conn, held, reason="case 17")
    before = fingerprints(hand.conn)

    with pytest.raises(SubjectError, match="legal hold"):
        erase_now(hand, "workflow", person.key)
    assert fingerprints(hand.conn) == before
    holds.release(hand.conn, held, reason="case 17 is closed")
    erase_now(hand, "workflow", person.key)

    assert rows(hand.conn, "SELECT subject FROM pipeline.holds") == []
    assert person.user_reference not in str(rows(hand.conn, "SELECT * FROM compliance.audit_trail"))


def test_a_hold_waits_for_deletions_and_nobody_else_can_stop_either(
    hand: Hand, simulator: Simulator, login: Callable[[str], str], database_url: str
) -> None:
    [transaction] = simulator.create_legacy("netverify", 1)
    held, name = Subject("default", "workflow", transaction.key), "hashtextextended(encode(sha256(%s), 'hex'), 0)"
    hand.conn.execute("SET lock_timeout = '2s'")

    with psycopg.connect(login("compliance_analyst"), autocommit=True) as analyst:
        analyst.execute("SELECT pg_advisory_lock(hashtextextended('holds', 0))")
        # The older generations have no account.
        rows(analyst, f"SELECT pg_advisory_lock({name})", b"account/default/")
        for table in ("pipeline.holds", "compliance.holds"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), analyst.transaction():
                analyst.execute(f"LOCK TABLE {table} IN ROW EXCLUSIVE MODE".encode())
        hand.receive(transaction.callback(transaction.status, NOW))
        hand.run_until_idle()
        holds.place(hand.conn, held, reason="case 17")
        holds.release(hand.conn, held, reason="case 17 is closed")
        with psycopg.connect(database_url, autocommit=True) as eraser, eraser.transaction():
            hand.conn.execute("SET lock_timeout = '50ms'")
            eraser.execute(query("erasures", "keep_holds_still"))
            with pytest.raises(psycopg.errors.LockNotAvailable):
                holds.place(hand.conn, held, reason="case 18")
            erase_now(hand, "workflow", transaction.key)

    assert view(hand.conn, "workflows") == view(hand.conn, "holds") == []


def test_a_reason_that_names_the_person_is_refused(
    hand: Hand, simulator: Simulator, login: Callable[[str], str]
) -> None:
    """Of the operator's own role, which may read no name to compare with."""
    person = planted(simulator)
    hand.receive(person.callback(person.status, NOW))
    hand.run_until_idle()
    [(born,)] = rows(hand.conn, "SELECT date_of_birth::date FROM pipeline.identities")
    telling = (
        f"request of {FIRST.lower()}!",
        f'{LAST}, "{FIRST}"',
        f"passport {NUMBER.replace('-', ' ')}.",
        f"born {born:%d.%m.%Y}",
        f"born {born.month}/{born.day}/{born.year}",
        f"request of {person.user_reference}",
    )
    harmless = f"{FIRST[:-1]} {born.year} request 4711"

    with psycopg.connect(login("jumio_admin"), autocommit=True) as operator:
        for kind, name in (("workflow", person.key), ("user-reference", person.user_reference)):
            about = Subject("default", cast("Kind", kind), name)
            for reason in (*telling, " "):
                with pytest.raises(SubjectError, match=r"names the person|say why"):
                    holds.place(operator, about, reason=reason)
        asked = "SELECT pipeline.ask_export('default', 'kyx', %s, %s)"
        for reason in telling:
            with pytest.raises(SubjectError, match="names the person"):
                erase_now(Hand(operator, hand.tools), "workflow", person.key, reason=reason)
            with pytest.raises(psycopg.errors.InvalidParameterValue, match="names the person"):
                rows(operator, asked, person.key, reason)
        assert rows(operator, asked, person.key, harmless)
        assert erase_now(Hand(operator, hand.tools), "workflow", person.key, reason=harmless)


def test_who_is_not_known_or_erased_already_is_said_so(hand: Hand, simulator: Simulator) -> None:
    person = arrived(hand, simulator)

    with pytest.raises(SubjectError, match="nothing is known"):
        erase_now(hand, "workflow", "no-such-workflow")
    erased = erase_now(hand, "workflow", person.key)
    with pytest.raises(SubjectError, match=f"certificate {erased.id}"):
        erase_now(hand, "workflow", person.key)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "escaped"])
def test_a_body_that_was_parked_unread_goes_in_whatever_encoding_it_is(
    hand: Hand, simulator: Simulator, encoding: str
) -> None:
    person = arrived(hand, simulator)
    text = person.callback(person.status, NOW).decode()
    body = text.replace("-", "\\u002d").encode() + b"broken" if encoding == "escaped" else text.encode(encoding)
    parked = hand.receive(body)
    hand.run_until_idle()
    state = "SELECT state FROM pipeline.callbacks WHERE id = %s"
    assert hand.conn.execute(state, [parked]).fetchall() == [("parked",)]

    erase_now(hand, "workflow", person.key)

    assert hand.conn.execute(state, [parked]).fetchall() == []


def test_the_command_says_what_it_did_and_what_is_to_come(
    hand: Hand, simulator: Simulator, settings: Settings, ring: str
) -> None:
    person = arrived(hand, simulator)
    environment = {
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "BROKER_URL": settings.broker_url.get_secret_value(),
        "ENCRYPTION_KEYS": ring,
    }
    hand.conn.execute(
        "INSERT INTO pipeline.pulses (process, role, spooled_rows, damaged_files) "
        "VALUES ('receiver/elsewhere/7', 'receiver', 3, 1)"
    )

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(command, arguments, env=environment)

    unreasoned = run("--workflow", person.key)
    undecided = run("--workflow", person.key, "--reason", "request 4711")
    erased = run("--workflow", person.key, "--reason", "request 4711", "--wait", "0", "--damaged", "leave")
    again = run("--workflow", person.key, "--reason", "request 4711")

    assert (unreasoned.exit_code, undecided.exit_code, erased.exit_code, again.exit_code) == (1, 1, 0, 1)
    assert "1 files of damaged spool lines are not in SPOOL_DIR here, so nothing was erased" in undecided.output
    assert "say why with --reason" in unreasoned.output
    for says in (
        "erased; certificate",
        "workflows: 1",
        "left to the line: 1 at Jumio, 1 on the event stream",
        "3 callbacks wait",
        "NOT complete: 1 damaged",
    ):
        assert says in erased.output
    assert "once they are drained, erase it again" not in erased.output
    assert "erased already" in again.output
    assert view(hand.conn, "erasures")[0]["unsearched"] == 1
    assert run("--reason", "whom?").exit_code == 2
    assert "scrubbed; the event stream was written anew" in run("--scrub").output


def test_what_jumio_refuses_to_delete_is_no_success(
    hand: Hand, simulator: Simulator, settings: Settings, ring: str, database_url: str
) -> None:
    person = arrived(hand, simulator)
    hand.conn.execute(
        "INSERT INTO pipeline.pulses (process, role, spooled_rows) VALUES ('r/elsewhere/7', 'receiver', 3)"
    )
    environment = {"DATABASE_URL": database_url, "ENCRYPTION_KEYS": ring, "EVENT_STREAM": ""}
    environment["BROKER_URL"] = settings.broker_url.get_secret_value()

    def refuse(conn: Connection) -> None:
        wait_for(conn, "SELECT FROM pipeline.deletions")
        refused = "UPDATE pipeline.deletions SET state = 'parked', finished_at = now(), last_error = %s"
        conn.execute(refused.encode(), ["jumio_refused: 403"])

    worker = under_way(refuse, database_url)
    arguments = ["--user-reference", person.user_reference, "--reason", "request 17", "--scrub"]
    erased = CliRunner().invoke(command, arguments, env=environment)
    worker.join()

    assert erased.exit_code == 1
    assert "NOT deleted at Jumio: 1, jumio_refused" in erased.output
    assert "requeue --parked --reason jumio_refused" in erased.output
    assert "once they are drained, erase it again" in erased.output
    # What can be done is done all the same.
    assert "scrubbed; " in erased.output


def test_a_fetch_that_is_under_way_brings_nothing_back(hand: Hand, simulator: Simulator, database_url: str) -> None:
    person = planted(simulator)
    callback_id = hand.receive(person.callback("ACQUIRED", NOW))
    hand.run_until_idle()
    callback_id = hand.receive(person.callback(person.status, NOW))

    with psycopg.connect(database_url, autocommit=True) as eraser:
        with eraser.transaction():
            lock(eraser, "workflow", "default", person.key)
            worker = under_way(lambda conn: hand.work("callbacks", callback_id).run(conn), database_url)
            wait_for(eraser, "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            assert simulator.stats.counts["details"] == 1
            erase_now(Hand(eraser, hand.tools), "workflow", person.key)
        worker.join()
    hand.run_until_idle()

    assert view(hand.conn, "workflows") == view(hand.conn, "callbacks") == view(hand.conn, "verdicts") == []
    assert rows(hand.conn, "SELECT FROM pipeline.identities") == []


def test_an_erasure_that_a_deadlock_ended_is_done_all_the_same(
    hand: Hand, simulator: Simulator, database_url: str
) -> None:
    """Whoever seals callbacks anew locks some in an order of his own."""
    person = arrived(hand, simulator)

    def run(conn: Connection) -> None:
        conn.execute("SET deadlock_timeout = '200ms'")
        erase_now(Hand(conn, hand.tools), "workflow", person.key)

    with psycopg.connect(database_url) as other:
        other.execute("SELECT FROM pipeline.callbacks FOR UPDATE")
        eraser = under_way(run, database_url)
        wait_for(hand.conn, "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        other.execute("SELECT FROM pipeline.images FOR UPDATE")
        other.rollback()
        eraser.join()

    assert view(hand.conn, "workflows") == view(hand.conn, "callbacks") == []


def test_images_under_way_bring_nothing_back(hand: Hand, simulator: Simulator, database_url: str) -> None:
    person = planted(simulator)
    hand.work("callbacks", hand.receive(person.callback(person.status, NOW))).run(hand.conn)
    simulator.faults.slow_seconds = 1.0
    simulator.faults.give(person.key, "slow")
    image_id = hand.due("images")[0]

    with psycopg.connect(database_url, autocommit=True) as eraser:
        with eraser.transaction():
            # Its claim comes first, then it downloads and waits for the row.
            worker = under_way(lambda conn: hand.work("images", image_id).run(conn), database_url)
            wait_for(eraser, "SELECT FROM pipeline.images WHERE claimed_until IS NOT NULL")
            eraser.execute("SELECT FROM pipeline.images FOR UPDATE")
            wait_for(eraser, "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
            erase_now(Hand(eraser, hand.tools), "workflow", person.key)
        worker.join()
    hand.run_until_idle()

    assert rows(hand.conn, "SELECT FROM pipeline.images") == rows(hand.conn, "SELECT FROM pipeline.image_blobs") == []


def test_a_delivery_under_way_leaves_nothing_on_the_stream(
    hand: Hand, simulator: Simulator, database_url: str, broker_url: str
) -> None:
    person = planted(simulator)
    hand.work("callbacks", hand.receive(person.callback(person.status, NOW))).run(hand.conn)
    [delivery_id] = hand.due("deliveries")

    with redis.Redis.from_url(broker_url) as broker:
        broker.client_pause(20_000, all=False)
        worker = under_way(lambda conn: hand.work("deliveries", delivery_id).run(conn), database_url)
        # Claimed, and on its way into a stream that takes nothing for the moment.
        until(lambda: any("b" in client["flags"] for client in broker.client_list()))
        erase_now(hand, "workflow", person.key)
        broker.client_unpause()
        worker.join()
    brought_back = [entry[b"type"] for entry in stream(hand)]
    overtaking = hand.due("deliveries")
    too_early = rows(
        hand.conn, "SELECT FROM pipeline.deletions WHERE place = 'stream' AND next_attempt_at < now() + interval '30 s'"
    )
    hand.conn.execute("UPDATE pipeline.deletions SET next_attempt_at = now() WHERE place = 'stream'")
    hand.conn.execute("UPDATE pipeline.deliveries SET next_attempt_at = now()")
    hand.run_until_idle()

    assert brought_back == [b"kyc.workflow.decided.v1"]
    assert overtaking == too_early == []
    assert [entry[b"type"] for entry in stream(hand)] == [b"kyc.subject.erased.v1"]


def test_operator_and_worker_need_no_more_than_their_roles(
    hand: Hand, simulator: Simulator, login: Callable[[str], str], tmp_path: Path
) -> None:
    person, other = simulator.create(2, outcomes=["passed"])
    for each in (person, other):
        hand.receive(each.callback(each.status, NOW))
    hand.run_until_idle()
    held, bundle = Subject("default", "workflow", person.key), tmp_path / "file.zip"
    rules = [rule for rule in read_policy(EXAMPLE) if rule.clock != "relationship-ended"]

    with psycopg.connect(login("jumio_admin"), autocommit=True) as operator:
        holds.place(operator, held, reason="case 17")
        holds.release(operator, held, reason="closed")
        rules.append(Rule("verdicts", "9999 days", "received", 1.0))
        retention.run(operator, rules, vaults=hand.tools.vaults)
        key = find_family(operator, "default", other.key, None)
        signer = Ed25519PrivateKey.generate()
        keys, vaults = hand.tools.settings.keys, hand.tools.vaults
        absent = write_bundle(
            operator, key, bundle, keys=keys, vaults=vaults, signer=signer, reason="case 17, an audit"
        )
        erase_now(Hand(operator, hand.tools), "account", person.account_id)
        left = scrub(operator)
    with (
        psycopg.connect(login("jumio_relay"), autocommit=True) as relay,
        psycopg.connect(login("jumio_worker"), autocommit=True) as worker,
    ):
        hand.receive(person.callback("ACQUIRED", NOW))
        Hand(worker, hand.tools, relay).run_until_idle()

    assert [line for line in absent if "FACEMAP" not in line] == []
    assert "only their owner may rewrite them" in left[0]
    assert (view(hand.conn, "erasures")[0]["late_callbacks"], simulator.stats.counts["delete_account"]) == (1, 1)
    assert view(hand.conn, "erasures")[0]["elsewhere_pending"] == 0


def test_every_table_with_a_workflow_in_it_is_emptied(conn: Connection) -> None:
    """A table that is added later is not forgotten."""
    holding = {
        table
        for (table,) in conn.execute(
            "SELECT c.relname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
            "WHERE c.relnamespace = 'pipeline'::regnamespace AND c.relkind = 'r' "
            "AND attname IN ('workflow_key', 'report_id', 'image_id', 'account_id', 'user_reference', 'subject')"
        )
    }
    known = {row[0] for row in conn.execute("SELECT relname FROM pg_class WHERE relkind = 'r'")}
    source = query_file()

    assert holding - set(LEFT) == {each for each in holding if f"DELETE FROM pipeline.{each}\n" in source
        or f"DELETE FROM pipeline.{each} " in source}  # fmt: skip
    assert holding <= known


def query_file() -> str:
    return (Path(__file__).parents[2] / "schemas/sql/erasures.sql").read_text()


def planted(simulator: Simulator) -> Execution:
    """Somebody whose name, number and address nothing else has."""
    [execution] = simulator.create(outcomes=["passed"])
    assert execution.details is not None
    data = execution.details["capabilities"]["extraction"][0]["data"]
    data |= {"firstName": FIRST, "lastName": LAST, "documentNumber": NUMBER, "address": {"line1": STREET}}
    return execution


def arrived(hand: Hand, simulator: Simulator) -> Execution:
    [execution] = simulator.create(outcomes=["passed"])
    hand.receive(execution.callback(execution.status, NOW))
    hand.run_until_idle()
    return execution


def erase_now(hand: Hand, kind: Kind, subject: str, *, aside: Aside = NOT_SET, reason: str = "asked for it") -> Erased:
    keys, outlet, vaults = hand.tools.settings.keys, hand.tools.outlet, hand.tools.vaults
    about = Subject("default", kind, subject)
    return erase(hand.conn, about, reason=reason, keys=keys, outlet=outlet, vaults=vaults, aside=aside)


def under_way(step: Callable[[Connection], None], database_url: str) -> threading.Thread:
    def run() -> None:
        with psycopg.connect(database_url, autocommit=True) as conn:
            step(conn)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def wait_for(conn: Connection, statement: str) -> None:
    until(lambda: bool(conn.execute(statement.encode()).fetchall()))


@pytest.fixture
def _wal_is_removed(conn: Connection) -> Iterator[None]:
    """As the runbook says: every checkpoint removes old segments instead of keeping them for later use."""
    conn.execute("ALTER SYSTEM SET wal_recycle = off")
    conn.execute("SELECT pg_reload_conf()")
    yield
    conn.execute("ALTER SYSTEM RESET wal_recycle")
    conn.execute("SELECT pg_reload_conf()")


@pytest.fixture
def data_folder(conn: Connection) -> Path | None:
    """Postgres's own files, where they are on this machine and may be read."""
    [(folder,)] = conn.execute("SHOW data_directory").fetchall()
    return Path(folder) if Path(folder, "PG_VERSION").exists() else None
