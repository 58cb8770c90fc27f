-- name: families
-- Under which product generations a key is known.
SELECT family FROM pipeline.workflows
WHERE tenant = %(tenant)s AND workflow_key = %(workflow_key)s
UNION
SELECT family FROM pipeline.callbacks WHERE tenant = %(tenant)s AND workflow_key = %(workflow_key)s
ORDER BY family;

-- name: workflow
SELECT tenant, family, workflow_key, account_id, user_reference, customer_reference, status, definition_key, started_at,
    completed_at, outcome, label, risk_score, reject_reasons, decided_at, verdict_version, first_seen_at
FROM pipeline.workflows
WHERE (tenant, family, workflow_key) = (%(tenant)s, %(family)s, %(workflow_key)s);

-- name: callbacks
SELECT id, received_at, sent_at, host(peer) AS peer, host(client_address) AS source_ip, source_evidence, status, state,
    last_error AS reason, attempts, bytes, encode(sha256, 'hex') AS sha256, sealed_body, sealed_head
FROM pipeline.callbacks
WHERE (tenant, family, workflow_key) = (%(tenant)s, %(family)s, %(workflow_key)s)
ORDER BY received_at, id;

-- name: reports
SELECT id, callback_id, fetched_at, bytes, encode(digest, 'hex') AS sha256, sealed FROM pipeline.reports
WHERE (tenant, family, workflow_key) = (%(tenant)s, %(family)s, %(workflow_key)s)
ORDER BY fetched_at, id;

-- name: verdicts
SELECT version, outcome, label, risk_score, reasons, valid_from, recorded_at, rests_on, callback_id, report_id,
    (
        SELECT coalesce(jsonb_agg(to_jsonb(c) - 'report_id' - 'position' ORDER BY position), '[]')
        FROM pipeline.checks c WHERE c.report_id = v.report_id
    ) AS checks,
    (
        SELECT coalesce(jsonb_agg(to_jsonb(s) - 'report_id' - 'position' ORDER BY position), '[]')
        FROM pipeline.steps s WHERE s.report_id = v.report_id
    ) AS steps
FROM pipeline.verdicts v
WHERE (tenant, family, workflow_key) = (%(tenant)s, %(family)s, %(workflow_key)s)
ORDER BY version;

-- name: ask_export
-- Who, which and why, on record before anything is read.
SELECT pipeline.ask_export(%(tenant)s::text, %(family)s::text, %(workflow_key)s::text, %(reason)s::text) AS number;

-- name: identities
SELECT * FROM pipeline.exported_identities(%(tenant)s::text, %(family)s::text, %(workflow_key)s::text);

-- name: timeline
SELECT at, what, words FROM compliance.timeline(%(workflow_key)s::text, %(tenant)s::text, %(family)s::text);

-- name: images
SELECT id, credential_id, category, classifier, state, media_type, flag, bytes, encode(sha256, 'hex') AS sha256,
    stored_at, last_error AS reason
FROM pipeline.images
WHERE (tenant, family, workflow_key) = (%(tenant)s, %(family)s, %(workflow_key)s)
ORDER BY category, credential_id, classifier, id;

-- name: events
SELECT e.id, e.type, e.sequence, e.occurred_at, e.body,
    (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'destination', d.destination, 'subscription_id', d.subscription_id, 'state', d.state,
            'attempts', d.attempts - d.forgiven, 'finished_at', d.finished_at, 'last_status', d.last_status,
            'reason', d.last_error
        ) ORDER BY d.destination, d.id), '[]')
        FROM pipeline.deliveries d WHERE d.event_id = e.id
    ) AS deliveries
FROM pipeline.events e
WHERE (tenant, family, workflow_key) = (%(tenant)s, %(family)s, %(workflow_key)s)
ORDER BY sequence;

-- name: audit
-- Who read or changed something of it.
SELECT number, happened_at, who, application, action, reason, details FROM pipeline.audit
WHERE tenant = %(tenant)s AND workflow_key = %(workflow_key)s ORDER BY number;
