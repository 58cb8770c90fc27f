-- name: lease
-- In place of work.sql's. Takes what is due target by target, the longest due first, each only up to so much under way:
-- one that is slow or dead holds up itself. Six at once leave two of the eight that one worker process sends; one that
-- failed last is tried with one at a time, and not before its breaker lets a probe through. One relay at a time: two that
-- count before either has taken would take twice as much.
WITH targets AS MATERIALIZED (
    SELECT subscription.id::text AS target, CASE WHEN subscription.failures = 0 THEN 6 ELSE 1 END AS most
    FROM pipeline.subscriptions subscription
    WHERE NOT {held}
    UNION ALL
    VALUES ('stream', 6), ('exchange', 6)
), waiting AS MATERIALIZED (
    -- To take the turn is to write and to flush: only where something is due.
    SELECT targets.target, targets.most
    FROM targets
    CROSS JOIN LATERAL (
        SELECT FROM pipeline.deliveries work
        WHERE work.target = targets.target AND work.state = 'pending' AND work.next_attempt_at <= now() AND {free}
        ORDER BY work.next_attempt_at
        LIMIT 1
    ) due
), turn AS MATERIALIZED (
    SELECT work FROM pipeline.turns
    WHERE work = 'deliveries' AND EXISTS (SELECT FROM waiting) FOR NO KEY UPDATE SKIP LOCKED
), due AS MATERIALIZED (
    SELECT next.id
    FROM turn
    CROSS JOIN waiting targets
    CROSS JOIN LATERAL (
        SELECT work.id, work.next_attempt_at FROM pipeline.deliveries work
        WHERE work.target = targets.target AND work.state = 'pending' AND work.next_attempt_at <= now()
            AND {free} AND {in_order}
        ORDER BY work.next_attempt_at
        LIMIT greatest(0, targets.most - pipeline.under_way(targets.target))
        FOR UPDATE SKIP LOCKED
    ) next
    ORDER BY next.next_attempt_at
    LIMIT %(batch)s
)
UPDATE pipeline.deliveries SET leased_until = now() + %(lease)s * interval '1 second'
WHERE id = ANY(ARRAY(SELECT due.id FROM due))
RETURNING id;

-- name: claim
-- In place of work.sql's: a task that comes out of turn, late or twice, claims nothing, nor one whose subscriber was paused
-- since the message was sent.
UPDATE pipeline.deliveries work
SET attempts = attempts + 1, claimed_until = now() + %(claim)s * interval '1 second'
WHERE work.id = %(id)s AND work.state = 'pending' AND work.next_attempt_at <= now()
    AND (work.claimed_until IS NULL OR work.claimed_until < now())
    AND {in_order}
    AND NOT EXISTS (
        SELECT FROM pipeline.subscriptions subscription WHERE subscription.id = work.subscription_id AND {held}
    )
RETURNING attempts, attempts - forgiven AS counted;

-- name: insert_deliveries
-- One row for every subscriber that wants it, and one for each other destination; in the transaction of the event.
INSERT INTO pipeline.deliveries (
    id, event_id, destination, subscription_id, tenant, family, workflow_key, sequence, state
)
SELECT gen_random_uuid(), event.id, target.destination, target.subscription_id, event.tenant, event.family,
    event.workflow_key, event.sequence, 'pending'
FROM pipeline.events event
CROSS JOIN LATERAL (
    SELECT 'webhook' AS destination, subscription.id AS subscription_id
    FROM pipeline.subscriptions subscription
    WHERE pipeline.wants(subscription, event)
    UNION ALL
    SELECT destination, NULL FROM unnest(%(destinations)s::text[]) destination
) target
WHERE event.id = %(event_id)s;

-- name: get_delivery
-- What one attempt sends, and where; nothing once the row is settled, another attempt has it, its claim would end before
-- the sending must, or an earlier one was put back meanwhile: a worker that stood still must not send out of turn.
-- `overtaken`, of one that was itself put back: true where a later one was delivered, false where one may be on its way. A
-- requeue looks, too, but cannot see what is claimed before its own commit; whatever is sent, was claimed before that.
SELECT work.id, event.id AS event_id, event.type, event.tenant, event.workflow_key, event.sequence, event.body,
    work.destination, work.replays,
    subscription.id AS subscription_id, subscription.url, subscription.sealed_secret,
    subscription.removed_at IS NOT NULL AS removed, subscription.enrich, subscription.failures > 0 AS failing,
    {held} AS held,
    CASE WHEN work.requeued_at IS NOT NULL AND work.replays = 0 THEN (
        SELECT bool_or(later.state = 'delivered' OR later.first_delivered_at IS NOT NULL)
        FROM pipeline.deliveries later WHERE {later}
    ) END AS overtaken,
    EXISTS (
        SELECT FROM pipeline.retired_secrets retired
        WHERE retired.subscription_id = subscription.id AND retired.expires_at > now()
    ) AS rotated
