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

-- Roles are of the whole cluster: another database of it may have made it already.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'jumio_feed') THEN
        CREATE ROLE jumio_feed NOLOGIN;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
    WHEN insufficient_privilege THEN
        RAISE EXCEPTION 'role jumio_feed is missing, and % may not create it', current_user
            USING ERRCODE = 'insufficient_privilege',
            HINT = 'As a superuser: ALTER ROLE ' || quote_ident(current_user) || ' CREATEROLE; then migrate again.';
END
$$;

CREATE OR REPLACE FUNCTION pipeline.change_login(change text, login text, part text, verifier text, reason text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    parts CONSTANT text[] := ARRAY[
        'jumio_receiver', 'jumio_relay', 'jumio_worker', 'jumio_feed', 'jumio_admin',
        'compliance_analyst', 'compliance_investigator', 'compliance_auditor'
    ];
BEGIN
    IF change <> 'disabled' AND coalesce(verifier, '') NOT LIKE 'SCRAM-SHA-256$%' THEN
        RAISE EXCEPTION 'only a SCRAM verifier is taken';
    END IF;
    IF change = 'created' THEN
        IF part <> ALL (parts) THEN
            RAISE EXCEPTION '% is none of %', part, array_to_string(parts, ', ');
        END IF;
        EXECUTE format('CREATE ROLE %I LOGIN PASSWORD %L IN ROLE %I', login, verifier, part);
    ELSE
        SELECT g.rolname INTO part FROM pg_auth_members m
        JOIN pg_roles g ON g.oid = m.roleid AND g.rolname = ANY (parts)
        JOIN pg_roles l ON l.oid = m.member AND l.rolname = login;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'no login of ours is called %', login USING ERRCODE = 'undefined_object';
        ELSIF change = 'rotated' THEN
            EXECUTE format('ALTER ROLE %I LOGIN PASSWORD %L', login, verifier);
        ELSE
            EXECUTE format('ALTER ROLE %I NOLOGIN PASSWORD NULL', login);
        END IF;
    END IF;
    PERFORM pipeline.append_audit('role.changed', NULL, NULL, NULL, reason,
        jsonb_build_object('login', login, 'change', change, 'as', part));
END
$$;

-- The feed reads what is sent to everybody, notes who read, and may number events anew.
GRANT USAGE ON SCHEMA pipeline TO jumio_feed;
GRANT SELECT (id, tenant, type, sequence, body, position), UPDATE (position) ON pipeline.events TO jumio_feed;
GRANT SELECT, UPDATE (epoch) ON pipeline.feed TO jumio_feed;
GRANT SELECT (name, token_sha256, tenants, last_used_at, revoked_at), UPDATE (last_used_at) ON pipeline.consumers
    TO jumio_feed;
GRANT SELECT (name, tenants, created_at, last_used_at, revoked_at), INSERT, UPDATE (revoked_at) ON pipeline.consumers
    TO jumio_admin;
