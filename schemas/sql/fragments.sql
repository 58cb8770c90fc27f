-- Conditions that several queries share: {name} in a query is the text of that name here.

-- name: free
-- Of a row `work`: neither its message nor a worker has it.
(work.leased_until IS NULL OR work.leased_until < now()) AND (work.claimed_until IS NULL OR work.claimed_until < now());

-- name: in_order
-- Of a delivery `work`: what comes before, for its target and workflow, is settled. ORDER BY and OFFSET keep it one look-up
-- a row in deliveries_order; as a join it took 77 s with 100,000 rows of one workflow.
NOT EXISTS (
    SELECT FROM pipeline.deliveries earlier
    WHERE earlier.target = work.target AND earlier.tenant = work.tenant AND earlier.family = work.family
        AND earlier.workflow_key = work.workflow_key AND earlier.sequence < work.sequence AND earlier.state = 'pending'
    ORDER BY earlier.sequence OFFSET 0
);

-- name: later
-- Of a delivery `later`: it comes after `work`, for the same target and workflow, and was sent (before a replay put it back,
-- perhaps) or is being sent.
later.target = work.target AND later.tenant = work.tenant AND later.family = work.family
    AND later.workflow_key = work.workflow_key AND later.sequence > work.sequence
    AND (later.state = 'delivered' OR later.first_delivered_at IS NOT NULL OR later.claimed_until > now());

-- name: held
-- Of a subscription, which may be none: nothing is sent to it, by an operator's word or its breaker's. One that ended is not
-- held: what waits for it is cancelled.
(subscription.removed_at IS NULL
    AND (subscription.paused_at IS NOT NULL OR coalesce(subscription.probe_at > now(), false)));

-- name: chosen
-- Of events `event`: those that an operator chose.
(%(event_id)s::uuid IS NULL OR event.id = %(event_id)s)
    AND (%(workflow_key)s::text IS NULL OR event.workflow_key = %(workflow_key)s)
    AND (%(since)s::timestamptz IS NULL OR event.occurred_at >= %(since)s);

-- name: again
-- To a delivery `work`: it is sent once more, and marked.
state = 'pending', forgiven = attempts, next_attempt_at = now(), finished_at = NULL, leased_until = NULL,
    claimed_until = NULL, requeued_at = now(), replays = replays + 1,
    first_delivered_at = coalesce(first_delivered_at, CASE WHEN work.state = 'delivered' THEN finished_at END);
