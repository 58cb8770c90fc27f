-- A receiver tells how much waits in its spool.

ALTER TABLE pipeline.pulses
    -- What a receiver's spool holds: null where it has none.
    ADD COLUMN spooled_rows integer,
    ADD COLUMN spooled_since timestamptz,
    ADD COLUMN damaged_files integer;
