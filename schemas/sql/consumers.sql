-- name: insert_consumer
INSERT INTO pipeline.consumers (name, token_sha256, tenants)
VALUES (%(name)s, %(token_sha256)s, %(tenants)s::text[]);

-- name: list_consumers
SELECT name, tenants, created_at, last_used_at, revoked_at FROM pipeline.consumers ORDER BY created_at, name;

-- name: revoke_consumer
UPDATE pipeline.consumers SET revoked_at = now() WHERE name = %(name)s AND revoked_at IS NULL;

-- name: find_consumer
-- Whose token it is; and whether its use is to be noted, which once a minute is enough.
SELECT name, tenants, (last_used_at IS NULL OR last_used_at < now() - interval '1 minute') AS unnoted
FROM pipeline.consumers WHERE token_sha256 = %(token_sha256)s AND revoked_at IS NULL;

-- name: note_use
UPDATE pipeline.consumers SET last_used_at = now() WHERE name = %(name)s;

-- name: count_standing
-- How many would miss the feed.
SELECT count(*)::integer AS consumers FROM pipeline.consumers WHERE revoked_at IS NULL;
