"""Who may do what: every grant in the catalog is in the table below, and everything in the schemas has a line."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import Connection

# a: insert, r: select, w: update, d: delete, X: execute, U: use of a schema; with columns in brackets where it is not
# the whole.
MASKED = {"compliance_analyst": "r", "compliance_investigator": "r", "jumio_admin": "r"}
CALLED_BY_MASKED = {"compliance_analyst": "X", "compliance_investigator": "X", "jumio_admin": "X"}
PROCESSES = ("jumio_receiver", "jumio_relay", "jumio_worker", "jumio_feed", "jumio_admin")
TRAIL = {"compliance_auditor": "r", "jumio_admin": "r"}
GRANTS: dict[str, dict[str, str]] = {
    "schema compliance": dict.fromkeys((*MASKED, "compliance_auditor"), "U"),
    "schema pipeline": dict.fromkeys(PROCESSES, "U") | {"compliance_auditor": "U"},
    "pipeline.audit_number_seq": {},
    "compliance.audit_trail": TRAIL,
    "compliance.callbacks": MASKED,
    "compliance.checks": MASKED,
    "compliance.deliveries": MASKED,
    "compliance.erasure_of()": CALLED_BY_MASKED | {"compliance_auditor": "X"},
    "compliance.erasures": MASKED | {"compliance_auditor": "r"},
    "compliance.events": MASKED,
    "compliance.evidence": MASKED,
    "compliance.find_person()": {"compliance_investigator": "X"},
    "compliance.holds": MASKED | {"compliance_auditor": "r"},
    "compliance.identities": MASKED,
    "compliance.images": MASKED,
    "compliance.open_images()": {"compliance_investigator": "X"},
    "compliance.reveal_identity()": {"compliance_investigator": "X"},
    "compliance.steps": MASKED,
    "compliance.timeline()": CALLED_BY_MASKED,
    "compliance.verdicts": MASKED,
    "compliance.verdicts_as_of()": CALLED_BY_MASKED,
    "compliance.workflows": MASKED,
    "pipeline.access_requests": {},
    "pipeline.acts_as()": {},
    "pipeline.append_audit()": {"jumio_worker": "X", "jumio_admin": "X"},
    "pipeline.asked_digest()": {},
    "pipeline.audit": TRAIL,
    "pipeline.audit_digest()": {},
    "pipeline.audit_links": TRAIL,
    "pipeline.audit_unsealed": TRAIL,
    "pipeline.births()": {},
    "pipeline.breakers": {"jumio_worker": "a r w d", "jumio_admin": "r w d"},
    "pipeline.callbacks": {
        "jumio_receiver": "a r(bytes id next_attempt_at state)",
        "jumio_relay": "r(claimed_until client_address id last_error leased_until next_attempt_at received_at "
        "source_evidence state) w(finished_at last_error leased_until next_attempt_at source_evidence state) d",
        "jumio_worker": "r w",
        "jumio_admin": "r w(claimed_until finished_at forgiven last_error leased_until next_attempt_at requeued_at "
        "sealed_body sealed_head source_evidence state) d",
    },
    "pipeline.change_login()": {},
    "pipeline.checks": {"jumio_worker": "a r", "jumio_admin": "r d"},
    "pipeline.cluster()": {"jumio_feed": "X"},
    "pipeline.committed_request()": {},
    "pipeline.consumers": {
        "jumio_feed": "r(last_used_at name revoked_at tenants token_sha256) w(last_used_at)",
        "jumio_admin": "a r(created_at last_used_at name revoked_at tenants) w(revoked_at)",
    },
    "pipeline.clocks": {"jumio_admin": "r"},
    "pipeline.deletions": {
        "jumio_receiver": "r(next_attempt_at state)",
        "jumio_relay": "r(claimed_until id leased_until next_attempt_at state) w(leased_until)",
        "jumio_worker": "r w",
        "jumio_admin": "a r w",
    },
    "pipeline.deliveries": {
        "jumio_receiver": "r(family next_attempt_at sequence state subscription_id target tenant workflow_key)",
        "jumio_relay": "r(claimed_until destination family id leased_until next_attempt_at sequence state "
        "subscription_id target tenant workflow_key) w(leased_until)",
        "jumio_worker": "a r w",
        "jumio_admin": "a r w d",
    },
    "pipeline.drop_erased()": {"jumio_worker": "X"},
    "pipeline.drift": {"jumio_worker": "a r w", "jumio_admin": "r d"},
    "pipeline.ask_export()": {"jumio_admin": "X"},
    "pipeline.events": {
        "jumio_worker": "a r",
        "jumio_feed": "r(body id occurred_at position sequence tenant type) w(position)",
        "jumio_admin": "a r d",
    },
    "pipeline.erasures": {"jumio_admin": "a r"},
    "pipeline.exported_identities()": {"jumio_admin": "X"},
    "pipeline.feed": {"jumio_feed": "r w(cluster epoch)"},
    "pipeline.forget_body()": {},
    "pipeline.folded_name()": {"jumio_worker": "X"},
    "pipeline.folded_number()": {"jumio_worker": "X"},
    "pipeline.holds": {"jumio_admin": "a r w d"},
    "pipeline.identities": {"jumio_worker": "a", "jumio_admin": "r(position report_id) d"},
    "pipeline.image_blobs": {"jumio_worker": "a r(key) d", "jumio_admin": "a r w d"},
    "pipeline.images": {
        "jumio_receiver": "r(next_attempt_at state)",
        "jumio_relay": "r(claimed_until id leased_until next_attempt_at state) w(leased_until)",
        "jumio_worker": "a r w",
        "jumio_admin": "r w(blob_key claimed_until finished_at forgiven key_id last_error leased_until "
        "next_attempt_at requeued_at sha256 state store stored_at) d",
    },
    "pipeline.is_biometric()": {"jumio_admin": "X"},
    "pipeline.is_erased()": {"jumio_worker": "X"},
    "pipeline.is_held()": {"jumio_admin": "X"},
    "pipeline.kept_why()": {},
    "pipeline.key_id()": {"jumio_admin": "X"},
    "pipeline.masked()": CALLED_BY_MASKED,
    "pipeline.masked_date()": CALLED_BY_MASKED,
    "pipeline.migrations": {"PUBLIC": "r"},
    "pipeline.names_person()": {"jumio_admin": "X"},
    "pipeline.note_settings()": {"jumio_receiver": "X", "jumio_worker": "X", "jumio_admin": "X"},
    "pipeline.noted()": {},
    "pipeline.noted_settings": {},
    "pipeline.pulses": {
        "jumio_feed": "a r w",
        "jumio_receiver": "a r w",
        "jumio_relay": "a r w d",
        "jumio_worker": "a r w",
        "jumio_admin": "r d",
    },
    "pipeline.refuse_change()": {},
    "pipeline.refuse_erased()": {},
    "pipeline.refuse_forgetting()": {},
    "pipeline.refuse_losing()": {},
    "pipeline.refuse_rewriting()": {},
    "pipeline.refuse_silence()": {},
    "pipeline.relationship_ends": {"jumio_admin": "a r w d"},
    "pipeline.reports": {"jumio_worker": "a r(digest id)", "jumio_admin": "r w(sealed) d"},
    "pipeline.require_reason()": {},
    "pipeline.retired_secrets": {"jumio_relay": "r(expires_at) d", "jumio_worker": "r", "jumio_admin": "a r w d"},
    "pipeline.retained": {"jumio_admin": "r"},
    "pipeline.seal_audit()": {"jumio_relay": "X", "jumio_admin": "X"},
    "pipeline.says_who()": {},
    "pipeline.says_why()": {},
    "pipeline.searched_why()": {},
    "pipeline.search_person()": {},
    "pipeline.source_addresses": {"jumio_receiver": "a r w d", "jumio_relay": "r", "jumio_admin": "r d"},
    "pipeline.source_lookups": {"jumio_receiver": "a r w", "jumio_admin": "r d"},
    "pipeline.steps": {"jumio_worker": "a r", "jumio_admin": "r d"},
    "pipeline.subscriptions": {
        "jumio_receiver": "r(failures id paused_at)",
        "jumio_relay": "r(failures id paused_at probe_at removed_at)",
        "jumio_worker": "r w(failing_since failures last_failure probe_at removed_at)",
        "jumio_admin": "a r w d",
    },
    "pipeline.take_identities()": {"jumio_worker": "X"},
    "pipeline.tokens": {"jumio_worker": "a r w", "jumio_admin": "r w(sealed_token) d"},
    "pipeline.tombstone()": {"jumio_admin": "X"},
    "pipeline.tombstones": {"jumio_admin": "a r"},
    "pipeline.turns": {"jumio_relay": "r w(work)"},
    "pipeline.under_way()": {"jumio_relay": "X"},
    "pipeline.verdicts": {"jumio_worker": "a r", "jumio_admin": "r d"},
    "pipeline.wants()": {"jumio_worker": "X", "jumio_admin": "X"},
    "pipeline.workflows": {"jumio_worker": "a r w", "jumio_admin": "r w(last_sequence) d"},
}
IN_THE_CATALOG = b"""
WITH object AS (
    SELECT c.oid AS id, n.nspname || '.' || c.relname AS name, c.relowner AS owner,
        coalesce(c.relacl, acldefault('r', c.relowner)) AS acl
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname IN ('pipeline', 'compliance') AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    UNION ALL
    SELECT c.oid, n.nspname || '.' || c.relname, c.relowner, coalesce(c.relacl, acldefault('s', c.relowner))
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname IN ('pipeline', 'compliance') AND c.relkind = 'S'
    UNION ALL
    SELECT n.oid, 'schema ' || n.nspname, n.nspowner, coalesce(n.nspacl, acldefault('n', n.nspowner))
    FROM pg_namespace n WHERE n.nspname IN ('pipeline', 'compliance')
    UNION ALL
    SELECT p.oid, n.nspname || '.' || p.proname || '()', p.proowner, coalesce(p.proacl, acldefault('f', p.proowner))
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname IN ('pipeline', 'compliance')
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
), granted AS (
    SELECT id, a.grantee, a.privilege_type, NULL::text AS part FROM object, aclexplode(acl) a WHERE a.grantee <> owner
    UNION ALL
    SELECT id, a.grantee, a.privilege_type, t.attname FROM object
    JOIN pg_attribute t ON t.attrelid = id AND name NOT LIKE '%()', aclexplode(t.attacl) a
)
SELECT name, CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE grantee::regrole::text END, privilege_type,
    string_agg(part, ' ' ORDER BY part)
