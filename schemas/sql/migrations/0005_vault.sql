-- Images live in a store of the operator's choice, each where its row says; ciphertexts tell which key opens them.

-- Id of the key that sealed a value; of what was never sealed, anything. Reads only the beginning of a large value.
CREATE FUNCTION pipeline.key_id(sealed bytea) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN octet_length(sealed) > 2
        THEN encode(substring(sealed FROM 3 FOR get_byte(substring(sealed FROM 2 FOR 1), 0)), 'escape') ELSE '' END
$$;

ALTER TABLE pipeline.image_blobs
    ADD COLUMN key text,
    ADD COLUMN put_at timestamptz NOT NULL DEFAULT clock_timestamp();
UPDATE pipeline.image_blobs SET key = right(image_id::text, 2) || '/' || image_id || '.0.00000000';
ALTER TABLE pipeline.image_blobs DROP CONSTRAINT image_blobs_pkey;
ALTER TABLE pipeline.image_blobs ADD PRIMARY KEY (key);
-- All that is kept of one image; its end with the image's.
CREATE INDEX image_blobs_image ON pipeline.image_blobs (image_id);

ALTER TABLE pipeline.images
    -- Which store holds it (as IMAGES_URL said then), under which key, and the id of the encryption key.
    ADD COLUMN store text,
    ADD COLUMN blob_key text,
    ADD COLUMN key_id text;
UPDATE pipeline.images i
SET store = 'postgres:', blob_key = b.key, key_id = pipeline.key_id(b.sealed)
FROM pipeline.image_blobs b WHERE b.image_id = i.id AND i.state = 'stored';
ALTER TABLE pipeline.images
    ADD CHECK ((state = 'stored') = (blob_key IS NOT NULL)),
    ADD CHECK ((blob_key IS NULL) = (store IS NULL)),
    ADD CHECK ((blob_key IS NULL) = (key_id IS NULL));
-- From a blob in a store to its row.
CREATE UNIQUE INDEX images_blob ON pipeline.images (store, blob_key) WHERE blob_key IS NOT NULL;

-- The only way for an investigator to sealed images, in two calls as with compliance.reveal_identity.
CREATE FUNCTION compliance.open_images(
    tenant text, workflow_key text, reason text, credential_id text DEFAULT NULL, classifier text DEFAULT NULL
) RETURNS TABLE (
    image_id uuid, credential text, part text, media_type text, sha256 bytea, store text, blob_key text, sealed bytea,
    audit_number bigint, note text
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    wanted text[] := ARRAY['image.read', $1, $2, $3, $4, $5];
    request bigint := pipeline.committed_request(wanted);
    found uuid[] := ARRAY(
        SELECT i.id FROM pipeline.images i
        WHERE i.tenant = $1 AND i.workflow_key = $2 AND i.state = 'stored'
            AND i.credential_id = coalesce($4, i.credential_id) AND i.classifier = coalesce($5, i.classifier)
        ORDER BY i.credential_id, i.classifier
    );
BEGIN
    PERFORM pipeline.require_reason($3);
    audit_number := pipeline.append_audit('image.read', $1, NULL, $2, $3, jsonb_build_object(
        'step', CASE WHEN request IS NULL THEN 'asked' ELSE 'shown' END, 'asked_as', request, 'images', to_jsonb(found)
    ));
    IF request IS NULL THEN
        DELETE FROM pipeline.access_requests r WHERE r.made_at < clock_timestamp() - interval '15 minutes';
        INSERT INTO pipeline.access_requests (number, asked)
        VALUES (audit_number, pipeline.asked_digest(audit_number, wanted));
        note := pipeline.noted(audit_number);
        RETURN NEXT;
        RETURN;
    END IF;
    RETURN QUERY
    SELECT i.id, i.credential_id, i.classifier, i.media_type, i.sha256, i.store, i.blob_key, b.sealed, audit_number,
        NULL::text
    FROM pipeline.images i
    LEFT JOIN pipeline.image_blobs b ON i.store = 'postgres:' AND b.key = i.blob_key
    WHERE i.id = ANY (found) AND i.state = 'stored'
    ORDER BY i.credential_id, i.classifier;
END
$$;
COMMENT ON FUNCTION compliance.open_images IS
    'The sealed images of a workflow, for `jumio-pipeline images get`, which has the keys. Call it twice, as reveal_identity: the first call writes who, when, which and why into the audit trail and shows nothing. Who has no keys gets nothing that can be looked at.';
REVOKE ALL ON FUNCTION compliance.open_images, pipeline.key_id FROM PUBLIC;
GRANT EXECUTE ON FUNCTION compliance.open_images TO compliance_investigator;
-- keys status and keys rotate, images verify and images move.
GRANT EXECUTE ON FUNCTION pipeline.key_id TO jumio_admin;
GRANT INSERT ON pipeline.image_blobs TO jumio_admin;
-- A worker puts blobs, reads and changes none, and takes back its own where another attempt was faster.
REVOKE SELECT, UPDATE (sealed) ON pipeline.image_blobs FROM jumio_worker;
GRANT SELECT (key), DELETE ON pipeline.image_blobs TO jumio_worker;
-- From a workflow's id to its images, whatever the tenant.
CREATE INDEX images_workflow ON pipeline.images (workflow_key);
