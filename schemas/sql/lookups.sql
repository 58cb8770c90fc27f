-- What people look up by id, reference or date; deploy/measure_compliance.py holds each to its time.

-- name: samples
-- Workflows of any day, to look up, and the persons of some of them. By who owns the tables.
SELECT w.tenant, w.family, w.workflow_key, w.account_id, w.user_reference, w.customer_reference, w.decided_at, w.started_at,
    w.completed_at, w.first_seen_at, coalesce(i.first_name || ' ' || i.last_name, 'Nobody Known') AS name,
    coalesce(i.date_of_birth::date, '1987-06-05') AS born, coalesce(i.document_number, 'NONE') AS number
FROM generate_series(1, %(count)s::integer) AS n
CROSS JOIN LATERAL (
    SELECT * FROM pipeline.workflows
    WHERE decided_at >= now() - random() * interval '360 days' AND n > 0
    ORDER BY decided_at LIMIT 1
) w
LEFT JOIN pipeline.identities i ON i.report_id = w.report_id AND i.position = 0;

-- name: workflow_by_key
SELECT * FROM compliance.workflows WHERE workflow_key = %(workflow_key)s;

-- name: workflows_by_account
SELECT * FROM compliance.workflows WHERE account_id = %(account_id)s;

-- name: workflows_by_user
SELECT * FROM compliance.workflows WHERE user_reference = %(user_reference)s;

-- name: workflows_by_customer
SELECT * FROM compliance.workflows WHERE customer_reference = %(customer_reference)s;

-- name: latest_workflows
SELECT * FROM compliance.workflows ORDER BY first_seen_at DESC LIMIT 100;

-- name: workflows_of_an_hour
SELECT * FROM compliance.workflows
WHERE decided_at >= %(decided_at)s::timestamptz AND decided_at < %(decided_at)s::timestamptz + interval '1 hour';

-- name: workflows_completed_in_an_hour
SELECT * FROM compliance.workflows
WHERE completed_at >= %(completed_at)s::timestamptz AND completed_at < %(completed_at)s::timestamptz + interval '1 hour';

-- name: workflows_started_in_an_hour
SELECT * FROM compliance.workflows
WHERE started_at >= %(started_at)s::timestamptz AND started_at < %(started_at)s::timestamptz + interval '1 hour';

-- name: workflows_seen_in_an_hour
SELECT * FROM compliance.workflows
WHERE first_seen_at >= %(first_seen_at)s::timestamptz AND first_seen_at < %(first_seen_at)s::timestamptz + interval '1 hour';

-- name: outcomes_of_a_day
-- All but the counts of images.
SELECT tenant, family, workflow_key, account_id, user_reference, customer_reference, status, outcome, label, risk_score,
    decided_at, verdict_version, country
FROM compliance.workflows
WHERE decided_at >= %(decided_at)s::timestamptz AND decided_at < %(decided_at)s::timestamptz + interval '1 day';

-- name: workflows_of_a_day
SELECT * FROM compliance.workflows
WHERE decided_at >= %(decided_at)s::timestamptz AND decided_at < %(decided_at)s::timestamptz + interval '1 day';

-- name: verdicts_by_workflow
SELECT * FROM compliance.verdicts WHERE workflow_key = %(workflow_key)s;

-- name: evidence_by_workflow
SELECT * FROM compliance.evidence WHERE workflow_key = %(workflow_key)s;

-- name: verdicts_of_an_hour
SELECT * FROM compliance.verdicts
WHERE recorded_at >= %(decided_at)s::timestamptz AND recorded_at < %(decided_at)s::timestamptz + interval '1 hour';

-- name: verdicts_valid_in_an_hour
SELECT * FROM compliance.verdicts
WHERE valid_from > %(decided_at)s::timestamptz - interval '1 hour' AND valid_from <= %(decided_at)s::timestamptz;

-- name: evidence_of_an_hour
SELECT * FROM compliance.evidence
WHERE report_fetched_at >= %(decided_at)s::timestamptz AND report_fetched_at < %(decided_at)s::timestamptz + interval '1 hour';

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