FROM object LEFT JOIN granted USING (id) GROUP BY 1, 2, 3
"""
LETTERS = {"INSERT": "a", "SELECT": "r", "UPDATE": "w", "DELETE": "d", "EXECUTE": "X", "USAGE": "U"}

REFUSED = [
    ("jumio_receiver", "SELECT sealed_body FROM pipeline.callbacks"),
    ("jumio_receiver", "SELECT * FROM pipeline.callbacks"),
    ("jumio_receiver", "SELECT workflow_key FROM pipeline.callbacks"),
    ("jumio_receiver", "UPDATE pipeline.callbacks SET state = 'done'"),
    ("jumio_receiver", "DELETE FROM pipeline.callbacks"),
    ("jumio_receiver", "SELECT * FROM compliance.callbacks"),
    ("jumio_receiver", "SELECT * FROM pipeline.identities"),
    ("jumio_receiver", "SELECT pipeline.append_audit('role.changed', NULL, NULL, NULL, NULL, NULL)"),
    ("jumio_relay", "SELECT sealed_body FROM pipeline.callbacks"),
    ("jumio_relay", "UPDATE pipeline.callbacks SET sealed_body = ''"),
    ("jumio_relay", "SELECT url FROM pipeline.subscriptions"),
    ("jumio_relay", "SELECT * FROM pipeline.workflows"),
    ("jumio_worker", "SELECT first_name FROM pipeline.identities"),
    ("jumio_feed", "SELECT * FROM pipeline.events"),
    ("jumio_feed", "UPDATE pipeline.events SET body = ''"),
    ("jumio_feed", "INSERT INTO pipeline.consumers (name, token_sha256) VALUES ('me', sha256('x'))"),
    ("jumio_feed", "UPDATE pipeline.consumers SET revoked_at = NULL"),
    ("jumio_feed", "SELECT * FROM pipeline.workflows"),
    ("jumio_admin", "SELECT token_sha256 FROM pipeline.consumers"),
    ("jumio_admin", "SELECT * FROM pipeline.take_identities(gen_random_uuid())"),
    ("jumio_worker", "DELETE FROM pipeline.callbacks"),
    ("jumio_worker", "UPDATE pipeline.verdicts SET outcome = 'passed'"),
    ("jumio_worker", "SELECT * FROM pipeline.audit"),
    ("jumio_worker", "SELECT pipeline.seal_audit()"),
    ("jumio_worker", "SELECT * FROM compliance.reveal_identity('t', 'k', 'a reason that is long enough')"),
    ("jumio_admin", "SELECT first_name FROM pipeline.identities"),
    ("jumio_admin", "UPDATE pipeline.workflows SET outcome = 'passed'"),
    ("jumio_admin", "UPDATE pipeline.callbacks SET sha256 = sha256('')"),
    ("jumio_admin", "UPDATE pipeline.reports SET digest = sha256('')"),
    ("jumio_admin", "SELECT name_folded FROM pipeline.identities"),
    ("jumio_admin", "INSERT INTO pipeline.audit (who, action, details) VALUES ('x', 'role.changed', '{}')"),
    ("jumio_admin", "UPDATE pipeline.audit SET who = 'x'"),
    ("jumio_admin", "DELETE FROM pipeline.audit_links"),
    ("jumio_admin", "DELETE FROM pipeline.audit_unsealed"),
    ("jumio_admin", "TRUNCATE pipeline.audit"),
    ("jumio_admin", "SELECT * FROM compliance.reveal_identity('t', 'k', 'a reason that is long enough')"),
    ("compliance_analyst", "SELECT * FROM pipeline.identities"),
    ("compliance_analyst", "SELECT * FROM compliance.audit_trail"),
    ("compliance_analyst", "DELETE FROM compliance.callbacks"),
    ("compliance_analyst", "SELECT * FROM compliance.find_person('a reason that is long enough', 'name')"),
    ("compliance_investigator", "SELECT * FROM pipeline.identities"),
    ("compliance_investigator", "SELECT * FROM compliance.audit_trail"),
    ("compliance_investigator", "SELECT * FROM pipeline.access_requests"),
    ("compliance_investigator", "SELECT pipeline.append_audit('role.changed', NULL, NULL, NULL, NULL, NULL)"),
    ("compliance_auditor", "SELECT * FROM compliance.identities"),
    ("compliance_auditor", "SELECT * FROM compliance.workflows"),
    ("compliance_auditor", "SELECT * FROM pipeline.callbacks"),
    ("compliance_auditor", "SELECT * FROM pipeline.access_requests"),
    ("compliance_auditor", "DELETE FROM pipeline.audit"),
]
ALLOWED = [
    ("jumio_receiver", "SELECT state, sum(bytes) FROM pipeline.callbacks GROUP BY state"),
    ("jumio_relay", "SELECT pipeline.seal_audit()"),
    ("jumio_worker", "SELECT pipeline.append_audit('image.read', 't', NULL, 'k', 'because', NULL)"),
    ("jumio_admin", "SELECT pipeline.append_audit('hold.placed', 't', NULL, 'k', 'because', NULL)"),
    ("jumio_admin", "DELETE FROM pipeline.identities WHERE report_id IS NULL"),
    ("jumio_admin", "UPDATE pipeline.reports SET sealed = ''; UPDATE pipeline.tokens SET sealed_token = ''"),
    ("jumio_admin", "UPDATE pipeline.callbacks SET sealed_body = ''; SELECT FROM pipeline.workflows FOR UPDATE"),
    ("compliance_analyst", "SELECT * FROM compliance.identities, compliance.workflows, compliance.events"),
    ("compliance_investigator", "SELECT * FROM compliance.reveal_identity('t', 'k', 'a reason that is long enough')"),
    ("compliance_auditor", "SELECT * FROM compliance.audit_trail"),
]


def test_every_grant_is_in_the_table_and_every_object_has_a_line(conn: Connection) -> None:
    found: dict[str, dict[str, list[str]]] = {}
    for name, grantee, privilege, columns in conn.execute(IN_THE_CATALOG):
        granted = found.setdefault(name, {})
        if grantee is not None:
            granted.setdefault(grantee, []).append(
                LETTERS.get(privilege, privilege) + (f"({columns})" if columns else "")
            )

    in_order = {
        name: {role: " ".join(sorted(held, key=lambda one: "arwdXU".index(one[0]))) for role, held in granted.items()}
        for name, granted in found.items()
    }
    assert in_order == GRANTS


@pytest.mark.parametrize(("role", "statement"), REFUSED)
def test_what_is_not_granted_is_refused(conn: Connection, role: str, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege), acting_as(conn, role):
        conn.execute(statement.encode())


@pytest.mark.parametrize(("role", "statement"), ALLOWED)
def test_what_is_granted_works(conn: Connection, role: str, statement: str) -> None:
    with acting_as(conn, role):
        conn.execute(statement.encode())


def test_a_login_becomes_no_other_role(login: Callable[[str], str]) -> None:
    with psycopg.connect(login("compliance_analyst"), autocommit=True) as analyst:
        for role in ("compliance_investigator", "jumio_admin", "jumio_worker", "pg_read_all_data", "pg_monitor"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                analyst.execute(f"SET ROLE {role}".encode())


def test_a_view_that_a_later_migration_adds_is_for_analysts_and_a_function_for_nobody(conn: Connection) -> None:
    with conn.transaction(force_rollback=True):
        conn.execute(b"CREATE VIEW compliance.later AS SELECT 1 AS one")
        conn.execute(b"CREATE FUNCTION compliance.later() RETURNS integer LANGUAGE sql AS 'SELECT 1'")
        conn.execute(b"SET LOCAL ROLE compliance_analyst")

        assert conn.execute(b"SELECT * FROM compliance.later").fetchall() == [(1,)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute(b"SELECT compliance.later()")


@contextmanager
def acting_as(conn: Connection, role: str) -> Iterator[None]:
    """Nothing of it stays."""
    with conn.transaction(force_rollback=True):
        conn.execute(f"SET LOCAL ROLE {role}".encode())
        yield
