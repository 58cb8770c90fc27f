"""What a policy deletes is exactly what is due: by class and clock, never what is held, never too much at once."""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from click.testing import CliRunner
from psycopg import Connection

from deploy.commands.retention import command
from deploy.erasure.subject import Subject
from deploy.holds import place
from deploy.retention.policy import FOR_EVER, PolicyError, Rule, read_policy
from deploy.retention.relationship import end_relationship
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
            self._write(person, reference)
        about = Subject("default", *self.chance.choice([("workflow", key), ("user-reference", reference)]))
        if person.held:
            place(self.conn, about, reason="a case")
        if ended := moments["relationship-ended"]:
            end_relationship(self.conn, about, ended_at=ended)
        return person

    def _ago(self, days: int) -> datetime:
        return NOW - timedelta(days=self.chance.randrange(days)) - HALF_A_DAY

    def _write(self, person: Person, reference: str) -> None:
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
    moment = person.moments[rule.clock]
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

    run(conn, [Rule("raw", "1 day", "received", 1.0), Rule("events", "1 day", "received", 1.0)], vaults=VAULTS)

    [callback] = World(conn, 0).left("raw")
    assert callback in person.ids["raw"]
    assert World(conn, 0).left("events") == person.ids["events"]


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
    assert "biometric_images" in refused.output
    assert "biometric images" in done.output
    kept = {each for person in people if person.held or person.moments["decided"] is None
        for each in person.ids["biometric_images"]}  # fmt: skip
    assert kept <= World(conn, 0).left("biometric_images")


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
    ],
)
def test_a_policy_with_a_slip_of_the_pen_is_refused(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "retention.toml"
    file.write_text(text)

    with pytest.raises(PolicyError, match=says):
        read_policy(file)
