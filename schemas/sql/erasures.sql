-- name: is_erased
SELECT pipeline.is_erased(%(tenant)s::text, %(workflow_key)s::text, %(account_id)s::text) AS erased;

-- name: drop_erased
SELECT pipeline.drop_erased(
    %(callback_id)s::uuid, %(tenant)s::text, %(workflow_key)s::text, %(account_id)s::text
) AS dropped;

-- name: find_erasure
-- The erasure that a subject has had already.
SELECT erasure.id, erasure.erased_at FROM pipeline.tombstones tombstone
JOIN pipeline.erasures erasure ON erasure.id = tombstone.erasure_id
WHERE tombstone.digest = pipeline.tombstone(%(kind)s::text, %(tenant)s::text, %(subject)s::text);

-- name: keep_holds_still
-- No hold is placed between the question whether there is one and the deletion; see place_hold.
LOCK TABLE pipeline.holds IN ROW EXCLUSIVE MODE;

-- name: lock_subject
-- Whoever writes the subject's first row waits, see pipeline.refuse_erased.
SELECT pg_advisory_xact_lock(
    hashtextextended(encode(pipeline.tombstone(%(kind)s::text, %(tenant)s::text, %(subject)s::text), 'hex'), 0)
);

-- name: find_accounts
-- Of a reference: those of its workflows, and those that waiting callbacks claim, unless a workflow there has another.
SELECT account_id FROM pipeline.workflows
WHERE tenant = %(tenant)s AND user_reference = %(subject)s AND account_id <> ''
UNION
SELECT claimed.account_id FROM unnest(%(claimed)s::text[]) AS claimed (account_id)
WHERE claimed.account_id <> '' AND NOT EXISTS (
    SELECT FROM pipeline.workflows other
    WHERE other.tenant = %(tenant)s AND other.account_id = claimed.account_id AND other.user_reference <> %(subject)s
)
ORDER BY account_id;

-- name: find_workflows
-- By key, account or reference, each from its index; also those of which there is no more than a callback, and those
-- that waiting callbacks claim for the reference, unless a verdict has come to another.
SELECT family, workflow_key, max(account_id) AS account_id, max(user_reference) AS user_reference,
    bool_or(recorded) AS recorded
FROM (
    SELECT family, workflow_key, account_id, user_reference, true AS recorded FROM pipeline.workflows
    WHERE tenant = %(tenant)s AND workflow_key = %(workflow_key)s::text
    UNION ALL
    SELECT family, workflow_key, account_id, user_reference, true FROM pipeline.workflows
    WHERE tenant = %(tenant)s AND account_id = ANY(%(accounts)s::text[])
    UNION ALL
    SELECT family, workflow_key, account_id, user_reference, true FROM pipeline.workflows
    WHERE tenant = %(tenant)s AND user_reference = %(user_reference)s::text
    UNION ALL
    SELECT family, workflow_key, coalesce(account_id, ''), NULL, false FROM pipeline.callbacks
    WHERE tenant = %(tenant)s AND workflow_key = %(workflow_key)s::text
    UNION ALL
    -- The one that reads the whole table, once for each person.
    SELECT family, workflow_key, coalesce(account_id, ''), NULL, false FROM pipeline.callbacks
    WHERE tenant = %(tenant)s AND workflow_key IS NOT NULL AND account_id = ANY(%(accounts)s::text[])
        AND cardinality(%(accounts)s::text[]) > 0
    UNION ALL
    SELECT claimed.family, claimed.workflow_key, claimed.account_id, %(user_reference)s::text,
        workflow.workflow_key IS NOT NULL
    FROM unnest(%(claimed_families)s::text[], %(claimed_keys)s::text[], %(claimed_accounts)s::text[])
        AS claimed (family, workflow_key, account_id)
    LEFT JOIN pipeline.workflows workflow ON (workflow.tenant, workflow.family, workflow.workflow_key)
        = (%(tenant)s, claimed.family, claimed.workflow_key)
    WHERE workflow.user_reference IS NULL OR workflow.user_reference = %(user_reference)s::text
) found
GROUP BY family, workflow_key ORDER BY workflow_key, family;

