-- The feed gives signs of life like the others, and says how long events wait behind an open transaction.
ALTER TABLE pipeline.pulses DROP CONSTRAINT pulses_role_check, ADD CONSTRAINT pulses_role_check
    CHECK (role IN ('receiver', 'relay', 'worker', 'feed'));
GRANT SELECT, INSERT, UPDATE ON pipeline.pulses TO jumio_feed;
GRANT SELECT (occurred_at) ON pipeline.events TO jumio_feed;
