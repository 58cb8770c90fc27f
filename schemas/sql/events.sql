-- name: insert_event
-- In the feed it comes after the event before of its workflow, also where its own transaction began before that one's.
INSERT INTO pipeline.events (id, tenant, family, workflow_key, sequence, type, occurred_at, body, position)
VALUES (
    %(id)s, %(tenant)s, %(family)s, %(workflow_key)s, %(sequence)s, %(type)s, %(occurred_at)s, %(body)s,
    greatest(pg_current_xact_id(), (
        SELECT earlier.position FROM pipeline.events earlier
        WHERE earlier.tenant = %(tenant)s AND earlier.family = %(family)s AND earlier.workflow_key = %(workflow_key)s
        ORDER BY earlier.sequence DESC
        LIMIT 1
    ))
);
