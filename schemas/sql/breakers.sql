-- A row counts failures in a row until opened_until; with a reason it is open, and opened_until is the next probe.
-- No row: all is well. The part 'status page' only holds when it may be asked again.

-- name: get_breakers
-- What stands between a tenant's rows and Jumio, asked before each call; seconds until the next probe.
SELECT part, reason, greatest(extract(epoch FROM opened_until - clock_timestamp()), 0)::float8 AS seconds
FROM pipeline.breakers WHERE tenant = %(tenant)s AND part = ANY(%(parts)s) AND reason IS NOT NULL;

-- name: claim_probe
-- Of all that would like to try again, one a turn.
UPDATE pipeline.breakers SET opened_until = clock_timestamp() + %(seconds)s * interval '1 second'
WHERE tenant = %(tenant)s AND part = %(part)s AND reason IS NOT NULL AND opened_until <= clock_timestamp();

-- name: count_failure
-- Anew where the last count lapsed: a storm is what comes within a minute.
INSERT INTO pipeline.breakers AS breaker (tenant, part, failures, opened_until)
VALUES (%(tenant)s, %(part)s, 1, clock_timestamp() + %(seconds)s * interval '1 second')
ON CONFLICT (tenant, part) DO UPDATE SET
    failures = CASE WHEN breaker.reason IS NULL AND breaker.opened_until <= clock_timestamp() THEN 1
        ELSE breaker.failures + 1 END,
    opened_until = CASE WHEN breaker.reason IS NULL AND breaker.opened_until <= clock_timestamp()
        THEN excluded.opened_until ELSE breaker.opened_until END
RETURNING failures;

-- name: open_breaker
-- Of all that saw it fail, one opens it.
UPDATE pipeline.breakers SET reason = %(reason)s, opened_until = clock_timestamp() + %(seconds)s * interval '1 second'
WHERE tenant = %(tenant)s AND part = %(part)s AND reason IS NULL;

-- name: close_breakers
-- After an answer: the count starts anew, and what was open is closed.
DELETE FROM pipeline.breakers WHERE tenant = %(tenant)s AND part = ANY(%(parts)s) RETURNING part, reason;

-- name: claim_status_page
-- The fleet asks it once a minute at most.
INSERT INTO pipeline.breakers AS breaker (tenant, part, opened_until)
VALUES (%(tenant)s, 'status page', clock_timestamp() + %(seconds)s * interval '1 second')
ON CONFLICT (tenant, part) DO UPDATE SET opened_until = excluded.opened_until
WHERE breaker.opened_until <= clock_timestamp();

-- name: open_breakers
-- For `status`: what is closed to rows, why, how often it failed, and when the next row tries.
SELECT tenant, part, reason, failures,
    greatest(extract(epoch FROM opened_until - clock_timestamp()), 0)::float8 AS probe_seconds
FROM pipeline.breakers WHERE reason IS NOT NULL ORDER BY tenant, part;