-- name: images_stored_in_an_hour
SELECT * FROM compliance.images
WHERE stored_at >= %(decided_at)s::timestamptz AND stored_at < %(decided_at)s::timestamptz + interval '1 hour';

-- name: images_settled_in_an_hour
SELECT * FROM compliance.images
WHERE settled_at >= %(decided_at)s::timestamptz AND settled_at < %(decided_at)s::timestamptz + interval '1 hour';

-- name: callbacks_by_workflow
SELECT * FROM compliance.callbacks WHERE workflow_key = %(workflow_key)s;

-- name: callbacks_of_an_hour
SELECT * FROM compliance.callbacks
WHERE received_at > %(decided_at)s::timestamptz - interval '1 hour' AND received_at <= %(decided_at)s::timestamptz;

-- name: callbacks_sent_in_an_hour
SELECT * FROM compliance.callbacks
WHERE sent_at > %(decided_at)s::timestamptz - interval '1 hour' AND sent_at <= %(decided_at)s::timestamptz;

-- name: callbacks_settled_in_an_hour
SELECT * FROM compliance.callbacks
WHERE settled_at > %(decided_at)s::timestamptz - interval '1 hour' AND settled_at <= %(decided_at)s::timestamptz;

-- name: events_by_workflow
SELECT * FROM compliance.events WHERE workflow_key = %(workflow_key)s;

-- name: events_of_an_hour
SELECT * FROM compliance.events
WHERE occurred_at >= %(decided_at)s::timestamptz AND occurred_at < %(decided_at)s::timestamptz + interval '1 hour';

-- name: deliveries_by_event
SELECT * FROM compliance.deliveries
WHERE event_id IN (SELECT event_id FROM compliance.events WHERE workflow_key = %(workflow_key)s);

-- name: deliveries_by_workflow
SELECT * FROM compliance.deliveries WHERE workflow_key = %(workflow_key)s;

-- name: deliveries_settled_in_an_hour
SELECT * FROM compliance.deliveries
WHERE settled_at >= %(decided_at)s::timestamptz AND settled_at < %(decided_at)s::timestamptz + interval '1 hour';

-- name: timeline_of_workflow
SELECT * FROM compliance.timeline(%(workflow_key)s);

-- name: holds_that_stand
SELECT * FROM compliance.holds WHERE released_at IS NULL;

-- name: erasure_of_workflow
SELECT compliance.erasure_of(%(tenant)s, %(workflow_key)s);

-- name: trail_by_workflow
SELECT * FROM compliance.audit_trail WHERE workflow_key = %(workflow_key)s;

-- name: trail_of_an_hour
SELECT * FROM compliance.audit_trail
WHERE happened_at >= %(decided_at)s::timestamptz AND happened_at < %(decided_at)s::timestamptz + interval '1 hour';

-- name: trail_of_late
SELECT * FROM compliance.audit_trail ORDER BY number DESC LIMIT 100;

-- name: erasures_of_a_quarter
SELECT * FROM compliance.erasures
WHERE erased_at > %(decided_at)s::timestamptz - interval '3 months' AND erased_at <= %(decided_at)s::timestamptz;

-- name: reveal_identity
SELECT * FROM compliance.reveal_identity(%(tenant)s, %(workflow_key)s, 'Case 4711: how long does it take');

-- name: find_by_number
SELECT * FROM compliance.find_person('Case 4711: how long does it take', number => %(number)s);

-- name: find_by_name
SELECT * FROM compliance.find_person('Case 4711: how long does it take', name => %(name)s);

-- name: find_by_birth
SELECT * FROM compliance.find_person('Case 4711: how long does it take', born => %(born)s);

-- name: find_close
SELECT * FROM compliance.find_person('Case 4711: how long does it take', name => %(name)s, born => %(born)s, close => true);

-- name: find_close_by_name
SELECT * FROM compliance.find_person('Case 4711: how long does it take', name => %(name)s, close => true);
