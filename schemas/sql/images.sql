-- name: want_image
-- Once for each part; one that Jumio offers only later becomes wanted then.
INSERT INTO pipeline.images (
    id, tenant, family, workflow_key, account_id, credential_id, category, classifier, offered, state, finished_at,
    last_error
)
VALUES (
    %(id)s, %(tenant)s, %(family)s, %(workflow_key)s, %(account_id)s, %(credential_id)s, %(category)s,
    %(classifier)s, %(offered)s, CASE WHEN %(offered)s THEN 'wanted' ELSE 'missing' END,
    CASE WHEN %(offered)s THEN NULL ELSE now() END,
    CASE WHEN %(offered)s THEN NULL ELSE 'not_offered: Jumio gave no address for this part' END
)
ON CONFLICT (tenant, family, workflow_key, credential_id, classifier) DO UPDATE
SET offered = true, state = 'wanted', finished_at = NULL, last_error = NULL, forgiven = images.attempts, next_attempt_at = now()
WHERE images.state = 'missing' AND NOT images.offered AND excluded.offered;

-- name: get_image
SELECT tenant, family, workflow_key, account_id, credential_id, classifier, attempts - forgiven AS counted
FROM pipeline.images WHERE id = %(id)s;

-- name: store_image
UPDATE pipeline.images
SET state = 'stored', stored_at = now(), finished_at = now(), leased_until = NULL, claimed_until = NULL,
    last_error = NULL, media_type = %(media_type)s, flag = %(flag)s, bytes = %(bytes)s, sha256 = %(sha256)s,
    store = %(store)s, blob_key = %(blob_key)s, key_id = %(key_id)s
WHERE id = %(id)s AND state = 'wanted' AND attempts = %(attempt)s;

-- name: find_blob
-- Where an image is, and what it hashes to; no row where it is not stored.
SELECT store, blob_key, sha256 FROM pipeline.images WHERE id = %(id)s AND state = 'stored';

-- name: rehouse_image
-- Only if it is still where it was: who was slower leaves the row alone.
UPDATE pipeline.images SET store = %(store)s, blob_key = %(blob_key)s, key_id = %(key_id)s
WHERE id = %(id)s AND store = %(was_store)s AND blob_key = %(was_key)s;

-- name: page_stored
-- A page of the stored images, in order of their ids.
SELECT id, tenant, workflow_key, credential_id, classifier, store FROM pipeline.images
WHERE state = 'stored' AND id > %(after)s::uuid ORDER BY id LIMIT %(batch)s;

-- name: page_resealable
-- A page of those that another key sealed.
SELECT id, store FROM pipeline.images
WHERE state = 'stored' AND key_id <> %(key_id)s AND id > %(after)s::uuid ORDER BY id LIMIT %(batch)s;

-- name: page_movable
-- A page of those that another store holds.
SELECT id, store FROM pipeline.images
WHERE state = 'stored' AND store <> %(store)s AND id > %(after)s::uuid ORDER BY id LIMIT %(batch)s;

-- name: list_stores
SELECT store, count(*)::bigint AS images FROM pipeline.images WHERE store IS NOT NULL GROUP BY store ORDER BY store;

-- name: find_referenced
-- Of these keys, those that a row points at, in whichever store: one folder may be known by two paths.
SELECT blob_key FROM pipeline.images WHERE id = ANY(%(ids)s) AND blob_key = ANY(%(keys)s);

-- name: count_by_key
SELECT key_id, count(*)::bigint AS rows FROM pipeline.images WHERE state = 'stored' GROUP BY key_id;

-- name: open_images
-- Twice: the first call writes the audit trail, the second shows. For investigators; `sealed` is null in other stores.
SELECT image_id, credential, part, media_type, sha256, store, blob_key, sealed
FROM compliance.open_images(
    %(tenant)s::text, %(workflow_key)s::text, %(reason)s::text, %(credential_id)s::text, %(classifier)s::text
)
WHERE image_id IS NOT NULL;

-- name: list_wanted
-- What a workflow's images came to, from the view that investigators may read.
SELECT tenant, classifier, state FROM compliance.images
WHERE workflow_key = %(workflow_key)s AND tenant = coalesce(%(tenant)s, tenant)
    AND credential_id = coalesce(%(credential_id)s, credential_id)
    AND classifier = coalesce(%(classifier)s, classifier)
ORDER BY tenant, credential_id, classifier;

-- name: count_images
SELECT count(*) FILTER (WHERE state = 'wanted')::integer AS waiting,
    count(*) FILTER (WHERE offered)::integer AS wanted, count(*) FILTER (WHERE state = 'stored')::integer AS stored
FROM pipeline.images
WHERE tenant = %(tenant)s AND family = %(family)s AND workflow_key = %(workflow_key)s;