-- name: wait_a_minute
-- For each lock of this transaction: whoever keeps one longer is told of, and not waited for while others wait behind.
SELECT set_config('lock_timeout', '60s', true);

-- name: is_held
SELECT pipeline.is_held(%(tenant)s::text, %(workflow_key)s::text, %(account_id)s::text, %(user_reference)s::text) AS held;

-- name: names_person
SELECT pipeline.names_person(%(tenant)s::text, %(family)s::text, %(workflow_key)s::text, %(reason)s::text) AS told;

-- name: workflows_of
-- Those of a subject that are recorded.
SELECT family, workflow_key FROM pipeline.workflows
WHERE tenant = %(tenant)s AND (
    %(kind)s::text = 'workflow' AND workflow_key = %(subject)s
    OR %(kind)s::text = 'account' AND account_id = %(subject)s
    OR %(kind)s::text = 'user-reference' AND user_reference = %(subject)s
);

-- name: heard_at
-- Where word of a workflow went, besides subscribers.
SELECT DISTINCT destination FROM pipeline.deliveries
WHERE (tenant, family, workflow_key) = (%(tenant)s, %(family)s, %(workflow_key)s) AND subscription_id IS NULL;

-- name: delete_callback
DELETE FROM pipeline.callbacks WHERE id = %(id)s;

-- name: unsettled_callbacks
-- Bodies of which nobody knows yet, or ever, whom they are about; on demand also of those whose workflow has no
-- reference yet. Believed is what came from Jumio, for all that is known.
SELECT id, workflow_key, account_id, workflow_key IS NULL AS unread, sealed_body,
    state IN ('stored', 'parked', 'done') AND source_evidence ->> 'rule' IS DISTINCT FROM 'observe'
        AND coalesce(last_error, '') NOT LIKE 'mismatch%%' AS believed
FROM pipeline.callbacks callback
WHERE tenant = %(tenant)s AND octet_length(sealed_body) > 0
    AND (workflow_key IS NULL OR %(described)s AND NOT EXISTS (
        SELECT FROM pipeline.workflows workflow
        WHERE (workflow.tenant, workflow.family, workflow.workflow_key)
            = (callback.tenant, callback.family, callback.workflow_key) AND workflow.user_reference IS NOT NULL
    ));

-- name: hold_images
-- A worker that stores one waits, and then finds nothing to store.
SELECT id, store FROM pipeline.images
WHERE (tenant, family, workflow_key) = (%(tenant)s, %(family)s, %(workflow_key)s) ORDER BY id FOR UPDATE;

-- name: delete_image_blobs
DELETE FROM pipeline.image_blobs WHERE image_id = ANY(%(ids)s);

-- name: delete_images
DELETE FROM pipeline.images
WHERE (tenant, family, workflow_key) = (%(tenant)s, %(family)s, %(workflow_key)s);

-- name: delete_deliveries
-- And until when a worker may be sending it still.
DELETE FROM pipeline.deliveries
WHERE event_id IN (
    SELECT id FROM pipeline.events
    WHERE (tenant, family, workflow_key) = (%(tenant)s, %(family)s, %(workflow_key)s)
        AND type <> 'kyc.subject.erased.v1'
)
RETURNING CASE WHEN state = 'pending' THEN claimed_until END AS busy_until;

-- name: delete_events
-- All but the one that tells of the erasure.
DELETE FROM pipeline.events
WHERE (tenant, family, workflow_key) = (%(tenant)s, %(family)s, %(workflow_key)s)
    AND type <> 'kyc.subject.erased.v1';

-- name: delete_verdicts
DELETE FROM pipeline.verdicts
WHERE (tenant, family, workflow_key) = (%(tenant)s, %(family)s, %(workflow_key)s);

-- name: delete_identities
DELETE FROM pipeline.identities WHERE report_id IN (
    SELECT id FROM pipeline.reports
    WHERE (tenant, family, workflow_key) = (%(tenant)s, %(family)s, %(workflow_key)s)
);

