-- Filters remember who was told for as long as there is a verdict; what is under way is counted as it is now; the feed
-- knows which cluster its numbers are of.

-- One word on filters for new events and for replays. An outcome that is wanted brings all that follows in its workflow:
-- who was told `passed` must be told that it no longer is. Events may be gone by then (retention), verdicts stay longer.
CREATE OR REPLACE FUNCTION pipeline.wants(subscription pipeline.subscriptions, event pipeline.events) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT subscription.removed_at IS NULL
        AND (subscription.types IS NULL OR event.type = ANY(subscription.types))
        AND (subscription.tenants IS NULL OR event.tenant = ANY(subscription.tenants))
        AND (subscription.families IS NULL OR event.family = ANY(subscription.families))
        AND (subscription.outcomes IS NULL OR EXISTS (
            SELECT FROM pipeline.events told
            WHERE (told.tenant, told.family, told.workflow_key) = (event.tenant, event.family, event.workflow_key)
                AND told.sequence <= event.sequence
                AND told.body::json #>> '{data,outcome}' = ANY(subscription.outcomes)
        ) OR EXISTS (
            SELECT FROM pipeline.verdicts concluded
            WHERE (concluded.tenant, concluded.family, concluded.workflow_key)
                    = (event.tenant, event.family, event.workflow_key)
                -- Its own event carries a later time; of one that is replayed, later verdicts say nothing.
                AND concluded.recorded_at <= event.occurred_at
                AND concluded.outcome = ANY(subscription.outcomes)
        ))
$$;

-- How much of a target is under way. Volatile, so that it sees what was committed since the statement that asks began:
-- another relay's lease, for one.
CREATE FUNCTION pipeline.under_way(target text) RETURNS bigint
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT count(*) FROM pipeline.deliveries busy
    WHERE busy.target = under_way.target AND busy.state = 'pending'
        AND (busy.leased_until IS NOT NULL OR busy.claimed_until IS NOT NULL)
        AND (busy.leased_until > now() OR busy.claimed_until > now())
$$;

-- Whose turn it is: a lock of a row, because one of a number (an advisory lock) may be taken, and kept, by any login.
CREATE TABLE pipeline.turns (work text PRIMARY KEY);
INSERT INTO pipeline.turns (work) VALUES ('deliveries');

-- Which cluster this is, and which of its timelines: another one after a failover, a restore or a move. Empty where the
-- server does not say.
CREATE FUNCTION pipeline.cluster() RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT system_identifier FROM pg_control_system()) || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8);
EXCEPTION
    WHEN OTHERS THEN RETURN '';
END
$$;

-- Whose numbers the events' positions are; empty until a feed has looked.
ALTER TABLE pipeline.feed ADD COLUMN cluster text;

REVOKE ALL ON FUNCTION pipeline.under_way, pipeline.cluster FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pipeline.under_way TO jumio_relay;
GRANT SELECT, UPDATE (work) ON pipeline.turns TO jumio_relay;
GRANT EXECUTE ON FUNCTION pipeline.cluster TO jumio_feed;
GRANT UPDATE (cluster) ON pipeline.feed TO jumio_feed;
