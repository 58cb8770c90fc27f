-- name: read_addresses
SELECT name, address, first_seen_at, last_seen_at, left_at FROM pipeline.source_addresses;

-- name: keep_addresses
-- What this process saw, joined with what others saw: the later sight wins; at a tie, that it left. Sorted, so that two
-- receivers cannot deadlock.
INSERT INTO pipeline.source_addresses AS known (name, address, first_seen_at, last_seen_at, left_at)
SELECT name, address, first_seen_at, last_seen_at, left_at
FROM unnest(
    %(name)s::text[], %(address)s::inet[], %(first_seen_at)s::timestamptz[], %(last_seen_at)s::timestamptz[],
    %(left_at)s::timestamptz[]
) AS seen (name, address, first_seen_at, last_seen_at, left_at)
ORDER BY name, address
ON CONFLICT (name, address) DO UPDATE SET
    first_seen_at = least(known.first_seen_at, excluded.first_seen_at),
    last_seen_at = greatest(known.last_seen_at, excluded.last_seen_at),
    left_at = CASE
        WHEN excluded.last_seen_at > known.last_seen_at THEN excluded.left_at
        WHEN excluded.last_seen_at = known.last_seen_at THEN least(excluded.left_at, known.left_at)
        ELSE known.left_at
    END;

-- name: keep_lookups
INSERT INTO pipeline.source_lookups AS known (name, record_type, answered_at, failed_at, failure)
SELECT name, record_type, answered_at, failed_at, failure
FROM unnest(
    %(name)s::text[], %(record_type)s::text[], %(answered_at)s::timestamptz[], %(failed_at)s::timestamptz[],
    %(failure)s::text[]
) AS asked (name, record_type, answered_at, failed_at, failure)
ORDER BY name, record_type
ON CONFLICT (name, record_type) DO UPDATE SET
    answered_at = greatest(known.answered_at, excluded.answered_at),
    failed_at = greatest(known.failed_at, excluded.failed_at),
    failure = CASE
        WHEN excluded.failed_at >= coalesce(known.failed_at, '-infinity') THEN excluded.failure ELSE known.failure
    END;

-- name: forget_addresses
-- Gone for a month: no rule looks at them. The last good ones of a name have not left, and stay.
DELETE FROM pipeline.source_addresses WHERE left_at < now() - interval '30 days';
