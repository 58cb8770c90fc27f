-- The queries that every table with work in it shares; {table} and {waiting} come from queries.py, never from input.
-- Deliveries have a lease, a claim and a requeue of their own: they go out in order, and each target at its own pace.

-- name: lease
-- Takes due rows, the longest due first, for as long as their message may wait. As an array they are chosen once: a
-- planner that joins chooses anew for each, past the limit.
UPDATE pipeline.{table} SET leased_until = now() + %(lease)s * interval '1 second'
WHERE id = ANY(ARRAY(
    SELECT work.id FROM pipeline.{table} work
    WHERE work.state = '{waiting}' AND work.next_attempt_at <= now()
        AND {free}
    ORDER BY work.next_attempt_at
    LIMIT %(batch)s
    FOR UPDATE SKIP LOCKED
))
RETURNING id;

-- name: release
-- Gives back what could not be sent to the broker.
UPDATE pipeline.{table} SET leased_until = NULL
WHERE id = ANY(%(ids)s) AND state = '{waiting}' AND claimed_until IS NULL;

-- name: claim
-- Counts the attempt before the work, so that a row that kills its worker is counted too.
UPDATE pipeline.{table} SET attempts = attempts + 1, claimed_until = now() + %(claim)s * interval '1 second'
WHERE id = %(id)s AND state = '{waiting}' AND next_attempt_at <= now()
    AND (claimed_until IS NULL OR claimed_until < now())
RETURNING attempts, attempts - forgiven AS counted;

-- name: retry
-- Only from the attempt that the caller made: one that overslept its claim changes nothing.
UPDATE pipeline.{table}
SET next_attempt_at = now() + %(delay)s * interval '1 second', leased_until = NULL, claimed_until = NULL,
    forgiven = forgiven + %(forgive)s, last_error = %(error)s
WHERE id = %(id)s AND state = '{waiting}' AND attempts = %(attempt)s;

-- name: finish
UPDATE pipeline.{table}
SET state = %(state)s, finished_at = now(), leased_until = NULL, claimed_until = NULL, last_error = %(error)s
WHERE id = %(id)s AND state = '{waiting}' AND attempts = %(attempt)s;

-- name: requeue
-- Parked rows back on the line, as new; a reason is the code before the colon.
UPDATE pipeline.{table}
SET state = '{waiting}', forgiven = attempts, next_attempt_at = now(), finished_at = NULL, leased_until = NULL,
    claimed_until = NULL, requeued_at = now()
WHERE state = 'parked' AND (%(reason)s::text IS NULL OR split_part(last_error, ':', 1) = %(reason)s)
    AND (%(id)s::uuid IS NULL OR id = %(id)s)
RETURNING id;
