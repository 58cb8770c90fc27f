-- name: get_deletion
SELECT place, tenant, family, account_id, workflow_key FROM pipeline.deletions WHERE id = %(id)s AND state = 'wanted';

-- name: finish_deletion
-- What it was about is not needed any more.
UPDATE pipeline.deletions
SET state = 'done', finished_at = now(), answer = %(answer)s, account_id = NULL, workflow_key = NULL,
    leased_until = NULL, claimed_until = NULL, last_error = NULL
WHERE id = %(id)s AND state = 'wanted' AND attempts = %(attempt)s;

-- name: insert_deletion
-- Not before whoever has hold of something of it must have let go.
INSERT INTO pipeline.deletions (id, erasure_id, place, tenant, family, account_id, workflow_key, state, next_attempt_at)
VALUES (
    gen_random_uuid(), %(erasure_id)s, %(place)s, %(tenant)s, %(family)s, %(account_id)s, %(workflow_key)s, 'wanted',
    coalesce(%(not_before)s, clock_timestamp())
);

-- name: count_left
-- What is still to be done, what was given up for which reason (the word before the colon), and what Jumio knew nothing of.
SELECT place, state, CASE state WHEN 'parked' THEN split_part(last_error, ':', 1) END AS reason, count(*)::integer AS rows
FROM pipeline.deletions
WHERE erasure_id = %(erasure_id)s AND (state IN ('wanted', 'parked') OR answer = 'unknown')
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
