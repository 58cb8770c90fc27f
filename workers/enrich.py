"""An event -> the same with what its subscription asked for besides: made once, the same bytes at every try."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from psycopg import Connection

from schemas.events.data import ENRICHABLE, Enrichment, Evidence, Identity
from schemas.events.envelope import enriched
from schemas.sealing import KeyRing
from workers import store


def enriched_body(conn: Connection, delivery_id: UUID, body: str, *, keys: KeyRing) -> str:
    """What this delivery sends. Raises UnsealError.

    Kept sealed until the delivery is settled, so that neither an erasure nor a new release changes it between two
    tries; kept in one transaction with the line in the audit trail, so that each delivery has one.
    """
    place = f"deliveries.sealed_body/{delivery_id}"
    with conn.transaction():
        found = store.rows(conn, "enrichment", "lock_delivery", {"id": delivery_id})
        if not found:
            # Settled meanwhile: what is sent will not be noted either.
            return body
        [row] = found
        if row["sealed_body"] is not None:
            return keys.unseal_text(row["sealed_body"], place=place).decode()
        text = _enrich(conn, delivery_id, body, asked=row["enrich"] or ())
        sealed = keys.seal_text(text.encode(), place=place)
        store.change(conn, "enrichment", "keep_body", {"id": delivery_id, "sealed": sealed})
    return text


def _enrich(conn: Connection, delivery_id: UUID, body: str, *, asked: Sequence[str]) -> str:
    event: dict[str, Any] = json.loads(body)
    if event["type"] not in ENRICHABLE:
        return body
    data: Mapping[str, Any] = event["data"]
    verdicts = store.rows(conn, "enrichment", "get_verdict", {**_key(data), "version": data["verdict_version"]})
    more: dict[str, Any] = {}
    for verdict in verdicts:
        if "checks" in asked:
            more["evidence"] = _evidence(conn, verdict)
        if "identity" in asked:
            identities = store.rows(conn, "enrichment", "take_identities", {"id": delivery_id})
            more["identities"] = tuple(Identity(**row) for row in identities)
    return enriched(body, Enrichment(**more).model_dump(mode="json", exclude_unset=True)) if more else body


def _evidence(conn: Connection, verdict: store.Row) -> Evidence:
    report = {"report_id": verdict["report_id"]}
    return Evidence.model_validate(
        {
            "reasons": verdict["reasons"],
            "checks": store.rows(conn, "enrichment", "list_checks", report),
            "steps": store.rows(conn, "enrichment", "list_steps", report),
        }
    )


def _key(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: data[name] for name in ("tenant", "family", "workflow_key")}
