-- name: insert_callbacks
-- Many callbacks, one statement, one commit. A repeat of the same id is the same callback and changes nothing.
-- The arrays come packed in binary: dumping value by value was a tenth of the receiver's time.
INSERT INTO pipeline.callbacks (
    id, tenant, received_at, peer, client_address, source_evidence, bytes, sha256, sealed_body, sealed_head, state,
    last_error, finished_at
)
SELECT id, tenant, received_at, peer::inet, client_address::inet, source_evidence::jsonb, bytes, sha256, sealed_body,
    sealed_head, state, last_error, CASE WHEN state IN ('parked', 'refused') THEN received_at END
FROM unnest(
    %(id)b::uuid[], %(tenant)b::text[], %(received_at)b::timestamptz[], %(peer)b::text[], %(client_address)b::text[],
    %(source_evidence)b::text[], %(bytes)b::integer[], %(sha256)b::bytea[], %(sealed_body)b::bytea[],
    %(sealed_head)b::bytea[], %(state)b::text[], %(last_error)b::text[]
) AS arrived (
    id, tenant, received_at, peer, client_address, source_evidence, bytes, sha256, sealed_body, sealed_head, state,
    last_error
)
ON CONFLICT (id) DO NOTHING;

-- name: insert_callback
-- As insert_callbacks, for one that comes alone: without arrays it is half the work for both sides.
INSERT INTO pipeline.callbacks (
    id, tenant, received_at, peer, client_address, source_evidence, bytes, sha256, sealed_body, sealed_head, state,
    last_error, finished_at
)
VALUES (
    %(id)b, %(tenant)b, %(received_at)b::timestamptz, %(peer)b::text::inet, %(client_address)b::text::inet,
    %(source_evidence)b::text::jsonb, %(bytes)b, %(sha256)b, %(sealed_body)b, %(sealed_head)b, %(state)b::text,
    %(last_error)b, CASE WHEN %(state)b::text IN ('parked', 'refused') THEN %(received_at)b::timestamptz END
)
ON CONFLICT (id) DO NOTHING;

-- name: wake_relay
-- A hint that work is due; the relay polls besides.
SELECT pg_notify('pipeline_due', '');

-- name: get_callback
SELECT tenant, sealed_body, sha256, received_at FROM pipeline.callbacks WHERE id = %(id)s;

-- name: describe_callback
-- What the worker read in it.
UPDATE pipeline.callbacks
SET family = %(family)s, workflow_key = %(workflow_key)s, account_id = %(account_id)s, status = %(status)s,
    sent_at = %(sent_at)s
WHERE id = %(id)s;

-- name: is_finished_repeat
-- The same notification, byte for byte, whose work is done.
SELECT EXISTS (
    SELECT FROM pipeline.callbacks earlier
    WHERE earlier.tenant = %(tenant)s AND earlier.workflow_key = %(workflow_key)s AND earlier.family = %(family)s
        AND earlier.status = %(status)s AND earlier.sha256 = %(sha256)s AND earlier.state = 'done'
        AND earlier.id <> %(id)s
);

-- name: is_outdated
-- Whether Jumio sent a later word on the same transaction, and that one is done.
SELECT EXISTS (
    SELECT FROM pipeline.callbacks this
    JOIN pipeline.callbacks later ON later.tenant = this.tenant AND later.workflow_key = this.workflow_key
        AND later.family = this.family AND later.state = 'done' AND later.sent_at > this.sent_at
    WHERE this.id = %(id)s
);

-- name: set_aside
-- How full the room for strangers is.
SELECT state, count(*)::integer AS rows, coalesce(sum(bytes), 0)::bigint AS bytes
FROM pipeline.callbacks WHERE state IN ('refused', 'unverified') GROUP BY state;

-- name: judge_unverified
-- What arrived before the first DNS answer, judged by the answers there are now. Known addresses at once, also where they
-- became known after a stranger was refused: it was told 200. Strangers only when every name has answered since, because
-- the one that is late may be theirs, or after a day. For IPv6 the answer must be later: names without AAAA tell nothing.
WITH known AS (
    SELECT DISTINCT ON (address) address, name FROM pipeline.source_addresses
    WHERE name = ANY(%(hosts)s) AND last_seen_at > now() - interval '7 days'
        AND (left_at IS NULL OR left_at > now() - interval '24 hours')
    ORDER BY address, last_seen_at DESC
), heard AS (
    SELECT min(coalesce(seen.by_four, '-infinity')) AS by_four, min(coalesce(seen.by_any, '-infinity')) AS by_any
    FROM unnest(%(hosts)s::text[]) AS host
    LEFT JOIN LATERAL (
        SELECT max(last_seen_at) FILTER (WHERE family(address) = 4) AS by_four, max(last_seen_at) AS by_any
        FROM pipeline.source_addresses WHERE name = host
    ) seen ON true
), judged AS (
    SELECT kept.id, known.name, word.admitted,
        CASE kept.state WHEN 'unverified' THEN kept.last_error ELSE kept.source_evidence ->> 'kept_as' END AS kept_as
    FROM pipeline.callbacks kept
    CROSS JOIN heard
    LEFT JOIN known ON known.address = kept.client_address
    CROSS JOIN LATERAL (
        SELECT known.name IS NOT NULL OR kept.client_address <<= ANY(%(extra)s::inet[])
                OR (kept.state = 'unverified' AND %(observe)s) AS admitted,
            kept.received_at < now() - interval '1 day' OR CASE family(kept.client_address)
                WHEN 4 THEN kept.received_at < heard.by_four ELSE kept.received_at < heard.by_any - interval '1 hour'
            END AS heard_out
    ) word
    WHERE EXISTS (SELECT FROM known) AND (
        kept.state = 'unverified' AND (word.admitted OR word.heard_out)
        OR %(again)s AND kept.state = 'refused' AND kept.source_evidence @> '{"rule": "unverified"}' AND word.admitted
    )
    -- Only what is judged now: others may wait for a day, and are looked at every other second.
    FOR UPDATE OF kept SKIP LOCKED
)
UPDATE pipeline.callbacks
SET state = CASE WHEN NOT judged.admitted THEN 'refused' WHEN judged.kept_as IS NULL THEN 'stored' ELSE 'parked' END,
    finished_at = CASE WHEN judged.admitted AND judged.kept_as IS NULL THEN NULL ELSE now() END,
    next_attempt_at = now(),
    last_error = CASE
        WHEN judged.admitted THEN judged.kept_as ELSE 'source: not an address of Jumio''s, by DNS answers since'
    END,
    source_evidence = callbacks.source_evidence || jsonb_strip_nulls(
        jsonb_build_object('judged_at', now(), 'name', judged.name, 'kept_as', judged.kept_as)
    )
FROM judged
WHERE callbacks.id = judged.id
RETURNING callbacks.id, judged.admitted;

-- name: drop_old_refused
-- What strangers sent is kept for a while only.
DELETE FROM pipeline.callbacks
WHERE state = 'refused' AND received_at < now() - %(seconds)s * interval '1 second';

-- name: requeue_refused
-- An operator vouches for the source.
UPDATE pipeline.callbacks
SET state = 'stored', forgiven = attempts, next_attempt_at = now(), finished_at = NULL, last_error = NULL,
    requeued_at = now(), source_evidence = source_evidence || jsonb_build_object('vouched_at', now())
WHERE state = 'refused' AND (%(address)s::inet IS NULL OR client_address = %(address)s)
    AND (%(id)s::uuid IS NULL OR id = %(id)s)
RETURNING id;
