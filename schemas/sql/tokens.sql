-- name: get_token
-- expires_at is when it stops being handed out, some minutes before Jumio stops taking it.
SELECT token_id, sealed_token FROM pipeline.tokens
WHERE tenant = %(tenant)s AND token_id IS NOT NULL AND expires_at > clock_timestamp();

-- name: claim_renewal
-- One worker renews: only where there is no good token and nobody is at it. What it returns is the claim.
INSERT INTO pipeline.tokens AS token (tenant, renewing_until)
VALUES (%(tenant)s, clock_timestamp() + %(seconds)s * interval '1 second')
ON CONFLICT (tenant) DO UPDATE SET renewing_until = clock_timestamp() + %(seconds)s * interval '1 second'
WHERE (token.renewing_until IS NULL OR token.renewing_until < clock_timestamp())
    AND (token.token_id IS NULL OR token.expires_at <= clock_timestamp())
RETURNING renewing_until;

-- name: keep_token
-- Only while the claim holds: who was away for longer must not overwrite a newer token.
UPDATE pipeline.tokens
SET token_id = %(token_id)s, sealed_token = %(sealed_token)s, renewing_until = NULL,
    expires_at = clock_timestamp() + %(seconds)s * interval '1 second'
WHERE tenant = %(tenant)s AND renewing_until = %(claim)s;

-- name: release_renewal
UPDATE pipeline.tokens SET renewing_until = NULL WHERE tenant = %(tenant)s AND renewing_until = %(claim)s;

-- name: drop_token
-- Only if it is still that one: of many workers that were refused with it, the first makes room for a new one.
UPDATE pipeline.tokens SET token_id = NULL, sealed_token = NULL, expires_at = NULL
WHERE tenant = %(tenant)s AND token_id = %(token_id)s;