FROM pipeline.deliveries work
JOIN pipeline.events event ON event.id = work.event_id
LEFT JOIN pipeline.subscriptions subscription ON subscription.id = work.subscription_id
WHERE work.id = %(id)s AND work.state = 'pending' AND work.attempts = %(attempt)s
    AND work.claimed_until > clock_timestamp() + %(seconds)s * interval '1 second'
    AND {in_order};

-- name: note_status
-- The subscriber's latest answer, which was not that it took the event; none, where no answer came.
UPDATE pipeline.deliveries SET last_status = %(status)s
WHERE id = %(id)s AND state = 'pending' AND attempts = %(attempt)s;

-- name: finish_sent
-- A subscriber took it: settled with its answer. In its place, and in the same commit, the next that is due for the same
-- subscriber is claimed if the sender has time for `more`: as many stay under way as were. The next of the same workflow
-- is none of them: here, this one still counts as before it. Rows are those that settled: none where another attempt did.
WITH sent AS (
    UPDATE pipeline.deliveries
    SET state = 'delivered', finished_at = now(), leased_until = NULL, claimed_until = NULL, last_error = NULL,
        last_status = %(status)s
    WHERE id = %(id)s AND state = 'pending' AND attempts = %(attempt)s
    RETURNING id, target, subscription_id
), next AS MATERIALIZED (
    SELECT due.id
    FROM sent
    JOIN pipeline.subscriptions subscription ON subscription.id = sent.subscription_id
    CROSS JOIN LATERAL (
        SELECT work.id FROM pipeline.deliveries work
        WHERE work.target = sent.target AND work.id <> sent.id AND work.state = 'pending'
            AND work.next_attempt_at <= now()
            AND {free} AND {in_order}
        ORDER BY work.next_attempt_at
        LIMIT 1
        FOR UPDATE SKIP LOCKED
    ) due
    WHERE %(more)s::boolean
        AND subscription.removed_at IS NULL AND subscription.paused_at IS NULL AND subscription.failures = 0
), claimed AS (
    UPDATE pipeline.deliveries work
    SET attempts = attempts + 1, claimed_until = now() + %(claim)s * interval '1 second'
    WHERE work.id = ANY(ARRAY(SELECT next.id FROM next))
    RETURNING work.id, work.attempts, work.attempts - work.forgiven AS counted
)
SELECT claimed.id, claimed.attempts, claimed.counted FROM sent LEFT JOIN claimed ON true;

-- name: cancel_deliveries
-- Nothing more is sent to a subscription that ended.
UPDATE pipeline.deliveries
SET state = 'cancelled', finished_at = now(), leased_until = NULL, claimed_until = NULL, last_error = %(error)s
WHERE target = %(id)s::uuid::text AND state IN ('pending', 'parked');

-- name: count_waiting
-- For one subscriber.
SELECT count(*)::integer AS deliveries FROM pipeline.deliveries WHERE target = %(id)s::uuid::text AND state = 'pending';

-- name: hasten_deliveries
-- Their subscriber is back: what waits for a later try is tried now, in order.
UPDATE pipeline.deliveries SET next_attempt_at = now()
WHERE target = %(id)s::uuid::text AND state = 'pending' AND next_attempt_at > now();

-- name: take_back
-- Their messages came while nothing was sent, and were passed over: they need not wait until their lease ends.
UPDATE pipeline.deliveries SET leased_until = NULL
WHERE target = %(id)s::uuid::text AND state = 'pending' AND leased_until IS NOT NULL AND claimed_until IS NULL;

-- name: requeue
-- In place of work.sql's: as new, but not what a later event of its workflow has overtaken.
UPDATE pipeline.deliveries work
SET state = 'pending', forgiven = attempts, next_attempt_at = now(), finished_at = NULL, leased_until = NULL,
    claimed_until = NULL, requeued_at = now()