-- name: delete_checks
DELETE FROM pipeline.checks WHERE report_id IN (
    SELECT id FROM pipeline.reports
    WHERE (tenant, family, workflow_key) = (%(tenant)s, %(family)s, %(workflow_key)s)
);

-- name: delete_steps
DELETE FROM pipeline.steps WHERE report_id IN (
    SELECT id FROM pipeline.reports
    WHERE (tenant, family, workflow_key) = (%(tenant)s, %(family)s, %(workflow_key)s)
);

-- name: delete_reports
DELETE FROM pipeline.reports
WHERE (tenant, family, workflow_key) = (%(tenant)s, %(family)s, %(workflow_key)s);

-- name: delete_callbacks
DELETE FROM pipeline.callbacks
WHERE (tenant, family, workflow_key) = (%(tenant)s, %(family)s, %(workflow_key)s);

-- name: delete_workflows
DELETE FROM pipeline.workflows
WHERE (tenant, family, workflow_key) = (%(tenant)s, %(family)s, %(workflow_key)s)
RETURNING account_id, user_reference;

-- name: delete_words_of
-- What we were told about a subject of which there is no workflow any more.
DELETE FROM pipeline.relationship_ends
WHERE tenant = %(tenant)s AND kind = %(kind)s AND subject = %(subject)s AND NOT EXISTS (
    SELECT FROM pipeline.workflows workflow WHERE workflow.tenant = %(tenant)s AND (
        %(kind)s = 'workflow' AND workflow.workflow_key = %(subject)s
        OR %(kind)s = 'account' AND workflow.account_id = %(subject)s
        OR %(kind)s = 'user-reference' AND workflow.user_reference = %(subject)s
    )
);

-- name: delete_released_holds
-- As delete_words_of; holds that stand are not touched, and have refused an erasure.
DELETE FROM pipeline.holds
WHERE tenant = %(tenant)s AND kind = %(kind)s AND subject = %(subject)s AND released_at IS NOT NULL AND NOT EXISTS (
    SELECT FROM pipeline.workflows workflow WHERE workflow.tenant = %(tenant)s AND (
        %(kind)s = 'workflow' AND workflow.workflow_key = %(subject)s
        OR %(kind)s = 'account' AND workflow.account_id = %(subject)s
        OR %(kind)s = 'user-reference' AND workflow.user_reference = %(subject)s
    )
);

-- name: insert_erasure
INSERT INTO pipeline.erasures (id, tenant, scope, reason, rows, unsearched)
VALUES (%(id)s, %(tenant)s, %(scope)s, %(reason)s, %(rows)s, %(unsearched)s);

-- name: insert_tombstone
INSERT INTO pipeline.tombstones (digest, erasure_id)
VALUES (pipeline.tombstone(%(kind)s::text, %(tenant)s::text, %(subject)s::text), %(erasure_id)s)
ON CONFLICT (digest) DO NOTHING;

-- name: delay_deliveries
-- Word of an erasure does not overtake what is being sent.
UPDATE pipeline.deliveries SET next_attempt_at = %(not_before)s
WHERE (tenant, family, workflow_key) = (%(tenant)s, %(family)s, %(workflow_key)s);

-- name: count_spooled
-- What receivers hold in their spools, by their own word of the last two minutes.
SELECT coalesce(sum(spooled_rows), 0)::integer AS waiting
FROM pipeline.pulses WHERE role = 'receiver' AND beat_at > now() - interval '2 minutes';

-- name: damaged_by_folder
-- Files that were set aside, by the last word on each folder, also of a receiver that is dead by now. One whose folder
-- could not be named is told by its host.
SELECT folder, files FROM (
    SELECT DISTINCT ON (1) coalesce(spool_folder, split_part(process, '/', 2)) AS folder, damaged_files AS files
    FROM pipeline.pulses WHERE damaged_files IS NOT NULL ORDER BY 1, beat_at DESC
) AS told
WHERE files > 0;
