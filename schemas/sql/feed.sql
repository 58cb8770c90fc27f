-- name: read_events
-- What comes after a cursor, and the horizon: below it nothing can be committed any more. Both of one snapshot.
-- Where there is a filter, no further than a bound: who asks for what is rare must get on, too, within a timeout.
SELECT horizon.position::text AS horizon, feed.epoch, bound.position::text AS bound_position,
    bound.sequence AS bound_sequence, bound.id AS bound_id, page.position::text AS position, page.sequence, page.id,
    page.body
FROM (SELECT pg_snapshot_xmin(pg_current_snapshot()) AS position) horizon
CROSS JOIN pipeline.feed
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
-- Events of transactions that are still to come are another cluster's: they get this one's, and old cursors end.
WITH stranded AS (
    UPDATE pipeline.events SET position = pg_current_xact_id()
    WHERE position >= pg_snapshot_xmax(pg_current_snapshot())
    RETURNING id
), epoch AS (
    UPDATE pipeline.feed SET epoch = epoch + 1 WHERE EXISTS (SELECT FROM stranded)
)
SELECT count(*)::integer AS events FROM stranded;

-- name: held_back
-- Since when events wait for a transaction that is still open.
SELECT count(*)::integer AS events,
    coalesce(extract(epoch FROM now() - min(occurred_at)), 0)::float8 AS seconds
FROM pipeline.events WHERE position >= pg_snapshot_xmin(pg_current_snapshot());
