-- name: insert_subscription
INSERT INTO pipeline.subscriptions (id, url, types, sealed_secret, enrich)
VALUES (%(id)s, %(url)s, %(types)s::text[], %(sealed_secret)s, %(enrich)s::text[]);

-- name: list_subscriptions
-- Those that stand, with what was sent and what waits.
SELECT subscription.id, subscription.url, subscription.types, subscription.enrich, subscription.created_at,
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
SELECT id FROM pipeline.subscriptions
WHERE removed_at IS NULL AND (id::text = %(id_or_url)s OR url = %(url)s);

-- name: remove_subscription
UPDATE pipeline.subscriptions SET removed_at = now() WHERE id = %(id)s AND removed_at IS NULL;
