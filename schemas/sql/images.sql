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
    last_error = NULL, media_type = %(media_type)s, flag = %(flag)s, bytes = %(bytes)s, sha256 = %(sha256)s
WHERE id = %(id)s AND state = 'wanted' AND attempts = %(attempt)s;

-- name: insert_blob
INSERT INTO pipeline.image_blobs (image_id, sealed) VALUES (%(id)s, %(sealed)s)
ON CONFLICT (image_id) DO UPDATE SET sealed = excluded.sealed;

-- name: get_blob
SELECT blob.sealed, image.sha256 FROM pipeline.image_blobs blob
JOIN pipeline.images image ON image.id = blob.image_id
WHERE blob.image_id = %(id)s;

-- name: count_images
SELECT count(*) FILTER (WHERE state = 'wanted')::integer AS waiting,
    count(*) FILTER (WHERE offered)::integer AS wanted, count(*) FILTER (WHERE state = 'stored')::integer AS stored
FROM pipeline.images
WHERE tenant = %(tenant)s AND family = %(family)s AND workflow_key = %(workflow_key)s;
