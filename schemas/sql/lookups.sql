-- What people look up by id, reference or date; deploy/measure_compliance.py holds each to its time.

-- name: samples
-- Workflows of any day, to look up.
SELECT w.tenant, w.family, w.workflow_key, w.account_id, w.user_reference, w.customer_reference, w.decided_at
FROM generate_series(1, %(count)s::integer) AS n
CROSS JOIN LATERAL (
    SELECT * FROM compliance.workflows
    WHERE decided_at >= now() - random() * interval '360 days' AND n > 0
    ORDER BY decided_at LIMIT 1
) w;

-- name: workflow_by_key
SELECT * FROM compliance.workflows WHERE workflow_key = %(workflow_key)s;

-- name: workflows_by_account
SELECT * FROM compliance.workflows WHERE account_id = %(account_id)s;

-- name: workflows_by_user
SELECT * FROM compliance.workflows WHERE user_reference = %(user_reference)s;

-- name: workflows_by_customer
SELECT * FROM compliance.workflows WHERE customer_reference = %(customer_reference)s;

-- name: workflows_of_an_hour
SELECT * FROM compliance.workflows
WHERE decided_at >= %(decided_at)s::timestamptz AND decided_at < %(decided_at)s::timestamptz + interval '1 hour';

-- name: verdicts_by_workflow
SELECT * FROM compliance.verdicts WHERE workflow_key = %(workflow_key)s;

-- name: evidence_by_workflow
SELECT * FROM compliance.evidence WHERE workflow_key = %(workflow_key)s;

-- name: verdicts_of_an_hour
SELECT * FROM compliance.verdicts
WHERE recorded_at >= %(decided_at)s::timestamptz AND recorded_at < %(decided_at)s::timestamptz + interval '1 hour';

-- name: verdict_as_of
SELECT * FROM compliance.verdicts_as_of(%(decided_at)s::timestamptz, %(decided_at)s::timestamptz) WHERE workflow_key = %(workflow_key)s;

-- name: checks_by_workflow
SELECT * FROM compliance.checks WHERE workflow_key = %(workflow_key)s;

-- name: steps_by_workflow
SELECT * FROM compliance.steps WHERE workflow_key = %(workflow_key)s;

-- name: identities_by_workflow
SELECT * FROM compliance.identities WHERE workflow_key = %(workflow_key)s;

-- name: images_by_workflow
SELECT * FROM compliance.images WHERE workflow_key = %(workflow_key)s;

-- name: callbacks_by_workflow
SELECT * FROM compliance.callbacks WHERE workflow_key = %(workflow_key)s;

-- name: callbacks_of_an_hour
SELECT * FROM compliance.callbacks
WHERE received_at > %(decided_at)s::timestamptz - interval '1 hour' AND received_at <= %(decided_at)s::timestamptz;

-- name: events_by_workflow
SELECT * FROM compliance.events WHERE workflow_key = %(workflow_key)s;

-- name: events_of_an_hour
SELECT * FROM compliance.events
WHERE occurred_at >= %(decided_at)s::timestamptz AND occurred_at < %(decided_at)s::timestamptz + interval '1 hour';

-- name: deliveries_by_event
SELECT * FROM compliance.deliveries
WHERE event_id IN (SELECT event_id FROM compliance.events WHERE workflow_key = %(workflow_key)s);

-- name: timeline_of_workflow
SELECT * FROM compliance.timeline(%(workflow_key)s);
