-- name: note_drift
-- Counts what was seen, all of one reading at once; the first example stands. Ordered, so that two workers cannot wait for
-- each other. A thousand kinds are more than anyone reads: new ones beyond that are counted as one.
INSERT INTO pipeline.drift AS known (tenant, family, what, example)
SELECT %(tenant)s::text, %(family)s::text, seen.what, min(seen.example)
FROM (
    SELECT given.example, CASE
        WHEN EXISTS (
            SELECT FROM pipeline.drift same
            WHERE same.tenant = %(tenant)s AND same.family = %(family)s AND same.what = given.what
        ) OR (
            SELECT count(*) < 1000 FROM pipeline.drift WHERE tenant = %(tenant)s AND family = %(family)s
        ) THEN given.what ELSE 'more_kinds' END AS what
    FROM unnest(%(what)s::text[], %(examples)s::text[]) AS given (what, example)
) seen
GROUP BY seen.what ORDER BY seen.what
ON CONFLICT (tenant, family, what) DO UPDATE SET times = known.times + 1, last_seen_at = clock_timestamp();

-- name: wait_briefly
-- For the rest of the transaction: a row that somebody holds is not worth a worker's time.
SELECT set_config('lock_timeout', '1s', true);

-- name: list_drift
SELECT what, family, tenant, first_seen_at, last_seen_at, times, example
FROM pipeline.drift
WHERE %(days)s::integer IS NULL OR last_seen_at >= now() - make_interval(days => %(days)s::integer)
ORDER BY last_seen_at DESC, what, family, tenant;

-- name: drift_totals
-- For metrics: labels that are few.
SELECT tenant, family, count(*)::integer AS kinds, sum(times)::float8 AS times,
    extract(epoch FROM max(first_seen_at))::float8 AS newest_kind_at
FROM pipeline.drift GROUP BY tenant, family ORDER BY tenant, family;
