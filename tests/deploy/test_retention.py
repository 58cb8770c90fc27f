"""What a policy deletes is exactly what is due: by class and clock, never what is held, never too much at once."""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from click import Group
from click.testing import CliRunner, Result
from psycopg import Connection

from deploy.commands.holds import command as holds
from deploy.commands.retention import command
from deploy.erasure.subject import Subject
from deploy.holds import place, release
from deploy.retention.policy import CLASSES, FOR_EVER, PolicyError, Rule, read_policy
from deploy.retention.relationship import end_relationship, resume_relationship
from deploy.retention.run import RetentionError, count_due, run
from schemas.settings import Settings
from workers.vault.vaults import Vaults

NOW = datetime.now(UTC)
VAULTS = Vaults(Settings.load("", {}))
EXAMPLE = Path(__file__).parents[2] / "deploy/retention.example.toml"
CLOCKS = ("received", "decided", "completed", "relationship-ended")
# Half a day beside every boundary: what takes a moment to run decides nothing.
HALF_A_DAY = timedelta(hours=12)


@dataclass
class Person:
    """One workflow with everything in it, and when what happened."""

    key: str
    moments: dict[str, datetime | None]
    held: bool
    ids: dict[str, set[UUID]] = field(default_factory=dict)


class World:
    """Workflows of random ages, written as the line writes them."""

    def __init__(self, conn: Connection, seed: int) -> None:
        self.conn, self.chance = conn, random.Random(seed)

    def person(self) -> Person:
        key, reference = str(uuid4()), f"user-{uuid4()}"
        received = self._ago(400)
        decided = received + HALF_A_DAY / 12 if self.chance.random() < 0.9 else None
        moments = {
            "received": received,
            "decided": decided,
            "completed": (received - timedelta(days=self.chance.randrange(9))) if decided else None,
            "relationship-ended": self._ago(300) if self.chance.random() < 0.5 else None,
        }
        person = Person(key, moments, held=self.chance.random() < 0.2)
        with self.conn.transaction():
            self.write(person, reference)
        about = Subject("default", *self.chance.choice([("workflow", key), ("user-reference", reference)]))
        if person.held:
            place(self.conn, about, reason="a case")
        if ended := moments["relationship-ended"]:
            end_relationship(self.conn, about, ended_at=ended, reason="told by the bank")
        return person

    def _ago(self, days: int) -> datetime:
        return NOW - timedelta(days=self.chance.randrange(days)) - HALF_A_DAY

    def write(self, person: Person, reference: str) -> None:
        callback, report, event = uuid4(), uuid4(), uuid4()
        ids = {"raw": {callback, report}, "identities": {report}, "events": {event}}
        ids |= {"biometric_images": {uuid4(), uuid4()}, "document_images": {uuid4()}}
        person.ids = ids
        values = {"key": person.key, "reference": reference, "callback": callback, "report": report, "event": event,
            **{name.replace("-", "_"): moment for name, moment in person.moments.items()}}  # fmt: skip
        for statement in _WRITE.split(";"):
            self.conn.execute(statement.encode(), values)
        kinds = [("SELFIE", "FACE"), ("FACEMAP", "LIVENESS_2")], [("ID", "FRONT")]
        for name, parts in zip(("biometric_images", "document_images"), kinds, strict=True):
            for image, (category, classifier) in zip(ids[name], parts, strict=True):
                self.conn.execute(_IMAGE, {**values, "id": image, "category": category, "classifier": classifier})
                self.conn.execute(_BLOB, {"id": image})

    def left(self, name: str) -> set[UUID]:
        return {row[0] for row in self.conn.execute(_LEFT[name].encode())}


