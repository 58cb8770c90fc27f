-- name: count_spooled
-- Lines that receivers last said they keep in their spools, of which a dead receiver's may still be there.
SELECT coalesce(sum(spooled_rows), 0)::bigint AS rows, coalesce(sum(damaged_files), 0)::bigint AS damaged_files
FROM pipeline.pulses;