WHERE work.state = 'parked' AND (%(reason)s::text IS NULL OR split_part(work.last_error, ':', 1) = %(reason)s)
    AND (%(id)s::uuid IS NULL OR work.id = %(id)s)
    AND (
        NOT EXISTS (SELECT FROM pipeline.deliveries later WHERE {later})
        -- Nothing is sent to a subscription that ended: what is put back is cancelled.
        OR EXISTS (
            SELECT FROM pipeline.subscriptions ended
            WHERE ended.id = work.subscription_id AND ended.removed_at IS NOT NULL
        )
    )
RETURNING id;

-- name: count_parked
-- What a requeue left: overtaken.
SELECT count(*)::integer FROM pipeline.deliveries
WHERE state = 'parked' AND (%(reason)s::text IS NULL OR split_part(last_error, ':', 1) = %(reason)s);

-- name: replay_sent
-- The same rows again, event id and all, for subscribers that stand; what waits is sent anyway.
UPDATE pipeline.deliveries work
SET {again}
FROM pipeline.events event, pipeline.subscriptions subscription
WHERE event.id = work.event_id AND subscription.id = work.subscription_id
    AND work.state <> 'pending' AND subscription.removed_at IS NULL
    AND {chosen}
    AND (%(subscription_id)s::uuid IS NULL OR subscription.id = %(subscription_id)s);

-- name: replay_missed
-- For subscribers that want an event and have no row of it: it is older than they are.
INSERT INTO pipeline.deliveries (
    id, event_id, destination, subscription_id, tenant, family, workflow_key, sequence, state, replays
)
SELECT gen_random_uuid(), event.id, 'webhook', subscription.id, event.tenant, event.family, event.workflow_key,
    event.sequence, 'pending', 1
FROM pipeline.events event
JOIN pipeline.subscriptions subscription ON pipeline.wants(subscription, event)
WHERE {chosen}
    AND (%(subscription_id)s::uuid IS NULL OR subscription.id = %(subscription_id)s)
ON CONFLICT (event_id, target) DO NOTHING;

-- name: put_again
-- The same for a destination beside the subscribers: it lost what it had.
UPDATE pipeline.deliveries work
SET {again}
FROM pipeline.events event
WHERE event.id = work.event_id AND work.target = %(destination)s AND work.state <> 'pending' AND {chosen};

-- name: put_missed
-- It was switched off when these were written.
INSERT INTO pipeline.deliveries (id, event_id, destination, tenant, family, workflow_key, sequence, state, replays)
SELECT gen_random_uuid(), event.id, %(destination)s, event.tenant, event.family, event.workflow_key, event.sequence,
    'pending', 1
FROM pipeline.events event
WHERE {chosen}
ON CONFLICT (event_id, target) DO NOTHING;

-- name: list_deliveries
-- The newest events first; `held` says what a pending one waits for besides its time.
SELECT event.id AS event_id, event.type, event.tenant, event.workflow_key, event.sequence, event.occurred_at,
    work.destination, subscription.id AS subscription_id, subscription.url, work.state,
    work.attempts - work.forgiven AS attempts, work.replays, work.last_status, work.last_error,
    CASE WHEN work.state = 'pending' THEN work.next_attempt_at END AS next_attempt_at,
    work.finished_at, work.first_delivered_at,
    CASE WHEN work.state <> 'pending' THEN NULL
        WHEN subscription.paused_at IS NOT NULL THEN 'paused'
        WHEN subscription.probe_at > now() THEN 'breaker'
        WHEN NOT ({in_order}) THEN 'order'
    END AS held
FROM pipeline.events event
JOIN pipeline.deliveries work ON work.event_id = event.id
LEFT JOIN pipeline.subscriptions subscription ON subscription.id = work.subscription_id
WHERE (%(subscription_id)s::uuid IS NULL OR work.subscription_id = %(subscription_id)s)
    AND (%(event_id)s::uuid IS NULL OR event.id = %(event_id)s)
    AND (%(workflow_key)s::text IS NULL OR event.workflow_key = %(workflow_key)s)
    AND (%(state)s::text IS NULL OR work.state = %(state)s)
ORDER BY event.occurred_at DESC, event.id, work.target
LIMIT %(most)s;
