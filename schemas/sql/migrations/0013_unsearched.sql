-- A certificate says what nobody could search.

-- Damaged spool lines, and files of them on other machines, in which nobody could look.
ALTER TABLE pipeline.erasures ADD COLUMN unsearched integer NOT NULL DEFAULT 0;

CREATE OR REPLACE VIEW compliance.erasures AS
SELECT e.id AS erasure_id, e.tenant, e.scope, e.reason, e.erased_by, e.erased_at, e.rows, t.subjects, t.late_callbacks,
    d.pending AS elsewhere_pending, d.done AS elsewhere_done, d.parked AS elsewhere_parked, e.unsearched
FROM pipeline.erasures e
CROSS JOIN LATERAL (
    SELECT count(*) AS subjects, coalesce(sum(hits), 0) AS late_callbacks
    FROM pipeline.tombstones WHERE erasure_id = e.id
) t
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE state = 'wanted') AS pending, count(*) FILTER (WHERE state = 'done') AS done,
        count(*) FILTER (WHERE state = 'parked') AS parked
    FROM pipeline.deletions WHERE erasure_id = e.id
) d;
COMMENT ON COLUMN compliance.erasures.unsearched IS 'Damaged spool lines, or files of them on other machines, that nobody could read and that were left: 0 where the erasure is complete.';
