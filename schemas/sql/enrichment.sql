-- name: lock_delivery
-- One at a time makes what an enriched delivery sends.
SELECT delivery.sealed_body, subscription.enrich
FROM pipeline.deliveries delivery
JOIN pipeline.subscriptions subscription ON subscription.id = delivery.subscription_id
WHERE delivery.id = %(id)s AND delivery.state = 'pending'
FOR UPDATE OF delivery;

-- name: keep_body
UPDATE pipeline.deliveries SET sealed_body = %(sealed)s WHERE id = %(id)s;

-- name: get_verdict
-- What a version of a verdict rests on.
SELECT report_id, reasons FROM pipeline.verdicts
WHERE tenant = %(tenant)s AND family = %(family)s AND workflow_key = %(workflow_key)s AND version = %(version)s;

-- name: list_checks
SELECT capability AS name, outcome, label, credential_ids FROM pipeline.checks
WHERE report_id = %(report_id)s ORDER BY position;

-- name: list_steps
SELECT name, outcome, label, risk_score FROM pipeline.steps WHERE report_id = %(report_id)s ORDER BY position;

-- name: take_identities
-- Of a delivery to a subscription that asked for them; the audit trail is told.
SELECT * FROM pipeline.take_identities(%(id)s::uuid);
