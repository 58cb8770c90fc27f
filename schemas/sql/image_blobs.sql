-- name: put_blob
INSERT INTO pipeline.image_blobs (key, image_id, sealed) VALUES (%(key)s, %(image_id)s, %(sealed)b);

-- name: get_blob
SELECT sealed FROM pipeline.image_blobs WHERE key = %(key)s;

-- name: delete_blob
DELETE FROM pipeline.image_blobs WHERE key = %(key)s;

-- name: list_blobs
-- A page of them, in order of their keys.
SELECT key, put_at FROM pipeline.image_blobs WHERE key > %(after)s ORDER BY key LIMIT %(batch)s;

-- name: list_blobs_of_image
SELECT key, put_at FROM pipeline.image_blobs WHERE image_id = %(image_id)s ORDER BY key;