_WRITE = """
INSERT INTO pipeline.callbacks (
    id, tenant, received_at, source_evidence, bytes, sha256, sealed_body, sealed_head, family, workflow_key, state,
    finished_at
) VALUES (
    %(callback)s, 'default', %(received)s, '{}', 3, sha256('b'), 'sealed', 'sealed', 'kyx', %(key)s, 'done',
    %(received)s
);
INSERT INTO pipeline.workflows (
    tenant, family, workflow_key, user_reference, status, outcome, decided_at, verdict_version, completed_at,
    first_seen_at
) VALUES (
    'default', 'kyx', %(key)s, %(reference)s, 'PROCESSED',
    CASE WHEN %(decided)s::timestamptz IS NULL THEN 'pending' ELSE 'passed' END, %(decided)s,
    CASE WHEN %(decided)s::timestamptz IS NULL THEN 0 ELSE 1 END, %(completed)s, %(received)s
);
INSERT INTO pipeline.reports (id, tenant, family, workflow_key, callback_id, fetched_at, digest, bytes, sealed)
VALUES (%(report)s, 'default', 'kyx', %(key)s, %(callback)s, %(received)s, sha256('r'), 3, 'sealed');
INSERT INTO pipeline.identities (report_id, position, first_name) VALUES (%(report)s, 0, 'TESTINA');
INSERT INTO pipeline.verdicts (
    tenant, family, workflow_key, version, outcome, label, reasons, valid_from, digest, rests_on, callback_id, report_id
) VALUES (
    'default', 'kyx', %(key)s, 1, 'passed', 'PASSED', '[]', %(received)s, sha256('v'), 'retrieval', %(callback)s,
    %(report)s
);
INSERT INTO pipeline.events (id, tenant, family, workflow_key, sequence, type, occurred_at, body)
VALUES (%(event)s, 'default', 'kyx', %(key)s, 1, 'kyc.workflow.decided.v1', %(received)s, '{}')
"""
_IMAGE = """
INSERT INTO pipeline.images (
    id, tenant, family, workflow_key, account_id, credential_id, category, classifier, offered, state, finished_at,
    stored_at, sha256, store, blob_key, key_id
) VALUES (
    %(id)s, 'default', 'kyx', %(key)s, 'a', 'c', %(category)s, %(classifier)s, true, 'stored', %(received)s,
    %(received)s, sha256('i'), 'postgres:', right(%(id)s::text, 2) || '/' || %(id)s || '.1.00000000', 'k'
)
"""
_BLOB = """
INSERT INTO pipeline.image_blobs (key, image_id, sealed)
SELECT blob_key, id, 'sealed' FROM pipeline.images WHERE id = %(id)s
"""
_IMAGES_LEFT = """
SELECT image_id FROM pipeline.image_blobs JOIN pipeline.images ON id = image_id
WHERE state = 'stored' AND category {} 'ID'
"""
_LEFT = {
    "biometric_images": _IMAGES_LEFT.format("<>"),
    "document_images": _IMAGES_LEFT.format("="),
    "identities": "SELECT report_id FROM pipeline.identities",
    "raw": """
        SELECT id FROM pipeline.callbacks WHERE sealed_body <> '' AND sealed_head <> ''
        UNION ALL SELECT id FROM pipeline.reports WHERE sealed <> ''
    """,
    "events": "SELECT id FROM pipeline.events",
}


@pytest.mark.parametrize("seed", range(2))
def test_exactly_what_is_due_is_deleted(conn: Connection, seed: int) -> None:
    world = World(conn, seed)
    with conn.transaction():
        people = [world.person() for _ in range(60)]
    rules = [Rule(name, f"{world.chance.randrange(1, 250)} days", world.chance.choice(CLOCKS), 1.0) for name in _LEFT]
    verdicts = Rule("verdicts", "250 days", world.chance.choice(CLOCKS), 1.0)

    counted = {each.rule.name: each.due for each in count_due(conn, rules)}
    deleted = run(conn, rules, vaults=VAULTS)
    after_classes = {name: world.left(name) for name in _LEFT}
    run(conn, [verdicts], vaults=VAULTS)

    for rule in rules:
        kept = [person for person in people if not due(person, rule)]
        assert after_classes[rule.name] == {each for person in kept for each in person.ids[rule.name]}, rule
        assert deleted[rule.name] == counted[rule.name]
    keys = {row[0] for row in conn.execute("SELECT workflow_key FROM pipeline.workflows")}
    assert keys == {person.key for person in people if not due(person, verdicts)}
    assert keys == {row[0] for row in conn.execute("SELECT workflow_key FROM pipeline.verdicts")}
    audited = conn.execute(
        "SELECT details->>'class', sum((details->>'rows')::int) FROM compliance.audit_trail "
        "WHERE action = 'retention.ran' AND details->>'class' <> 'verdicts' GROUP BY 1"
    ).fetchall()
    assert dict(audited) == {name: count for name, count in deleted.items() if count}


