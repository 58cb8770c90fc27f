-- Subscribers: filters, rotation of secrets, a breaker each; deliveries leased target by target; one more destination.

ALTER TABLE pipeline.subscriptions
    ADD COLUMN outcomes text[],
    ADD COLUMN tenants text[],
    ADD COLUMN families text[],
    -- By an operator.
    ADD COLUMN paused_at timestamptz,
    -- The breaker: failures in a row, since when, the latest, and until when nothing is sent but one probe.
    ADD COLUMN failures integer NOT NULL DEFAULT 0,
    ADD COLUMN failing_since timestamptz,
    ADD COLUMN last_failure text,
    ADD COLUMN probe_at timestamptz,
    ADD CHECK ((failures = 0) = (failing_since IS NULL)),
    ADD CHECK (failures > 0 OR (last_failure IS NULL AND probe_at IS NULL));

-- Secrets that were rotated out: they sign beside the new one until they expire.
CREATE TABLE pipeline.retired_secrets (
    id uuid PRIMARY KEY,
    subscription_id uuid NOT NULL REFERENCES pipeline.subscriptions,
    sealed_secret bytea NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX retired_secrets_subscription ON pipeline.retired_secrets (subscription_id);

ALTER TABLE pipeline.deliveries
    DROP CONSTRAINT deliveries_destination_check,
    ADD CONSTRAINT deliveries_destination_check CHECK (destination IN ('webhook', 'stream', 'exchange')),
    ADD COLUMN replays integer NOT NULL DEFAULT 0,
    -- Set by the first replay: when it was delivered before.
    ADD COLUMN first_delivered_at timestamptz,
    -- Who gets it: within a target there is an order, and a bound of how much is under way.
    ADD COLUMN target text GENERATED ALWAYS AS (coalesce(subscription_id::text, destination)) STORED;
DROP INDEX pipeline.deliveries_due, pipeline.deliveries_order, pipeline.deliveries_subscription, pipeline.deliveries_event;
-- The relay's lease, target by target.
CREATE INDEX deliveries_due ON pipeline.deliveries (target, next_attempt_at) WHERE state = 'pending';
-- Order for each target and workflow: what comes before is settled first.
CREATE INDEX deliveries_order ON pipeline.deliveries (target, tenant, family, workflow_key, sequence)
    WHERE state = 'pending';
-- How much of each target is under way.
CREATE INDEX deliveries_under_way ON pipeline.deliveries (target)
    WHERE state = 'pending' AND (leased_until IS NOT NULL OR claimed_until IS NOT NULL);
-- An event goes to each target once; a replay sends the same row again.
CREATE UNIQUE INDEX deliveries_event ON pipeline.deliveries (event_id, target);
-- What a target had of a workflow: what is put back must not come after it.
CREATE INDEX deliveries_workflow ON pipeline.deliveries (tenant, family, workflow_key, target, sequence);

-- One word on filters for new events and for replays. An outcome that is wanted brings all that follows in its workflow:
-- who was told `passed` must be told that it no longer is.
CREATE FUNCTION pipeline.wants(subscription pipeline.subscriptions, event pipeline.events) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT subscription.removed_at IS NULL
        AND (subscription.types IS NULL OR event.type = ANY(subscription.types))
        AND (subscription.tenants IS NULL OR event.tenant = ANY(subscription.tenants))
        AND (subscription.families IS NULL OR event.family = ANY(subscription.families))
        AND (subscription.outcomes IS NULL OR EXISTS (
            SELECT FROM pipeline.events told
            WHERE (told.tenant, told.family, told.workflow_key) = (event.tenant, event.family, event.workflow_key)
                AND told.sequence <= event.sequence
                AND told.body::json #>> '{data,outcome}' = ANY(subscription.outcomes)
        ))
$$;

REVOKE ALL ON FUNCTION pipeline.wants FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pipeline.wants TO jumio_worker, jumio_admin;
GRANT SELECT (target) ON pipeline.deliveries TO jumio_relay;
-- For readiness: what is due and not held.
GRANT SELECT (target, tenant, family, workflow_key, sequence, subscription_id) ON pipeline.deliveries TO jumio_receiver;
GRANT SELECT (id, failures, paused_at) ON pipeline.subscriptions TO jumio_receiver;
GRANT SELECT (id, failures, paused_at, probe_at, removed_at) ON pipeline.subscriptions TO jumio_relay;
GRANT UPDATE (failures, failing_since, last_failure, probe_at) ON pipeline.subscriptions TO jumio_worker;
GRANT SELECT ON pipeline.retired_secrets TO jumio_worker;
GRANT SELECT (expires_at), DELETE ON pipeline.retired_secrets TO jumio_relay;
GRANT SELECT, INSERT, UPDATE, DELETE ON pipeline.retired_secrets TO jumio_admin;
