"""The interface for people: complete, explained, and the same tomorrow."""

from pathlib import Path

import pytest
from psycopg import Connection

from deploy.dictionary import read_dictionary
from schemas.sql.queries import query

ROOT = Path(__file__).parents[2]
# Others may hold on to every one of these: taking one away, or making it of another type, breaks them.
STAMP = "timestamp with time zone"
KEY = {"tenant": "text", "family": "text", "workflow_key": "text"}
PINNED: dict[str, dict[str, str]] = {
    "workflows": {
        **KEY,
        "account_id": "text", "user_reference": "text", "customer_reference": "text", "status": "text",
        "outcome": "text", "label": "text", "risk_score": "numeric", "reject_reasons": "jsonb",
        "definition_key": "text", "started_at": STAMP, "completed_at": STAMP,
        "decided_at": STAMP, "verdict_version": "integer", "images_wanted": "bigint",
        "images_stored": "bigint", "first_seen_at": STAMP, "country": "text",
    },
    "verdicts": {
        **KEY,
        "version": "integer", "outcome": "text", "label": "text", "risk_score": "numeric", "reasons": "jsonb",
        "valid_from": STAMP, "recorded_at": STAMP, "callback_id": "uuid",
        "rests_on": "text", "country": "text",
    },
    "checks": {
        **KEY,
        "verdict_version": "integer", "capability": "text", "credential_ids": "text[]", "outcome": "text",
        "label": "text",
    },
    "steps": {
        **KEY,
        "verdict_version": "integer", "step_id": "text", "name": "text", "outcome": "text", "label": "text",
        "risk_score": "numeric",
    },
    "images": {
        **KEY,
        "credential_id": "text", "category": "text", "classifier": "text", "state": "text", "media_type": "text",
        "bytes": "integer", "sha256": "text", "stored_at": STAMP, "flag": "text", "reason": "text",
        "offered": "boolean", "settled_at": STAMP,
    },
    "identities": {
        **KEY,
        "verdict_version": "integer", "document_type": "text", "document_subtype": "text", "issuing_country": "text",
        "first_name": "text", "last_name": "text", "date_of_birth": "text", "document_number": "text",
        "expiry_date": "text", "issuing_date": "text", "position": "integer", "issuing_state": "text",
    },
    "callbacks": {
        **KEY,
        "callback_id": "uuid", "status": "text", "received_at": STAMP,
        "sent_at": STAMP, "source_ip": "inet", "source_evidence": "jsonb", "state": "text",
        "reason": "text", "attempts": "integer", "bytes": "integer", "sha256": "text",
        "settled_at": STAMP, "body_kept": "boolean",
    },
    "events": {
        **KEY,
        "event_id": "uuid", "type": "text", "sequence": "integer", "occurred_at": STAMP,
        "delivered": "bigint", "pending": "bigint", "parked": "bigint", "streamed_at": STAMP,
    },
    "deliveries": {
        **KEY,
        "event_id": "uuid", "sequence": "integer", "type": "text", "destination": "text", "subscriber": "text",
        "state": "text", "attempts": "integer", "settled_at": STAMP, "last_status": "integer",
        "reason": "text",
    },
    "evidence": {
        **KEY,
        "version": "integer", "outcome": "text", "label": "text", "valid_from": STAMP,
        "recorded_at": STAMP, "rests_on": "text", "checks": "jsonb",
        "report_fetched_at": STAMP, "report_bytes": "integer", "report_sha256": "text",
        "callback_id": "uuid", "callback_status": "text", "callback_received_at": STAMP,
        "callback_sent_at": STAMP, "callback_sha256": "text", "source_ip": "inet",
        "source_rule": "text", "source_name": "text", "report_kept": "boolean", "callback_body_kept": "boolean",
    },
    "audit_trail": {
        **KEY,
        "number": "bigint", "happened_at": STAMP, "who": "text", "application": "text", "client_address": "inet",
        "action": "text", "reason": "text", "details": "jsonb", "position": "bigint", "sealed_at": STAMP,
        "link": "text",
    },
    "erasures": {
        "erasure_id": "uuid", "tenant": "text", "scope": "text", "reason": "text", "erased_by": "text",
        "erased_at": STAMP, "rows": "jsonb", "subjects": "bigint", "late_callbacks": "bigint",
        "elsewhere_pending": "bigint", "elsewhere_done": "bigint", "elsewhere_parked": "bigint",
        "unsearched": "integer",
    },
    "holds": {
        "hold_id": "uuid", "tenant": "text", "kind": "text", "subject": "text", "reason": "text", "placed_by": "text",
        "placed_at": STAMP, "released_at": STAMP,
    },
}  # fmt: skip
VERDICT = (
    "tenant text, family text, workflow_key text, version integer, outcome text, label text, risk_score numeric,"
    " reasons jsonb, valid_from timestamp with time zone, recorded_at timestamp with time zone, callback_id uuid,"
    " rests_on text"
)
IDENTITY = (
    "family text, document_type text, document_subtype text, issuing_country text, first_name text, last_name text,"
    " date_of_birth text, document_number text, issuing_date text, expiry_date text, audit_number bigint, note text,"
    " issuing_state text"
)
PERSON = (
    "reason text, name text DEFAULT NULL::text, born date DEFAULT NULL::date, number text DEFAULT NULL::text,"
    " close boolean DEFAULT false, only_tenant text DEFAULT NULL::text"
)
FOUND = (
    "tenant text, family text, workflow_key text, document_type text, issuing_country text, first_name text,"
    " last_name text, date_of_birth text, document_number text, score real, audit_number bigint, note text"
)
IMAGES = (
    "tenant text, workflow_key text, reason text, credential_id text DEFAULT NULL::text,"
    " classifier text DEFAULT NULL::text"
)
OPENED = (
    "image_id uuid, credential text, part text, media_type text, sha256 bytea, store text, blob_key text, sealed bytea,"
    " audit_number bigint, note text"
)
SIGNATURES = {
    "timeline": (
        "workflow_key text, only_tenant text DEFAULT NULL::text, only_family text DEFAULT NULL::text",
        "TABLE(at timestamp with time zone, what text, words text, details jsonb, tenant text, family text)",
    ),
    "verdicts_as_of": (
        f"true_at {STAMP}, known_at {STAMP} DEFAULT 'infinity'::{STAMP}",
        f"TABLE({VERDICT})",
    ),
    "erasure_of": ("tenant text, workflow_key text", "uuid"),
    "reveal_identity": ("tenant text, workflow_key text, reason text", f"TABLE({IDENTITY})"),
    "find_person": (PERSON, f"TABLE({FOUND})"),
    "open_images": (IMAGES, f"TABLE({OPENED})"),
}