def due(person: Person, rule: Rule) -> bool:
    """As the policy's words say it."""
    moment, moments = person.moments[rule.clock], person.moments
    came = [each for name in ("received", "completed") if (each := moments[name])]
    if rule.clock == "relationship-ended" and moment and moment.date() < min(came).date():
        return False  # another relationship, before this one
    if rule.name == "verdicts" and moment:
        moment = max(moment, *(each for name in ("received", "decided") if (each := moments[name])))
    return not person.held and moment is not None and moment + timedelta(days=int(rule.keep.split()[0])) <= NOW


def test_a_clock_that_jumps_deletes_nothing(conn: Connection) -> None:
    world = World(conn, 1)
    for _ in range(10):
        world.person()
    conn.execute("UPDATE pipeline.callbacks SET received_at = now() - interval '4 days'")
    rules = [Rule("events", "9999 days", "received", 0.01), Rule("raw", "3 days", "received", 0.01)]

    with pytest.raises(RetentionError, match="nothing was deleted"):
        run(conn, rules, vaults=VAULTS)
    before = world.left("raw")
    run(conn, rules, vaults=VAULTS, most_share=1.0)

    assert len(before) == 20
    assert len(world.left("raw")) < 20


def test_batches_go_on_until_nothing_is_due(conn: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.retention.run._BATCH", 7)
    world = World(conn, 2)
    people = [world.person() for _ in range(40)]

    deleted = run(conn, [Rule("raw", "1 day", "received", 1.0)], vaults=VAULTS)

    assert world.left("raw") == {each for person in people if person.held for each in person.ids["raw"]}
    assert deleted == {"raw": 2 * sum(not person.held for person in people)}


def test_what_waits_for_a_worker_or_a_subscriber_is_not_touched(conn: Connection) -> None:
    person = World(conn, 3).person()
    conn.execute("UPDATE pipeline.callbacks SET state = 'stored', finished_at = NULL")
    conn.execute(
        "INSERT INTO pipeline.deliveries (id, event_id, destination, tenant, family, workflow_key, sequence, state) "
        "SELECT gen_random_uuid(), id, 'stream', tenant, family, workflow_key, 1, 'pending' FROM pipeline.events"
    )
    conn.execute("DELETE FROM pipeline.holds")

    rules = [Rule(name, "1 day", "received", 1.0) for name in ("raw", "events", "verdicts")]

    run(conn, rules, vaults=VAULTS)

    [callback] = World(conn, 0).left("raw")
    assert callback in person.ids["raw"]
    assert World(conn, 0).left("events") == person.ids["events"]
    conn.execute("UPDATE pipeline.callbacks SET state = 'done', finished_at = now()")
    assert run(conn, rules[2:], vaults=VAULTS) == {"verdicts": 0}
    conn.execute("UPDATE pipeline.deliveries SET state = 'delivered', finished_at = now()")
    assert run(conn, rules[2:], vaults=VAULTS) == {"verdicts": 1}


def test_who_has_come_back_is_not_deleted_by_the_end_of_before(conn: Connection) -> None:
    world, reference = World(conn, 5), "a customer"
    before, since = (
        Person(str(uuid4()), dict.fromkeys(CLOCKS, NOW - timedelta(days=days)), held=False) for days in (400, 2)
    )
    for person in (before, since):
        world.write(person, reference)
    about = Subject("default", "user-reference", reference)
    of_the_end = Rule("verdicts", "300 days", "relationship-ended", 1.0)

    ended = end_relationship(conn, about, ended_at=NOW - timedelta(days=350), reason="the account was closed")
    run(conn, [of_the_end], vaults=VAULTS)

    assert ended == 1
    assert keys_left(conn) == {since.key}
    end_relationship(conn, about, ended_at=NOW, reason="the account was closed again")
    assert count_due(conn, [Rule("verdicts", "0 days", "relationship-ended", 1.0)])[0].due == 1
    resume_relationship(conn, about, reason="it was another account")
    assert count_due(conn, [Rule("verdicts", "0 days", "relationship-ended", 1.0)])[0].due == 0
    told = conn.execute("SELECT action, details - 'on' FROM pipeline.audit WHERE action LIKE 'rel%' ORDER BY number")
    assert told.fetchall() == [
        ("relationship.ended", {"kind": "user-reference", "workflows": 1}),
        ("relationship.ended", {"kind": "user-reference", "workflows": 1}),
        ("relationship.resumed", {"kind": "user-reference"}),
    ]


def test_what_was_told_of_a_subject_goes_with_its_last_workflow(conn: Connection) -> None:
    world, reference = World(conn, 6), "a customer"
    first, last = (
        Person(str(uuid4()), dict.fromkeys(CLOCKS, NOW - timedelta(days=days)), held=False) for days in (9, 3)
    )
    for person in (first, last):
        world.write(person, reference)
    about = Subject("default", "user-reference", reference)
    end_relationship(conn, about, ended_at=NOW, reason="the account was closed")
    place(conn, about, reason="a case")
    release(conn, about, reason="the case is closed")
    words = b"SELECT subject FROM pipeline.relationship_ends UNION ALL SELECT subject FROM pipeline.holds"

    run(conn, [Rule("verdicts", "5 days", "received", 1.0)], vaults=VAULTS)
    between = conn.execute(words).fetchall()
    run(conn, [Rule("verdicts", "1 day", "received", 1.0)], vaults=VAULTS)

    assert between == [(reference,), (reference,)]
    assert conn.execute(words).fetchall() == []


def test_a_workflow_stays_as_long_as_the_last_that_came_of_it(conn: Connection) -> None:
    """A revision in the fourth year is not deleted when it is a year old."""
    person = Person(str(uuid4()), dict.fromkeys(CLOCKS, NOW - timedelta(days=100)), held=False)
    World(conn, 7).write(person, "a customer")
    conn.execute("UPDATE pipeline.reports SET fetched_at = now() - interval '20 days'")

    for clock in CLOCKS[:3]:
        assert run(conn, [Rule("verdicts", "60 days", clock, 1.0)], vaults=VAULTS) == {"verdicts": 0}
    assert run(conn, [Rule("verdicts", "15 days", "received", 1.0)], vaults=VAULTS) == {"verdicts": 1}


def keys_left(conn: Connection) -> set[str]:
    return {row[0] for row in conn.execute("SELECT workflow_key FROM pipeline.workflows")}


def test_the_commands_say_whom_it_concerns_and_warn_where_that_is_nobody(database_url: str, conn: Connection) -> None:
    person = Person(str(uuid4()), dict.fromkeys(CLOCKS, NOW - timedelta(days=9)), held=False)
    World(conn, 8).write(person, "a customer")

    def say(group: Group, *arguments: str) -> Result:
        why = ("--reason", "told by the bank")
        return CliRunner().invoke(group, [*arguments, *why], env={"DATABASE_URL": database_url})

    whom, nobody, on = ("--workflow", person.key), ("--workflow", person.key, "--tenant", "eu"), ("--on", "2026-01-31")
    today = ("--on", f"{NOW:%Y-%m-%d}")
    held, astray = say(holds, "place", *whom), say(holds, "place", *nobody)
    ended, earlier = say(command, "relationship-ended", *whom, *today), say(command, "relationship-ended", *nobody, *on)
    on_again, never = (say(command, "relationship-goes-on", *each) for each in (whom, whom))

    assert [each.exit_code for each in (held, astray, ended, earlier, on_again, never)] == [0, 0, 0, 0, 0, 1]
    assert "on hold: 1 workflows now" in held.output
    assert "the clock of 1 workflows" in ended.output
    for each in (astray, earlier):
        assert "no such workflow is known in tenant eu" in each.output
    assert "no end was told" in never.output


def test_the_example_is_a_policy_and_the_command_follows_it(database_url: str, conn: Connection) -> None:
    world = World(conn, 4)
    people = [world.person() for _ in range(12)]
    environment = {"DATABASE_URL": database_url, "RETENTION_FILE": str(EXAMPLE)}

    shown = CliRunner().invoke(command, ["run", "--dry-run"], env=environment)
    refused = CliRunner().invoke(command, ["run"], env=environment)
    done = CliRunner().invoke(command, ["run", "--most-share", "1"], env=environment)

    assert [rule.name for rule in read_policy(EXAMPLE)][-1] == "verdicts"
    assert (shown.exit_code, refused.exit_code, done.exit_code) == (0, 1, 0)
    assert "biometric_images" in shown.output
    assert "a run would refuse: " in shown.output
    assert "biometric_images" in refused.output
    assert "biometric images" in done.output
    kept = {each for person in people if person.held or person.moments["decided"] is None
        for each in person.ids["biometric_images"]}  # fmt: skip
    assert kept <= World(conn, 0).left("biometric_images")


def policy(raw: str, verdicts: str) -> str:
    """All classes that verdicts take along."""
    keeps = {**dict.fromkeys(CLASSES, "1 day"), "raw": raw, "verdicts": verdicts}
    return "".join(f"[{name}]\nkeep = '{keep}'\nclock = 'received'\n" for name, keep in keeps.items())


@pytest.mark.parametrize(
    ("raw", "verdicts"), [("12 months", "1 year"), ("1 year", "12 months"), ("365 days", "1 year")]
)
def test_a_year_is_twelve_months(tmp_path: Path, raw: str, verdicts: str) -> None:
    file = tmp_path / "retention.toml"
    file.write_text(policy(raw, verdicts))

    assert len(read_policy(file)) == len(CLASSES)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[selfies]\nkeep = '1 day'\nclock = 'received'", "no such class"),
        ("[raw]\nkeep = 'a while'\nclock = 'received'", "keep is like"),
        ("[raw]\nkeep = '3 days'\nclock = 'tomorrow'", "clock is one of"),
        ("[raw]\nkeep = '3 days'\nclock = 'received'\nkeeps = 1", "there are keep, clock and most_share"),
        ("most_share = 2\n", "above 0 and at most 1"),
        (f"[audit]\nkeep = '5 years'\n[raw]\nkeep = '{FOR_EVER}'", "proves nothing"),
        ("[raw]\nkeep = '2 years'\nclock = 'received'\n[verdicts]\nkeep = '1 year'\nclock = 'received'", "kept longer"),
        (f"[raw]\nkeep = '{FOR_EVER}'\n[verdicts]\nkeep = '1 year'\nclock = 'received'", FOR_EVER),
        ("[raw", "is not TOML"),
        ("[verdicts]\nkeep = '1 year'\nclock = 'received'", "of which the policy says nothing"),
        (policy(raw="370 days", verdicts="12 months"), "kept longer"),
        (policy(raw="13 months", verdicts="1 year"), "kept longer"),
        ("[raw]\nkeep = '0 days'\nclock = 'received'", "keep is like"),
        ("[raw]\nkeep = '٣ days'\nclock = 'received'", "keep is like"),
        (f"[audit]\nkeep = '{FOR_EVER}'\nmost_share = 0.1", "before the first"),
        ("", "says nothing of any class"),
    ],
)
def test_a_policy_with_a_slip_of_the_pen_is_refused(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "retention.toml"
    file.write_text(text)

    with pytest.raises(PolicyError, match=says):
        read_policy(file)
