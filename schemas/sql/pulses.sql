-- name: beat
-- A sign of life, at most one every few seconds; committed like everything else, so a receiver's proves a durable write.
INSERT INTO pipeline.pulses (process, role) VALUES (%(process)s, %(role)s)
ON CONFLICT (process) DO UPDATE SET beat_at = clock_timestamp(), role = excluded.role
WHERE pulses.beat_at < now() - interval '3 seconds';

-- name: beat_of_receiver
-- As beat, with what waits in its spool.
INSERT INTO pipeline.pulses (process, role, spooled_rows, spooled_since, damaged_files, spool_folder)
VALUES (%(process)b, 'receiver', %(rows)b, %(since)b, %(damaged)b, %(folder)b)
ON CONFLICT (process) DO UPDATE SET beat_at = clock_timestamp(), spooled_rows = excluded.spooled_rows,
    spooled_since = excluded.spooled_since, damaged_files = excluded.damaged_files,
    spool_folder = excluded.spool_folder
WHERE pulses.beat_at < now() - interval '3 seconds';

-- name: drop_silent
DELETE FROM pipeline.pulses WHERE beat_at < now() - interval '1 day';
