-- The feed: every event in an order that no late commit can get behind, and those who may read it.

-- The order of the feed. Sequences commit out of order; the number of a transaction tells what may still come: nothing
-- below the oldest that is open. Never below the event before of the same workflow, however early its transaction began.
ALTER TABLE pipeline.events ADD COLUMN position xid8 NOT NULL DEFAULT pg_current_xact_id();
CREATE INDEX events_feed ON pipeline.events (position, sequence, id);

-- Numbers of transactions are a cluster's own: a database that was restored into another one begins a new epoch.
CREATE TABLE pipeline.feed (
    epoch integer NOT NULL,
    one boolean PRIMARY KEY DEFAULT true CHECK (one)
);
INSERT INTO pipeline.feed (epoch) VALUES (1);

CREATE TABLE pipeline.consumers (
    name text PRIMARY KEY CHECK (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
    -- A token is 32 random bytes: nothing to guess, so one round of SHA-256 is enough.
    token_sha256 bytea NOT NULL UNIQUE CHECK (octet_length(token_sha256) = 32),
    -- Null: of every tenant.
    tenants text[],
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_used_at timestamptz,
    revoked_at timestamptz
);
