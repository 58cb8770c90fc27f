-- name: read_events
-- What comes after a cursor, and the horizon: below it nothing can be committed any more. Both of one snapshot.
-- Where there is a filter, no further than a bound: who asks for what is rare must get on, too, within a timeout. `last` is
-- the last event below the horizon; a number alone is none to go on from: after a crash Postgres gives it out again, if
-- nothing of its transaction was flushed. `known`: the cursor is of this epoch, or its event is here.
SELECT horizon.position::text AS horizon, feed.epoch, bound.position::text AS bound_position,
    bound.sequence AS bound_sequence, bound.id AS bound_id, last.position::text AS last_position,
    last.sequence AS last_sequence, last.id AS last_id, page.position::text AS position, page.sequence, page.id, page.body,
    cluster.here NOT IN ('', coalesce(feed.cluster, '')) AS moved,
    feed.epoch = %(epoch)s::bigint OR EXISTS (
        SELECT FROM pipeline.events event
        WHERE event.position = %(position)s::text::xid8 AND event.sequence = %(sequence)s::integer AND event.id = %(id)s::uuid
    ) AS known
FROM (SELECT pg_snapshot_xmin(pg_current_snapshot()) AS position) horizon
CROSS JOIN pipeline.feed
-- Asked once, and not for each event.
CROSS JOIN (SELECT pipeline.cluster() AS here OFFSET 0) cluster
LEFT JOIN LATERAL (
    SELECT event.position, event.sequence, event.id FROM pipeline.events event
    WHERE event.position < horizon.position
    ORDER BY event.position DESC, event.sequence DESC, event.id DESC
    LIMIT 1
) last ON true
LEFT JOIN LATERAL (
    SELECT event.position, event.sequence, event.id
    FROM pipeline.events event
    WHERE %(filtered)s::boolean AND event.position < horizon.position
        AND (event.position, event.sequence, event.id) > (%(position)s::text::xid8, %(sequence)s::integer, %(id)s::uuid)
    ORDER BY event.position, event.sequence, event.id
    OFFSET %(scan)s LIMIT 1
) bound ON true
LEFT JOIN LATERAL (
    SELECT event.position, event.sequence, event.id, event.body
    FROM pipeline.events event
    WHERE event.position < horizon.position
        AND (event.position, event.sequence, event.id) > (%(position)s::text::xid8, %(sequence)s::integer, %(id)s::uuid)
        AND (event.position, event.sequence, event.id) <= (
            coalesce(bound.position, horizon.position), coalesce(bound.sequence, 2147483647),
            coalesce(bound.id, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
        )
        AND (%(types)s::text[] IS NULL OR event.type = ANY(%(types)s::text[]))
        AND (%(tenants)s::text[] IS NULL OR event.tenant = ANY(%(tenants)s::text[]))
    ORDER BY event.position, event.sequence, event.id
    LIMIT %(limit)s
) page ON true;

-- name: latest
-- The last event that may be read: who waits looks when it is another one.
SELECT event.id FROM pipeline.events event
WHERE event.position < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY event.position DESC, event.sequence DESC, event.id DESC
LIMIT 1;

-- name: begin_epoch
-- Numbers of transactions are a cluster's own, and a timeline's. On another one than before, cursors end but for those whose
-- event is here. Events of transactions that are still to come get this one's number. The first look only notes where it is.
WITH was AS MATERIALIZED (
    SELECT epoch, pipeline.cluster() AS here FROM pipeline.feed
), stranded AS (
    UPDATE pipeline.events SET position = pg_current_xact_id()
    WHERE position >= pg_snapshot_xmax(pg_current_snapshot())
    RETURNING id
), moved AS (
    UPDATE pipeline.feed
    SET cluster = coalesce(nullif(was.here, ''), cluster),
        -- A minute of the clock: a second recovery from one backup must not count to where the first one did.
        epoch = CASE WHEN cluster IS NULL AND NOT EXISTS (SELECT FROM stranded) THEN feed.epoch
            ELSE greatest(feed.epoch + 1, (extract(epoch FROM now()) / 60)::integer) END
    FROM was
    WHERE EXISTS (SELECT FROM stranded) OR was.here NOT IN ('', coalesce(feed.cluster, ''))
    RETURNING feed.epoch
)
SELECT count(stranded.id)::integer AS events, coalesce(max(moved.epoch), was.epoch) > was.epoch AS begun
FROM was LEFT JOIN stranded ON true LEFT JOIN moved ON true
GROUP BY was.epoch;

-- name: held_back
-- Since when events wait for a transaction that is still open.
SELECT count(*)::integer AS events,
    coalesce(extract(epoch FROM now() - min(occurred_at)), 0)::float8 AS seconds
FROM pipeline.events WHERE position >= pg_snapshot_xmin(pg_current_snapshot());
