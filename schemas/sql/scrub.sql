-- Utility statements: Postgres prepares none of them.

-- name: rewrite_tables
-- Deleted rows, and old versions of changed ones, are not in the new files.
VACUUM (FULL, ANALYZE) pipeline.callbacks, pipeline.workflows, pipeline.reports, pipeline.verdicts, pipeline.checks,
    pipeline.steps, pipeline.identities, pipeline.images, pipeline.image_blobs, pipeline.events, pipeline.deliveries,
    pipeline.holds, pipeline.relationship_ends, pipeline.deletions;

-- name: rewrite_statistics
-- The planner keeps common values of columns, and of old ones until this.
VACUUM (FULL) pg_catalog.pg_statistic;

-- name: switch_wal
SELECT pg_catalog.pg_switch_wal();

-- name: checkpoint
CHECKPOINT;
