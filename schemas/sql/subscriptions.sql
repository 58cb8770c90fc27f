-- name: insert_subscription
INSERT INTO pipeline.subscriptions (id, url, types, outcomes, tenants, families, sealed_secret, enrich)
VALUES (%(id)s, %(url)s, %(types)s::text[], %(outcomes)s::text[], %(tenants)s::text[], %(families)s::text[],
    %(sealed_secret)s, %(enrich)s::text[]);

-- name: list_subscriptions
-- Those that stand, with what was sent and what waits, and why.
SELECT subscription.id, subscription.url, subscription.types, subscription.outcomes, subscription.enrich,
    subscription.tenants, subscription.families, subscription.created_at, subscription.paused_at, subscription.failures,
    subscription.failing_since, subscription.last_failure, subscription.probe_at,
    (
        SELECT max(retired.expires_at) FROM pipeline.retired_secrets retired
        WHERE retired.subscription_id = subscription.id AND retired.expires_at > now()
    ) AS rotated_until,
    count(*) FILTER (WHERE delivery.state = 'pending')::integer AS pending,
    count(*) FILTER (WHERE delivery.state = 'parked')::integer AS parked,
    count(*) FILTER (WHERE delivery.state = 'delivered')::integer AS delivered
FROM pipeline.subscriptions subscription
LEFT JOIN pipeline.deliveries delivery ON delivery.subscription_id = subscription.id
WHERE subscription.removed_at IS NULL
GROUP BY subscription.id
ORDER BY subscription.created_at, subscription.id;

-- name: find_subscription
-- By its id or its URL, among those that stand.
SELECT id, url, sealed_secret FROM pipeline.subscriptions
WHERE removed_at IS NULL AND (id::text = %(id_or_url)s OR url = %(url)s);

-- name: remove_subscription
UPDATE pipeline.subscriptions SET removed_at = now() WHERE id = %(id)s AND removed_at IS NULL;

-- name: pause_subscription
UPDATE pipeline.subscriptions SET paused_at = now() WHERE id = %(id)s AND removed_at IS NULL AND paused_at IS NULL;

-- name: resume_subscription
-- Whatever held it: an operator or its breaker.
UPDATE pipeline.subscriptions
SET paused_at = NULL, failures = 0, failing_since = NULL, last_failure = NULL, probe_at = NULL
WHERE id = %(id)s AND removed_at IS NULL;

-- name: replace_secret
-- Only from the secret that the caller retired: of two rotations at once, one starts anew.
UPDATE pipeline.subscriptions SET sealed_secret = %(sealed_secret)s
WHERE id = %(id)s AND removed_at IS NULL AND sealed_secret = %(was)s;

-- name: insert_retired_secret
INSERT INTO pipeline.retired_secrets (id, subscription_id, sealed_secret, expires_at)
VALUES (%(id)s, %(subscription_id)s, %(sealed_secret)s, now() + %(seconds)s * interval '1 second');

-- name: shorten_retired_secrets
-- Whoever wants the old one to end, because it is known to others, wants those before it to end as well.
UPDATE pipeline.retired_secrets SET expires_at = now() + %(seconds)s * interval '1 second'
WHERE subscription_id = %(subscription_id)s AND expires_at > now() + %(seconds)s * interval '1 second';

-- name: get_retired_secrets
-- Those that still sign, the latest first.
SELECT id, sealed_secret FROM pipeline.retired_secrets
WHERE subscription_id = %(id)s AND expires_at > now() ORDER BY expires_at DESC;

-- name: drop_expired_secrets
DELETE FROM pipeline.retired_secrets WHERE expires_at <= now();

-- name: note_failure
-- Counts it; from so many in a row, or where the subscriber said when to come back, nothing is sent until then.
UPDATE pipeline.subscriptions
SET failures = failures + 1, failing_since = coalesce(failing_since, now()), last_failure = %(failure)s,
    probe_at = greatest(
        probe_at,
        CASE WHEN failures + 1 >= %(storm)s THEN now() + %(probe)s * interval '1 second' END,
        now() + %(retry_after)s::float8 * interval '1 second'
    )
WHERE id = %(id)s AND removed_at IS NULL
RETURNING failures;

-- name: note_success
-- The count starts anew; what it was, where there was one.
WITH failing AS (
    SELECT id, failures, failing_since FROM pipeline.subscriptions WHERE id = %(id)s AND failures > 0 FOR UPDATE
)
UPDATE pipeline.subscriptions subscription
SET failures = 0, failing_since = NULL, last_failure = NULL, probe_at = NULL
FROM failing WHERE subscription.id = failing.id
RETURNING failing.failures, extract(epoch FROM now() - failing.failing_since)::float8 AS seconds;

-- name: held_subscriptions
-- For `status`: those to whom nothing is sent, why, and what waits.
SELECT subscription.id, subscription.url, subscription.paused_at, subscription.failures, subscription.failing_since,
    subscription.last_failure,
    greatest(extract(epoch FROM subscription.probe_at - now()), 0)::float8 AS probe_seconds,
    (
        SELECT count(*) FROM pipeline.deliveries delivery
        WHERE delivery.target = subscription.id::text AND delivery.state = 'pending'
    )::integer AS waiting
FROM pipeline.subscriptions subscription
WHERE subscription.removed_at IS NULL
    AND (
        subscription.paused_at IS NOT NULL OR subscription.failures >= %(storm)s OR subscription.probe_at > now()
    )
ORDER BY subscription.created_at, subscription.id;
