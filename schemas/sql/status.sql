-- name: backlog
-- What waits, what is due and for how long, what is parked: one row a table.
SELECT 'callbacks' AS work,
    count(*) FILTER (WHERE state = 'stored')::integer AS waiting,
    coalesce(extract(epoch FROM now() - min(next_attempt_at) FILTER (WHERE state = 'stored' AND next_attempt_at <= now())), 0)::float8 AS overdue_seconds,
    count(*) FILTER (WHERE state = 'parked')::integer AS parked
FROM pipeline.callbacks WHERE state IN ('stored', 'parked')
UNION ALL
SELECT 'images',
    count(*) FILTER (WHERE state = 'wanted')::integer,
    coalesce(extract(epoch FROM now() - min(next_attempt_at) FILTER (WHERE state = 'wanted' AND next_attempt_at <= now())), 0)::float8,
    count(*) FILTER (WHERE state = 'parked')::integer
FROM pipeline.images WHERE state IN ('wanted', 'parked')
UNION ALL
-- What is held for its subscriber, or waits for an earlier event, is not overdue.
SELECT 'deliveries',
    count(*) FILTER (WHERE state = 'pending')::integer,
    coalesce(extract(epoch FROM now() - (
        SELECT min(work.next_attempt_at) FROM pipeline.deliveries work
        LEFT JOIN pipeline.subscriptions subscription ON subscription.id = work.subscription_id
        WHERE work.state = 'pending' AND work.next_attempt_at <= now()
            AND subscription.paused_at IS NULL AND coalesce(subscription.failures, 0) = 0
            AND {in_order}
    )), 0)::float8,
    count(*) FILTER (WHERE state = 'parked')::integer
FROM pipeline.deliveries WHERE state IN ('pending', 'parked')
UNION ALL
SELECT 'deletions',
    count(*) FILTER (WHERE state = 'wanted')::integer,
    coalesce(extract(epoch FROM now() - min(next_attempt_at) FILTER (WHERE state = 'wanted' AND next_attempt_at <= now())), 0)::float8,
    count(*) FILTER (WHERE state = 'parked')::integer
FROM pipeline.deletions WHERE state IN ('wanted', 'parked');

-- name: parked_reasons
-- Why rows are parked, by the code before the colon, with the oldest and one text of each.
SELECT work, split_part(last_error, ':', 1) AS reason, count(*)::integer AS rows, min(finished_at) AS oldest,
    min(last_error) AS example
FROM (
    SELECT 'callbacks' AS work, last_error, finished_at FROM pipeline.callbacks WHERE state = 'parked'
    UNION ALL
    SELECT 'images', last_error, finished_at FROM pipeline.images WHERE state = 'parked'
    UNION ALL
    SELECT 'deliveries', last_error, finished_at FROM pipeline.deliveries WHERE state = 'parked'
    UNION ALL
    SELECT 'deletions', last_error, finished_at FROM pipeline.deletions WHERE state = 'parked'
) parked
GROUP BY work, reason ORDER BY work, rows DESC, reason;

-- name: aside
SELECT state, count(*)::integer AS rows, min(received_at) AS oldest
FROM pipeline.callbacks WHERE state IN ('refused', 'unverified') GROUP BY state ORDER BY state;

-- name: refused_too_early
-- Refused callers whose address DNS has given since, or another receiver's DNS before: an operator may vouch for them.
SELECT host(known.address) AS address, min(known.name) AS name, count(DISTINCT refused.id)::integer AS rows
FROM pipeline.callbacks refused
JOIN pipeline.source_addresses known ON known.address = refused.client_address
WHERE refused.state = 'refused' AND known.last_seen_at > now() - interval '7 days' AND known.left_at IS NULL
GROUP BY known.address ORDER BY known.address;

-- name: signs_of_life
-- Seconds since the last sign of each role's freshest process, and how many were heard within two minutes.
SELECT role, extract(epoch FROM now() - max(beat_at))::float8 AS silent_seconds,
    count(*) FILTER (WHERE beat_at > now() - interval '2 minutes')::integer AS processes
FROM pipeline.pulses GROUP BY role;

-- name: spools
-- What receivers that were heard within two minutes hold in their spools; a dead one's is told by whoever shares its folder.
SELECT process, spooled_rows AS rows, coalesce(extract(epoch FROM now() - spooled_since), 0)::float8 AS age_seconds,
    damaged_files
FROM pipeline.pulses
WHERE spooled_rows IS NOT NULL AND beat_at > now() - interval '2 minutes' ORDER BY process;

-- name: allowlist_age
-- Seconds since the last answer for each name and record type, and why the latest look-up failed, if it did.
SELECT name, record_type, extract(epoch FROM now() - answered_at)::float8 AS age_seconds,
    CASE WHEN failed_at > coalesce(answered_at, '-infinity') THEN failure END AS failure
FROM pipeline.source_lookups ORDER BY name, record_type;

-- name: durability
-- Settings without which a commit is not a promise.
SELECT name, setting FROM pg_settings
WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit', 'default_transaction_read_only');

-- name: backend
-- Which process of Postgres' this is.
SELECT pg_backend_pid();
