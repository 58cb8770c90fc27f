-- name: in_order
-- A fragment of work.sql's lease: what comes before, for this destination and workflow, is settled first.
NOT EXISTS (
            SELECT FROM pipeline.deliveries earlier
            WHERE earlier.tenant = work.tenant AND earlier.family = work.family
                AND earlier.workflow_key = work.workflow_key AND earlier.sequence < work.sequence
                AND earlier.destination = work.destination
                AND earlier.subscription_id IS NOT DISTINCT FROM work.subscription_id
                AND earlier.state = 'pending'
            -- Both keep it one look-up a row in deliveries_order; as a join it took 77 s with 100,000 rows of one workflow.
            ORDER BY earlier.sequence OFFSET 0
        );

-- name: insert_deliveries
-- One row for every subscriber that wants this type, and one for the stream; in the transaction of the event.
INSERT INTO pipeline.deliveries (
    id, event_id, destination, subscription_id, tenant, family, workflow_key, sequence, state
)
SELECT gen_random_uuid(), event.id, target.destination, target.subscription_id, event.tenant, event.family,
    event.workflow_key, event.sequence, 'pending'
FROM pipeline.events event
CROSS JOIN LATERAL (
    SELECT 'webhook' AS destination, subscription.id AS subscription_id
    FROM pipeline.subscriptions subscription
    WHERE subscription.removed_at IS NULL
        AND (subscription.types IS NULL OR event.type = ANY(subscription.types))
    UNION ALL
    SELECT 'stream', NULL WHERE %(stream)s::boolean
) target
WHERE event.id = %(event_id)s;

-- name: get_delivery
-- What one attempt sends, and where; nothing once the row is settled or another attempt has it.
SELECT delivery.id, event.id AS event_id, event.type, event.tenant, event.workflow_key, event.sequence, event.body,
    subscription.id AS subscription_id, subscription.url, subscription.sealed_secret,
    subscription.removed_at IS NOT NULL AS removed, subscription.enrich
FROM pipeline.deliveries delivery
JOIN pipeline.events event ON event.id = delivery.event_id
LEFT JOIN pipeline.subscriptions subscription ON subscription.id = delivery.subscription_id
WHERE delivery.id = %(id)s AND delivery.state = 'pending' AND delivery.attempts = %(attempt)s;

-- name: note_status
-- The subscriber's latest answer, whether it took the event or not.
UPDATE pipeline.deliveries SET last_status = %(status)s
WHERE id = %(id)s AND state = 'pending' AND attempts = %(attempt)s;

-- name: cancel_deliveries
-- Nothing more is sent to a subscription that ended.
UPDATE pipeline.deliveries
SET state = 'cancelled', finished_at = now(), leased_until = NULL, claimed_until = NULL, last_error = %(error)s
WHERE subscription_id = %(id)s AND state = 'pending';
