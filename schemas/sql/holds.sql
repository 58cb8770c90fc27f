-- name: lock_holds
-- After every deletion that is under way, before every later one; see keep_holds_still. A lock that needs
-- rights to the table.
LOCK TABLE pipeline.holds IN SHARE ROW EXCLUSIVE MODE;

-- name: place_hold
INSERT INTO pipeline.holds (id, tenant, kind, subject, reason)
VALUES (%(id)s, %(tenant)s, %(kind)s, %(subject)s, %(reason)s)
ON CONFLICT (tenant, kind, subject) WHERE released_at IS NULL DO NOTHING;

-- name: release_hold
UPDATE pipeline.holds SET released_at = now()
WHERE tenant = %(tenant)s AND kind = %(kind)s AND subject = %(subject)s AND released_at IS NULL
RETURNING id;

-- name: list_holds
SELECT hold.tenant, hold.kind, hold.subject, hold.reason, hold.placed_by, hold.placed_at,
    (
        SELECT count(*)::integer FROM pipeline.workflows workflow
        WHERE workflow.tenant = hold.tenant AND (
            hold.kind = 'workflow' AND workflow.workflow_key = hold.subject
            OR hold.kind = 'account' AND workflow.account_id = hold.subject
            OR hold.kind = 'user-reference' AND workflow.user_reference = hold.subject
        )
    ) AS workflows
FROM pipeline.holds hold WHERE hold.released_at IS NULL
ORDER BY hold.placed_at, hold.id;