@pytest.mark.parametrize("view", PINNED)
def test_a_view_keeps_its_columns_and_their_types(conn: Connection, view: str) -> None:
    there = {row[1]: row[2] for row in conn.execute(query("catalog", "interface_columns")) if row[0] == view}

    assert {name: there.get(name) for name in PINNED[view]} == PINNED[view]


@pytest.mark.parametrize("function", SIGNATURES)
def test_a_function_keeps_its_signature(conn: Connection, function: str) -> None:
    there = {row[0]: (row[1], row[2]) for row in conn.execute(query("catalog", "interface_functions"))}

    assert there[function] == SIGNATURES[function]


def test_all_that_is_there_is_pinned(conn: Connection) -> None:
    """Every view, column and function: what is new is held on to from its first day."""
    columns = {(row[0], row[1]) for row in conn.execute(query("catalog", "interface_columns"))}
    functions = {row[0] for row in conn.execute(query("catalog", "interface_functions"))}

    assert columns == {(view, name) for view, names in PINNED.items() for name in names}
    assert functions == set(SIGNATURES)


@pytest.mark.parametrize("kind", ["views", "columns", "functions"])
def test_everything_in_the_interface_explains_itself(conn: Connection, kind: str) -> None:
    rows = conn.execute(query("catalog", f"interface_{kind}")).fetchall()

    assert rows
    assert [row[:2] for row in rows if not row[-1].strip()] == []


def test_the_dictionary_says_what_the_catalog_says(conn: Connection) -> None:
    written = (ROOT / "deploy/dictionary.md").read_text()

    assert written == read_dictionary(conn), "run: jumio-pipeline dictionary > deploy/dictionary.md"
