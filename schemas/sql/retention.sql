-- name: count_due
-- How much of a class there is, how much of it is due, and how much would be but for a hold.
SELECT count(*)::integer AS rows, count(*) FILTER (WHERE due AND NOT held)::integer AS due,
    count(*) FILTER (WHERE due AND held)::integer AS held
FROM (
    SELECT held, coalesce(
        CASE %(clock)s::text
            WHEN 'received' THEN received WHEN 'decided' THEN decided WHEN 'completed' THEN completed
            WHEN 'relationship-ended' THEN relationship_ended
        END + %(keep)s::interval <= now() AND coalesce(not_before + %(keep)s::interval <= now(), true), false) AS due
    FROM pipeline.retained WHERE class = %(class)s
) counted;

-- name: take_due
-- The next rows of a class that are due, in no order.
SELECT place, id, tenant, family, workflow_key FROM pipeline.retained
WHERE class = %(class)s AND NOT held
    AND CASE %(clock)s::text
        WHEN 'received' THEN received WHEN 'decided' THEN decided WHEN 'completed' THEN completed
        WHEN 'relationship-ended' THEN relationship_ended
    END + %(keep)s::interval <= now()
    AND coalesce(not_before + %(keep)s::interval <= now(), true)
LIMIT %(batch)s;

-- name: is_due
-- Whether a workflow still is, now that nobody writes it.
SELECT EXISTS (
    SELECT FROM pipeline.retained
    WHERE class = %(class)s AND NOT held
        AND (tenant, family, workflow_key) = (%(tenant)s, %(family)s, %(workflow_key)s)
        AND CASE %(clock)s::text
            WHEN 'received' THEN received WHEN 'decided' THEN decided WHEN 'completed' THEN completed
            WHEN 'relationship-ended' THEN relationship_ended
        END + %(keep)s::interval <= now()
        AND coalesce(not_before + %(keep)s::interval <= now(), true)
);

-- name: run_alone
SELECT pg_try_advisory_lock(hashtextextended('retention', 0)) AS alone;

-- name: end_run
SELECT pg_advisory_unlock(hashtextextended('retention', 0));

-- name: hold_images
-- Nobody moves or seals them anew meanwhile.
SELECT id, store FROM pipeline.images WHERE id = ANY(%(ids)s) AND state = 'stored' ORDER BY id FOR UPDATE;

-- name: clear_images
UPDATE pipeline.images
SET state = 'deleted', finished_at = now(), sha256 = NULL, stored_at = NULL, store = NULL, blob_key = NULL,
    key_id = NULL, last_error = 'retention: kept as long as the policy says'
WHERE id = ANY(%(ids)s) AND state = 'stored';

-- name: clear_identities
DELETE FROM pipeline.identities WHERE report_id = ANY(%(ids)s);

-- name: clear_enriched
-- Identities in what is parked; once it is put back on the line, the event goes out without them.
UPDATE pipeline.deliveries delivery SET sealed_body = NULL
FROM pipeline.reports report
WHERE report.id = ANY(%(ids)s) AND delivery.sealed_body IS NOT NULL AND delivery.state <> 'pending'
    AND (delivery.tenant, delivery.family, delivery.workflow_key) = (report.tenant, report.family, report.workflow_key);

-- name: clear_reports
UPDATE pipeline.reports SET sealed = '' WHERE id = ANY(%(ids)s) AND octet_length(sealed) > 0;

-- name: clear_callbacks
UPDATE pipeline.callbacks SET sealed_body = '', sealed_head = ''
WHERE id = ANY(%(ids)s) AND state IN ('done', 'parked', 'refused') AND octet_length(sealed_body) > 0;

-- name: clear_deliveries
DELETE FROM pipeline.deliveries WHERE event_id = ANY(%(ids)s);

-- name: clear_events
DELETE FROM pipeline.events WHERE id = ANY(%(ids)s);

-- name: end_relationship
INSERT INTO pipeline.relationship_ends (tenant, kind, subject, ended_at)
VALUES (%(tenant)s, %(kind)s, %(subject)s, %(ended_at)s)
ON CONFLICT (tenant, kind, subject) DO UPDATE SET ended_at = excluded.ended_at;

-- name: resume_relationship
DELETE FROM pipeline.relationship_ends WHERE tenant = %(tenant)s AND kind = %(kind)s AND subject = %(subject)s;

-- name: count_ended
-- Of how many workflows a subject's word starts the clock.
SELECT count(*)::integer AS workflows
FROM pipeline.clocks clock
JOIN pipeline.workflows workflow USING (tenant, family, workflow_key)
WHERE clock.relationship_ended IS NOT NULL AND workflow.tenant = %(tenant)s AND (
    %(kind)s::text = 'workflow' AND workflow.workflow_key = %(subject)s
    OR %(kind)s::text = 'account' AND workflow.account_id = %(subject)s
    OR %(kind)s::text = 'user-reference' AND workflow.user_reference = %(subject)s
);

-- name: count_waiting
-- Workflows of which something waits for a worker or a subscriber.
SELECT count(DISTINCT (tenant, family, workflow_key))::integer AS workflows
FROM (
    SELECT tenant, family, workflow_key FROM pipeline.callbacks WHERE state = 'stored' AND workflow_key IS NOT NULL
    UNION ALL
    SELECT tenant, family, workflow_key FROM pipeline.images WHERE state = 'wanted'
    UNION ALL
    SELECT tenant, family, workflow_key FROM pipeline.deliveries WHERE state = 'pending'
) waiting;
