-- The schema as it stands; a test proves that the migrations make the same.
--
-- Every table with work in it (callbacks, images, deliveries, deletions) has the same columns: state, attempts,
-- next_attempt_at, leased_until (a relay has sent its task), claimed_until (a worker is at it), last_error (`code: what happened`),
-- requeued_at (an operator's latest word).
-- attempts only counts up, so that it names one attempt for ever; those that were no fault of the row are forgiven.

CREATE SCHEMA IF NOT EXISTS pipeline;
CREATE SCHEMA compliance;
COMMENT ON SCHEMA pipeline IS 'Tables of the pipeline: nobody''s interface, they change without notice.';
COMMENT ON SCHEMA compliance IS 'The interface for people: views that stay, with personal data masked.';

CREATE TABLE pipeline.callbacks (
    id uuid PRIMARY KEY,
    tenant text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    peer inet,
    client_address inet,
    source_evidence jsonb NOT NULL,
    bytes integer NOT NULL CHECK (bytes >= 0),
    sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
    sealed_body bytea NOT NULL,
    sealed_head bytea NOT NULL,
    family text CHECK (family ~ '^[a-z][a-z0-9_]*$'),
    workflow_key text,
    account_id text,
    status text,
    sent_at timestamptz,
    state text NOT NULL CHECK (state IN ('stored', 'done', 'parked', 'refused', 'unverified')),
    attempts integer NOT NULL DEFAULT 0,
    forgiven integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    leased_until timestamptz,
    claimed_until timestamptz,
    last_error text,
    finished_at timestamptz,
    requeued_at timestamptz,
    CHECK ((state IN ('done', 'parked', 'refused')) = (finished_at IS NOT NULL)),
    CHECK (state NOT IN ('parked', 'refused') OR last_error IS NOT NULL)
);
-- The relay's lease: what is due, oldest first.
CREATE INDEX callbacks_due ON pipeline.callbacks (next_attempt_at) WHERE state = 'stored';
-- The operator's lists and the caps on what strangers may fill.
CREATE INDEX callbacks_aside ON pipeline.callbacks (state, received_at)
    WHERE state IN ('parked', 'refused', 'unverified');
-- Everything that arrived about one workflow; finished repeats.
CREATE INDEX callbacks_workflow ON pipeline.callbacks (workflow_key, tenant, family) WHERE workflow_key IS NOT NULL;
-- What arrived, was sent or settled from one moment to another. Summarised as it grows, not at the next vacuum. Several intervals a
-- range of pages: a row that takes the place of a dead one does not widen it to all the time between. What is set later is
-- indexed then, not at the door.
CREATE INDEX callbacks_received ON pipeline.callbacks USING brin (received_at timestamptz_minmax_multi_ops)
    WITH (autosummarize = on);
CREATE INDEX callbacks_sent ON pipeline.callbacks USING brin (sent_at timestamptz_minmax_multi_ops) WITH (autosummarize = on)
    WHERE sent_at IS NOT NULL;
CREATE INDEX callbacks_settled ON pipeline.callbacks
    USING brin (finished_at timestamptz_minmax_multi_ops) WITH (autosummarize = on) WHERE finished_at IS NOT NULL;

CREATE TABLE pipeline.workflows (
    tenant text NOT NULL,
    family text NOT NULL CHECK (family ~ '^[a-z][a-z0-9_]*$'),
    workflow_key text NOT NULL,
    account_id text,
    user_reference text,
    customer_reference text,
    status text NOT NULL,
    definition_key text,
    started_at timestamptz,
    completed_at timestamptz,
    outcome text NOT NULL DEFAULT 'pending' CHECK (
        outcome IN ('passed', 'rejected', 'warning', 'not_executed', 'expired', 'unsupported', 'pending')
    ),
    label text,
    risk_score numeric(6, 2),
    reject_reasons jsonb NOT NULL DEFAULT '[]',
    decided_at timestamptz,
    verdict_version integer NOT NULL DEFAULT 0,
    report_id uuid,
    last_sequence integer NOT NULL DEFAULT 0,
    -- Counts up with every write: who read an older one lost the race.
    revision bigint NOT NULL DEFAULT 0,
    first_seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant, family, workflow_key),
    CHECK ((verdict_version = 0) = (decided_at IS NULL)),
    CHECK ((verdict_version = 0) = (outcome = 'pending'))
);
-- One transaction by its key alone; foreign keys hold on to the order of the primary key.
CREATE INDEX workflows_key ON pipeline.workflows (workflow_key);
-- All transactions of one person, by Jumio's account, by our user, by our reference.
CREATE INDEX workflows_account ON pipeline.workflows (account_id);
CREATE INDEX workflows_user ON pipeline.workflows (user_reference) WHERE user_reference IS NOT NULL;
CREATE INDEX workflows_customer ON pipeline.workflows (customer_reference) WHERE customer_reference IS NOT NULL;
-- What was decided from one day to another.
CREATE INDEX workflows_decided ON pipeline.workflows (decided_at);
-- What Jumio finished, and what began, from one moment to another.
CREATE INDEX workflows_completed ON pipeline.workflows (completed_at) WHERE completed_at IS NOT NULL;
CREATE INDEX workflows_begun ON pipeline.workflows
    USING brin (first_seen_at timestamptz_minmax_multi_ops, started_at timestamptz_minmax_multi_ops) WITH (autosummarize = on);

CREATE TABLE pipeline.reports (
    id uuid PRIMARY KEY,
    tenant text NOT NULL,
    family text NOT NULL,
    workflow_key text NOT NULL,
    callback_id uuid NOT NULL REFERENCES pipeline.callbacks,
    fetched_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    bytes integer NOT NULL,
    sealed bytea NOT NULL,
    FOREIGN KEY (tenant, family, workflow_key) REFERENCES pipeline.workflows
);
CREATE INDEX reports_workflow ON pipeline.reports (workflow_key, tenant, family);
-- What was fetched from one moment to another.
CREATE INDEX reports_fetched ON pipeline.reports USING brin (fetched_at timestamptz_minmax_multi_ops) WITH (autosummarize = on);

CREATE TABLE pipeline.verdicts (
    tenant text NOT NULL,
    family text NOT NULL,
    workflow_key text NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    outcome text NOT NULL CHECK (
        outcome IN ('passed', 'rejected', 'warning', 'not_executed', 'expired', 'unsupported')
    ),
    label text NOT NULL,
    risk_score numeric(6, 2),
    reasons jsonb NOT NULL,
    valid_from timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    rests_on text NOT NULL CHECK (rests_on IN ('retrieval', 'callback')),
    callback_id uuid NOT NULL REFERENCES pipeline.callbacks,
    report_id uuid NOT NULL REFERENCES pipeline.reports,
    -- Keys first, tenant after, here and below: people look a key up without naming its tenant.
    PRIMARY KEY (workflow_key, tenant, family, version),
    FOREIGN KEY (tenant, family, workflow_key) REFERENCES pipeline.workflows
);
-- Verdicts that changed after the fact; no first verdict is in it.
CREATE INDEX verdicts_revised ON pipeline.verdicts (recorded_at) WHERE version > 1;
-- What was recorded from one moment to another.
CREATE INDEX verdicts_recorded ON pipeline.verdicts USING brin (recorded_at) WITH (autosummarize = on);
-- What became true from one moment to another.
CREATE INDEX verdicts_valid ON pipeline.verdicts USING brin (valid_from timestamptz_minmax_multi_ops) WITH (autosummarize = on);

CREATE FUNCTION pipeline.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a verdict is never changed: a new one is a new version';
END
$$;
CREATE TRIGGER verdicts_never_change BEFORE UPDATE ON pipeline.verdicts
    FOR EACH ROW EXECUTE FUNCTION pipeline.refuse_change();
-- An erasure and retention take the workflow as well; looked at when they commit.
CREATE FUNCTION pipeline.refuse_forgetting() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT FROM pipeline.workflows w
        WHERE w.tenant = OLD.tenant AND w.family = OLD.family AND w.workflow_key = OLD.workflow_key
    ) THEN
        RAISE EXCEPTION 'a verdict goes only with its workflow' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER verdicts_go_with_their_workflow AFTER DELETE ON pipeline.verdicts
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION pipeline.refuse_forgetting();

-- Nor does a workflow go without a word: what deletes people (an erasure, retention) has put it on record in the same
-- transaction. Whoever owns the tables could switch this off, and is not asked.
CREATE FUNCTION pipeline.refuse_silence() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pipeline.audit_unsealed u JOIN pipeline.audit a ON a.number = u.number
        WHERE a.who = session_user AND a.happened_at >= now()
            AND a.action IN ('workflow.erased', 'account.erased', 'reference.erased', 'retention.ran')
    ) AND NOT pg_has_role(session_user, (SELECT c.relowner FROM pg_class c WHERE c.oid = TG_RELID), 'MEMBER') THEN
        RAISE EXCEPTION 'a workflow goes only by an erasure or by retention, which put it on record'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION pipeline.refuse_silence FROM PUBLIC;
CREATE CONSTRAINT TRIGGER workflows_go_on_record AFTER DELETE ON pipeline.workflows
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION pipeline.refuse_silence();

CREATE TABLE pipeline.checks (
    report_id uuid NOT NULL REFERENCES pipeline.reports ON DELETE CASCADE,
    position integer NOT NULL,
    capability text NOT NULL,
    credential_ids text[] NOT NULL,
    outcome text NOT NULL,
    label text,
    PRIMARY KEY (report_id, position)
);
-- Approvals in spite of an alert, or without a check; most checks are passed, and those are not in it.
CREATE INDEX checks_not_passed ON pipeline.checks (lower(capability), outcome) WHERE outcome <> 'passed';
-- Which check comes to what: without it Postgres takes the two to have nothing to do with each other, and plans for a few.
CREATE STATISTICS pipeline.checks_by_outcome (mcv) ON lower(capability), outcome FROM pipeline.checks;

CREATE TABLE pipeline.steps (
    report_id uuid NOT NULL REFERENCES pipeline.reports ON DELETE CASCADE,
    position integer NOT NULL,
    step_id text,
    name text,
    outcome text NOT NULL,
    label text,
    risk_score numeric(6, 2),
    PRIMARY KEY (report_id, position)
);

-- What a verdict rests on is as old as its report.
CREATE FUNCTION pipeline.refuse_losing() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM pipeline.reports r WHERE r.id = OLD.report_id) THEN
        RAISE EXCEPTION 'a check or a step goes only with its report' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER checks_go_with_their_report AFTER DELETE ON pipeline.checks
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION pipeline.refuse_losing();
CREATE CONSTRAINT TRIGGER steps_go_with_their_report AFTER DELETE ON pipeline.steps
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION pipeline.refuse_losing();

-- Personal data in the clear: reached through masking views and audited functions only.
CREATE TABLE pipeline.identities (
    report_id uuid NOT NULL REFERENCES pipeline.reports ON DELETE CASCADE,
    position integer NOT NULL,
    document_type text,
    document_subtype text,
    issuing_country text,
    first_name text,
    last_name text,
    date_of_birth text,
    document_number text,
    issuing_date text,
    expiry_date text,
    PRIMARY KEY (report_id, position)
);

CREATE TABLE pipeline.images (
    id uuid PRIMARY KEY,
    tenant text NOT NULL,
    family text NOT NULL,
    workflow_key text NOT NULL,
    account_id text NOT NULL,
    credential_id text NOT NULL,
    category text,
    classifier text NOT NULL,
    -- Jumio gave an address for it; without one there is nothing to download.
    offered boolean NOT NULL,
    -- `deleted`: retention took the image; the facts about it that are not of the image stay.
    state text NOT NULL CHECK (state IN ('wanted', 'stored', 'missing', 'refused', 'parked', 'deleted')),
    attempts integer NOT NULL DEFAULT 0,
    forgiven integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    leased_until timestamptz,
    claimed_until timestamptz,
    last_error text,
    finished_at timestamptz,
    media_type text,
    flag text,
    bytes integer,
    sha256 bytea CHECK (octet_length(sha256) = 32),
    stored_at timestamptz,
    -- Which store holds it (as IMAGES_URL said then), under which key, and the id of the encryption key.
    store text,
    blob_key text,
    key_id text,
    requeued_at timestamptz,
    UNIQUE (workflow_key, tenant, family, credential_id, classifier),
    FOREIGN KEY (tenant, family, workflow_key) REFERENCES pipeline.workflows,
    CHECK ((state = 'wanted') = (finished_at IS NULL)),
    CHECK ((state = 'stored') = (stored_at IS NOT NULL)),
    CHECK ((state = 'stored') = (sha256 IS NOT NULL)),
    CHECK ((state = 'stored') = (blob_key IS NOT NULL)),
    CHECK ((blob_key IS NULL) = (store IS NULL)),
    CHECK ((blob_key IS NULL) = (key_id IS NULL))
);
CREATE INDEX images_due ON pipeline.images (next_attempt_at) WHERE state = 'wanted';
CREATE INDEX images_aside ON pipeline.images (finished_at) WHERE state = 'parked';

-- From a blob in a store to its row.
CREATE UNIQUE INDEX images_blob ON pipeline.images (store, blob_key) WHERE blob_key IS NOT NULL;
-- From a workflow's id to its images, whatever the tenant.
CREATE INDEX images_workflow ON pipeline.images (workflow_key);
-- What was stored, or known not to come, from one moment to another.
CREATE INDEX images_stored ON pipeline.images USING brin (stored_at timestamptz_minmax_multi_ops) WITH (autosummarize = on)
    WHERE stored_at IS NOT NULL;
CREATE INDEX images_settled ON pipeline.images USING brin (finished_at timestamptz_minmax_multi_ops) WITH (autosummarize = on)
    WHERE finished_at IS NOT NULL;

-- The store `postgres:`. One image may have several for a moment: its row says which counts.
CREATE TABLE pipeline.image_blobs (
    image_id uuid NOT NULL REFERENCES pipeline.images ON DELETE CASCADE,
    sealed bytea NOT NULL,
    key text PRIMARY KEY,
    put_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
-- All that is kept of one image; its end with the image's.
CREATE INDEX image_blobs_image ON pipeline.image_blobs (image_id);
-- What is encrypted does not compress.
ALTER TABLE pipeline.image_blobs ALTER COLUMN sealed SET STORAGE EXTERNAL;

CREATE TABLE pipeline.events (
    id uuid PRIMARY KEY,
    tenant text NOT NULL,
    family text NOT NULL,
    workflow_key text NOT NULL,
    sequence integer NOT NULL CHECK (sequence > 0),
    type text NOT NULL,
    occurred_at timestamptz NOT NULL,
    -- The bytes that are signed and sent: the same ones at every try and to everyone.
    body text NOT NULL,
    -- The order of the feed. Sequences commit out of order; the number of a transaction tells what may still come:
    -- nothing below the oldest that is open. Never below the event before of the same workflow.
    position xid8 NOT NULL DEFAULT pg_current_xact_id(),
    -- No reference to the workflow: the event that tells of an erasure outlives what it tells of.
    UNIQUE (workflow_key, tenant, family, sequence)
);
CREATE INDEX events_feed ON pipeline.events (position, sequence, id);
-- What was emitted from one moment to another.
CREATE INDEX events_occurred ON pipeline.events USING brin (occurred_at) WITH (autosummarize = on);

CREATE TABLE pipeline.subscriptions (
    id uuid PRIMARY KEY,
    url text NOT NULL,
    types text[],
    sealed_secret bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    removed_at timestamptz,
    enrich text[] CHECK (enrich <@ ARRAY['checks', 'identity'] AND cardinality(enrich) > 0),
    outcomes text[],
    tenants text[],
    families text[],
    -- By an operator.
    paused_at timestamptz,
    -- The breaker: failures in a row, since when, the latest, and until when nothing is sent but one probe.
    failures integer NOT NULL DEFAULT 0,
    failing_since timestamptz,
    last_failure text,
    probe_at timestamptz,
    CHECK ((failures = 0) = (failing_since IS NULL)),
    CHECK (failures > 0 OR (last_failure IS NULL AND probe_at IS NULL))
);
CREATE UNIQUE INDEX subscriptions_url ON pipeline.subscriptions (url) WHERE removed_at IS NULL;

-- Secrets that were rotated out: they sign beside the new one until they expire.
CREATE TABLE pipeline.retired_secrets (
    id uuid PRIMARY KEY,
    subscription_id uuid NOT NULL REFERENCES pipeline.subscriptions,
    sealed_secret bytea NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX retired_secrets_subscription ON pipeline.retired_secrets (subscription_id);

-- One word on filters for new events and for replays. An outcome that is wanted brings all that follows in its workflow:
-- who was told `passed` must be told that it no longer is. Events may be gone by then (retention), verdicts stay longer.
CREATE FUNCTION pipeline.wants(subscription pipeline.subscriptions, event pipeline.events) RETURNS boolean
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

CREATE TABLE pipeline.deliveries (
    id uuid PRIMARY KEY,
    event_id uuid NOT NULL REFERENCES pipeline.events,
    destination text NOT NULL CHECK (destination IN ('webhook', 'stream', 'exchange')),
    subscription_id uuid REFERENCES pipeline.subscriptions,
    tenant text NOT NULL,
    family text NOT NULL,
    workflow_key text NOT NULL,
    sequence integer NOT NULL,
    state text NOT NULL CHECK (state IN ('pending', 'delivered', 'parked', 'cancelled')),
    attempts integer NOT NULL DEFAULT 0,
    forgiven integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    leased_until timestamptz,
    claimed_until timestamptz,
    last_error text,
    finished_at timestamptz,
    last_status integer,
    -- What an enriched delivery sends, made at its first try: the same bytes at every other, and gone when it is settled.
    sealed_body bytea,
    replays integer NOT NULL DEFAULT 0,
    -- Set by the first replay: when it was delivered before.
    first_delivered_at timestamptz,
    -- Who gets it: within a target there is an order, and a bound of how much is under way.
    target text GENERATED ALWAYS AS (coalesce(subscription_id::text, destination)) STORED,
    requeued_at timestamptz,
    CHECK ((destination = 'webhook') = (subscription_id IS NOT NULL)),
    CHECK ((state = 'pending') = (finished_at IS NULL))
);
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
CREATE INDEX deliveries_workflow ON pipeline.deliveries (workflow_key, tenant, family, target, sequence);
CREATE INDEX deliveries_aside ON pipeline.deliveries (finished_at) WHERE state = 'parked';
-- What was delivered or given up from one moment to another.
CREATE INDEX deliveries_settled ON pipeline.deliveries
    USING brin (finished_at timestamptz_minmax_multi_ops) WITH (autosummarize = on) WHERE finished_at IS NOT NULL;

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

-- Numbers of transactions are a cluster's own: a database that was restored into another one begins a new epoch.
CREATE TABLE pipeline.feed (
    epoch integer NOT NULL,
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    -- Whose numbers the events' positions are; empty until a feed has looked.
    cluster text
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

-- One access token a tenant, shared by every worker; one of them renews it.
CREATE TABLE pipeline.tokens (
    tenant text PRIMARY KEY,
    token_id uuid,
    sealed_token bytea,
    expires_at timestamptz,
    renewing_until timestamptz
);

-- Why a tenant's part of Jumio is left in peace for a while: rows wait, and no attempt is used up.
CREATE TABLE pipeline.breakers (
    tenant text NOT NULL,
    part text NOT NULL,
    failures integer NOT NULL DEFAULT 0,
    opened_until timestamptz,
    reason text,
    PRIMARY KEY (tenant, part)
);

-- What Jumio sent that this release does not know: kept, counted, never fatal. No personal data: examples are masked.
CREATE TABLE pipeline.drift (
    tenant text NOT NULL,
    family text NOT NULL,
    what text NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    times bigint NOT NULL DEFAULT 1,
    example text NOT NULL,
    PRIMARY KEY (tenant, family, what)
);

-- What DNS last said of each name and record type, so that a start without DNS has it.
CREATE TABLE pipeline.source_lookups (
    name text NOT NULL,
    record_type text NOT NULL CHECK (record_type IN ('A', 'AAAA')),
    answered_at timestamptz,
    failed_at timestamptz,
    failure text,
    PRIMARY KEY (name, record_type)
);
CREATE TABLE pipeline.source_addresses (
    name text NOT NULL,
    address inet NOT NULL,
    first_seen_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    -- Set when an answer came without it; admitted for a grace period all the same.
    left_at timestamptz,
    PRIMARY KEY (name, address)
);

-- Signs of life: a receiver that wrote durably, a worker that consumed, a relay that leased, a feed that read.
CREATE TABLE pipeline.pulses (
    process text PRIMARY KEY,
    role text NOT NULL CHECK (role IN ('receiver', 'relay', 'worker', 'feed')),
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    beat_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- What a receiver's spool holds: null where it has none.
    spooled_rows integer,
    spooled_since timestamptz,
    damaged_files integer,
    -- Which folder that is, by a name that is in it: containers that share one have different hosts.
    spool_folder text
);
-- The interface for compliance teams: one view a question, every column explained.

-- Masking. One letter would be the whole family name in Chinese; a year is shown only where there is a date.
CREATE FUNCTION pipeline.masked(clear text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN clear IS NULL OR clear = '' THEN clear ELSE '***' END;
CREATE FUNCTION pipeline.masked_date(clear text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN clear ~ '^(18|19|20|21)[0-9][0-9]-[0-9][0-9]-[0-9][0-9]$' THEN left(clear, 4) || '-**-**'
    WHEN clear IS NULL OR clear = '' THEN clear
    ELSE '***'
END;

-- Counts are made, and the document is joined, only where they are asked for.
CREATE VIEW compliance.workflows AS
SELECT w.tenant, w.family, w.workflow_key, w.account_id, w.user_reference, w.customer_reference, w.status,
    w.outcome, w.label, w.risk_score, w.reject_reasons, w.definition_key, w.started_at, w.completed_at, w.decided_at,
    w.verdict_version,
    -- Two, and no join: they are counted only where they are asked for, and of many only after ORDER BY and LIMIT.
    (SELECT count(*) FILTER (WHERE i.offered) FROM pipeline.images i
        WHERE i.tenant = w.tenant AND i.family = w.family AND i.workflow_key = w.workflow_key) AS images_wanted,
    (SELECT count(*) FILTER (WHERE i.state = 'stored') FROM pipeline.images i
        WHERE i.tenant = w.tenant AND i.family = w.family AND i.workflow_key = w.workflow_key) AS images_stored,
    w.first_seen_at, i.issuing_country AS country
FROM pipeline.workflows w
LEFT JOIN pipeline.identities i ON i.report_id = w.report_id AND i.position = 0;
COMMENT ON VIEW compliance.workflows IS 'One Jumio transaction, as it stands now.';
COMMENT ON COLUMN compliance.workflows.tenant IS 'Which Jumio customer account of ours; "default" where there is one.';
COMMENT ON COLUMN compliance.workflows.family IS 'Product generation: kyx, netverify, authentication or document.';
COMMENT ON COLUMN compliance.workflows.workflow_key IS 'Workflow execution id, scan reference or transaction reference.';
COMMENT ON COLUMN compliance.workflows.account_id IS 'Jumio''s id of the end user; one account may have many workflows.';
COMMENT ON COLUMN compliance.workflows.user_reference IS 'The end user''s reference in our own systems, as given to Jumio.';
COMMENT ON COLUMN compliance.workflows.customer_reference IS 'Our reference of the transaction (customerInternalReference).';
COMMENT ON COLUMN compliance.workflows.status IS 'Jumio''s own status of the transaction, for example PROCESSED.';
COMMENT ON COLUMN compliance.workflows.outcome IS 'Verdict: passed, rejected, warning, not_executed, expired, unsupported; pending before one.';
COMMENT ON COLUMN compliance.workflows.label IS 'Jumio''s own word for the decision.';
COMMENT ON COLUMN compliance.workflows.risk_score IS 'Jumio''s risk score, 0 to 100; -1 where it was not computed.';
COMMENT ON COLUMN compliance.workflows.reject_reasons IS 'JSON list of what spoke against it: objects with check, label, code and details. A passed one may have warnings.';
COMMENT ON COLUMN compliance.workflows.definition_key IS 'Key of the Jumio workflow definition that ran.';
COMMENT ON COLUMN compliance.workflows.started_at IS 'When the end user opened the journey, by Jumio''s clock; empty if never.';
COMMENT ON COLUMN compliance.workflows.completed_at IS 'When Jumio finished, by Jumio''s clock.';
COMMENT ON COLUMN compliance.workflows.decided_at IS 'When the current verdict was recorded here; a revision is a new one. compliance.verdicts has those before.';
COMMENT ON COLUMN compliance.workflows.verdict_version IS 'Version of the current verdict; 0 before the first.';
COMMENT ON COLUMN compliance.workflows.images_wanted IS 'Images that Jumio offered for download.';
COMMENT ON COLUMN compliance.workflows.images_stored IS 'Images that are stored here.';
COMMENT ON COLUMN compliance.workflows.first_seen_at IS 'When the first word of it was read here.';
COMMENT ON COLUMN compliance.workflows.country IS 'Country that issued the first document, ISO 3166 alpha-3 or XKX; empty where none was read, or retention has deleted the identity.';

CREATE VIEW compliance.verdicts AS
SELECT v.tenant, v.family, v.workflow_key, v.version, v.outcome, v.label, v.risk_score, v.reasons, v.valid_from, v.recorded_at,
    v.callback_id, v.rests_on, i.issuing_country AS country
FROM pipeline.verdicts v
LEFT JOIN pipeline.identities i ON i.report_id = v.report_id AND i.position = 0;
COMMENT ON VIEW compliance.verdicts IS 'One version of a verdict, never changed.';
COMMENT ON COLUMN compliance.verdicts.tenant IS 'Which Jumio customer account of ours.';
COMMENT ON COLUMN compliance.verdicts.family IS 'Product generation: kyx, netverify, authentication or document.';
COMMENT ON COLUMN compliance.verdicts.workflow_key IS 'Workflow execution id, scan reference or transaction reference.';
COMMENT ON COLUMN compliance.verdicts.version IS 'Counts up from 1 for each workflow; a revision is a new version.';
COMMENT ON COLUMN compliance.verdicts.outcome IS 'passed, rejected, warning, not_executed, expired or unsupported.';
COMMENT ON COLUMN compliance.verdicts.label IS 'Jumio''s own word for the decision.';
COMMENT ON COLUMN compliance.verdicts.risk_score IS 'Jumio''s risk score, 0 to 100; -1 where it was not computed.';
COMMENT ON COLUMN compliance.verdicts.reasons IS 'JSON list of what spoke against it: objects with check, label, code and details. A passed one may have warnings.';
COMMENT ON COLUMN compliance.verdicts.valid_from IS 'Since when it was true: for version 1 when Jumio finished, for a revision when we learned of it.';
COMMENT ON COLUMN compliance.verdicts.recorded_at IS 'When it was recorded here.';
COMMENT ON COLUMN compliance.verdicts.callback_id IS 'The callback that led to it.';
COMMENT ON COLUMN compliance.verdicts.rests_on IS 'retrieval: read from Jumio with our credentials; callback: only what a legacy callback said itself.';
COMMENT ON COLUMN compliance.verdicts.country IS 'Country that issued the first document by the report that it rests on; empty where none was read, or retention has deleted the identity.';

CREATE VIEW compliance.checks AS
SELECT w.tenant, w.family, w.workflow_key, w.verdict_version, c.capability, c.credential_ids, c.outcome, c.label
FROM pipeline.workflows w
JOIN pipeline.checks c ON c.report_id = w.report_id;
COMMENT ON VIEW compliance.checks IS 'One capability result of the current report.';
COMMENT ON COLUMN compliance.checks.tenant IS 'Which Jumio customer account of ours.';
COMMENT ON COLUMN compliance.checks.family IS 'Product generation: kyx, netverify, authentication or document.';
COMMENT ON COLUMN compliance.checks.workflow_key IS 'Workflow execution id, scan reference or transaction reference.';
COMMENT ON COLUMN compliance.checks.verdict_version IS 'The verdict version that rests on this report.';
COMMENT ON COLUMN compliance.checks.capability IS 'Jumio''s name of the check, for example similarity; new names are kept as they come.';
COMMENT ON COLUMN compliance.checks.credential_ids IS 'The credentials that were checked.';
COMMENT ON COLUMN compliance.checks.outcome IS 'passed, rejected, warning or not_executed; unknown words of Jumio count as warning.';
COMMENT ON COLUMN compliance.checks.label IS 'Jumio''s own word, for example DIGITAL_COPY.';

CREATE VIEW compliance.steps AS
SELECT w.tenant, w.family, w.workflow_key, w.verdict_version, s.step_id, s.name, s.outcome, s.label, s.risk_score
FROM pipeline.workflows w
JOIN pipeline.steps s ON s.report_id = w.report_id;
COMMENT ON VIEW compliance.steps IS 'One workflow step of the current report.';
COMMENT ON COLUMN compliance.steps.tenant IS 'Which Jumio customer account of ours.';
COMMENT ON COLUMN compliance.steps.family IS 'Product generation: kyx, netverify, authentication or document.';
COMMENT ON COLUMN compliance.steps.workflow_key IS 'Workflow execution id, scan reference or transaction reference.';
COMMENT ON COLUMN compliance.steps.verdict_version IS 'The verdict version that rests on this report.';
COMMENT ON COLUMN compliance.steps.step_id IS 'Jumio''s id of the step.';
COMMENT ON COLUMN compliance.steps.name IS 'Jumio''s name of the step, for example ID_IV.';
COMMENT ON COLUMN compliance.steps.outcome IS 'passed, rejected, warning or not_executed; unknown words of Jumio count as warning.';
COMMENT ON COLUMN compliance.steps.label IS 'Jumio''s own word.';
COMMENT ON COLUMN compliance.steps.risk_score IS 'Jumio''s risk score of the step, if it gave one.';

CREATE VIEW compliance.images AS
SELECT tenant, family, workflow_key, credential_id, category, classifier, state, media_type, bytes,
    encode(sha256, 'hex') AS sha256, stored_at, flag, last_error AS reason, offered, finished_at AS settled_at
FROM pipeline.images;
COMMENT ON VIEW compliance.images IS 'One image of a workflow: facts about it, never the image.';
COMMENT ON COLUMN compliance.images.tenant IS 'Which Jumio customer account of ours.';
COMMENT ON COLUMN compliance.images.family IS 'Product generation: kyx, netverify, authentication or document.';
COMMENT ON COLUMN compliance.images.workflow_key IS 'Workflow execution id, scan reference or transaction reference.';
COMMENT ON COLUMN compliance.images.credential_id IS 'The credential that it is a part of.';
COMMENT ON COLUMN compliance.images.category IS 'Kind of credential: ID, SELFIE, FACEMAP, DOCUMENT or DATA.';
COMMENT ON COLUMN compliance.images.classifier IS 'Which part: FRONT, BACK, FACE, LIVENESS_1 and so on.';
COMMENT ON COLUMN compliance.images.state IS 'wanted, stored, missing (Jumio has none), refused (not acceptable), parked (gave up; requeue it) or deleted (retention).';
COMMENT ON COLUMN compliance.images.media_type IS 'What the bytes are, told from the bytes themselves.';
COMMENT ON COLUMN compliance.images.bytes IS 'Size of the image.';
COMMENT ON COLUMN compliance.images.sha256 IS 'SHA-256 of the image as Jumio gave it, in hexadecimal.';
COMMENT ON COLUMN compliance.images.stored_at IS 'When it was stored here.';
COMMENT ON COLUMN compliance.images.flag IS 'Set where the bytes are neither JPEG nor PNG: what is odd about them.';
COMMENT ON COLUMN compliance.images.reason IS 'Why it is not stored, or the last failure so far.';
COMMENT ON COLUMN compliance.images.offered IS 'Whether Jumio gave an address to download it from.';
COMMENT ON COLUMN compliance.images.settled_at IS 'When it was stored, known not to come, or deleted; empty while it is wanted.';

CREATE VIEW compliance.identities WITH (security_barrier = true) AS
SELECT w.tenant, w.family, w.workflow_key, w.verdict_version, i.document_type, i.document_subtype, i.issuing_country,
    pipeline.masked(i.first_name) AS first_name, pipeline.masked(i.last_name) AS last_name,
    pipeline.masked_date(i.date_of_birth) AS date_of_birth, pipeline.masked(i.document_number) AS document_number,
    pipeline.masked_date(i.expiry_date) AS expiry_date
FROM pipeline.workflows w
JOIN pipeline.identities i ON i.report_id = w.report_id;
COMMENT ON VIEW compliance.identities IS 'Data extracted from the document, masked: *** where there is a text, the year of a date. compliance.reveal_identity shows it in the clear to those who say why.';
COMMENT ON COLUMN compliance.identities.tenant IS 'Which Jumio customer account of ours.';
COMMENT ON COLUMN compliance.identities.family IS 'Product generation: kyx, netverify, authentication or document.';
COMMENT ON COLUMN compliance.identities.workflow_key IS 'Workflow execution id, scan reference or transaction reference.';
COMMENT ON COLUMN compliance.identities.verdict_version IS 'The verdict version that rests on this report.';
COMMENT ON COLUMN compliance.identities.document_type IS 'PASSPORT, DRIVING_LICENSE, ID_CARD or VISA.';
COMMENT ON COLUMN compliance.identities.document_subtype IS 'Jumio''s finer type, for example NATIONAL_ID.';
COMMENT ON COLUMN compliance.identities.issuing_country IS 'ISO 3166 alpha-3 code, or XKX.';
COMMENT ON COLUMN compliance.identities.first_name IS 'Masked: *** where there is one.';
COMMENT ON COLUMN compliance.identities.last_name IS 'Masked: *** where there is one.';
COMMENT ON COLUMN compliance.identities.date_of_birth IS 'Masked to the year.';
COMMENT ON COLUMN compliance.identities.document_number IS 'Masked: *** where there is one.';
COMMENT ON COLUMN compliance.identities.expiry_date IS 'Masked to the year.';

CREATE VIEW compliance.callbacks AS
SELECT id AS callback_id, tenant, family, workflow_key, status, received_at, sent_at, client_address AS source_ip,
    source_evidence, state, last_error AS reason, attempts - forgiven AS attempts, bytes, encode(sha256, 'hex') AS sha256,
    finished_at AS settled_at, octet_length(sealed_body) > 0 AS body_kept
FROM pipeline.callbacks;
COMMENT ON VIEW compliance.callbacks IS 'One delivery from Jumio, or from someone who was refused.';
COMMENT ON COLUMN compliance.callbacks.callback_id IS 'Our id of the delivery.';
COMMENT ON COLUMN compliance.callbacks.tenant IS 'Which Jumio customer account of ours it was addressed to.';
COMMENT ON COLUMN compliance.callbacks.family IS 'Product generation, once it has been read.';
COMMENT ON COLUMN compliance.callbacks.workflow_key IS 'What it is about, once it has been read.';
COMMENT ON COLUMN compliance.callbacks.status IS 'The status that the callback named.';
COMMENT ON COLUMN compliance.callbacks.received_at IS 'When it arrived here.';
COMMENT ON COLUMN compliance.callbacks.sent_at IS 'When Jumio sent it, by its own word.';
COMMENT ON COLUMN compliance.callbacks.source_ip IS 'Address that it came from, seen through trusted proxies.';
COMMENT ON COLUMN compliance.callbacks.source_evidence IS 'Why the source was admitted or refused: rule, DNS name, age of the answer in seconds.';
COMMENT ON COLUMN compliance.callbacks.state IS 'stored, done, parked (needs an operator), refused (wrong source) or unverified (no DNS answer yet).';
COMMENT ON COLUMN compliance.callbacks.reason IS 'Why it is parked or refused, or the last failure so far.';
COMMENT ON COLUMN compliance.callbacks.attempts IS 'How often a worker has taken it up.';
COMMENT ON COLUMN compliance.callbacks.bytes IS 'Size of the body as received.';
COMMENT ON COLUMN compliance.callbacks.sha256 IS 'SHA-256 of the body as received, in hexadecimal.';
COMMENT ON COLUMN compliance.callbacks.settled_at IS 'When it was done, parked or refused; empty while it waits.';
COMMENT ON COLUMN compliance.callbacks.body_kept IS 'Whether the body is kept here, sealed; retention deletes it and leaves the rest.';

CREATE VIEW compliance.events AS
SELECT e.id AS event_id, e.type, e.workflow_key, e.sequence, e.occurred_at, d.delivered, d.pending, d.parked,
    e.tenant, e.family, d.streamed_at
FROM pipeline.events e
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE d.destination = 'webhook' AND d.state = 'delivered') AS delivered,
        count(*) FILTER (WHERE d.destination = 'webhook' AND d.state = 'pending') AS pending,
        count(*) FILTER (WHERE d.destination = 'webhook' AND d.state = 'parked') AS parked,
        max(d.finished_at) FILTER (WHERE d.destination = 'stream' AND d.state = 'delivered') AS streamed_at
    FROM pipeline.deliveries d
    WHERE d.event_id = e.id
) d;
COMMENT ON VIEW compliance.events IS 'One emitted event with its deliveries to webhook subscribers.';
COMMENT ON COLUMN compliance.events.event_id IS 'Id of the event: the same at every try and to everyone (webhook-id).';
COMMENT ON COLUMN compliance.events.type IS 'Type of the event, for example kyc.workflow.decided.v1.';
COMMENT ON COLUMN compliance.events.workflow_key IS 'What it is about.';
COMMENT ON COLUMN compliance.events.sequence IS 'Counts up from 1 for each workflow.';
COMMENT ON COLUMN compliance.events.occurred_at IS 'When it was recorded here.';
COMMENT ON COLUMN compliance.events.delivered IS 'Subscribers that confirmed it.';
COMMENT ON COLUMN compliance.events.pending IS 'Subscribers that are still to get it.';
COMMENT ON COLUMN compliance.events.parked IS 'Subscribers to whom it could not be delivered.';
COMMENT ON COLUMN compliance.events.tenant IS 'Which Jumio customer account of ours.';
COMMENT ON COLUMN compliance.events.family IS 'Product generation: kyx, netverify, authentication or document.';
COMMENT ON COLUMN compliance.events.streamed_at IS 'When it was added to the Redis stream; empty if it is not yet, or the stream is switched off.';

-- Who may do what, and the trail of who did what.

-- Roles are of the whole cluster: another database of it may have made them already.
DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY[
        'jumio_receiver', 'jumio_relay', 'jumio_worker', 'jumio_admin',
        'compliance_analyst', 'compliance_investigator', 'compliance_auditor'
    ] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = role) THEN
            BEGIN
                EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', role);
            EXCEPTION
                WHEN duplicate_object OR unique_violation THEN NULL;
                WHEN insufficient_privilege THEN
                    RAISE EXCEPTION 'role % is missing, and % may not create it', role, current_user
                        USING ERRCODE = 'insufficient_privilege',
                        HINT = 'As a superuser: ALTER ROLE ' || quote_ident(current_user) || ' CREATEROLE; then migrate again.';
            END;
        END IF;
    END LOOP;
END
$$;

-- The audit trail: rows are only ever added. A row's digest waits in audit_unsealed until the relay links it to the one
-- before; so nobody who writes a row waits for anybody else, however long his transaction stays open.
CREATE TABLE pipeline.audit (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    happened_at timestamptz NOT NULL DEFAULT clock_timestamp() CHECK (isfinite(happened_at)),
    who text NOT NULL,
    application text,
    client_address inet,
    action text NOT NULL CHECK (action IN (
        'identity.revealed', 'person.searched', 'image.read', 'bundle.exported', 'workflow.erased', 'account.erased',
        'reference.erased', 'retention.ran', 'hold.placed', 'hold.released', 'relationship.ended', 'relationship.resumed',
        'rows.requeued', 'role.changed', 'setting.changed', 'key.rotated', 'event.enriched', 'subscription.changed'
    )),
    tenant text,
    family text,
    workflow_key text,
    reason text,
    -- No personal data: numbers, names of options, ids.
    details jsonb NOT NULL
);
-- What was done to one workflow.
CREATE INDEX audit_workflow ON pipeline.audit (workflow_key, tenant) WHERE workflow_key IS NOT NULL;
CREATE INDEX audit_happened ON pipeline.audit USING brin (happened_at) WITH (autosummarize = on);
CREATE TABLE pipeline.audit_unsealed (
    number bigint PRIMARY KEY,
    digest bytea NOT NULL
);
CREATE TABLE pipeline.audit_links (
    position bigint PRIMARY KEY CHECK (position > 0),
    number bigint NOT NULL UNIQUE,
    digest bytea NOT NULL,
    sealed_at timestamptz NOT NULL CHECK (isfinite(sealed_at)),
    link bytea NOT NULL
);
-- What was sealed from one moment to another.
CREATE INDEX audit_sealed ON pipeline.audit_links USING brin (sealed_at) WITH (autosummarize = on);

CREATE FUNCTION pipeline.refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is only ever added to';
END
$$;
CREATE TRIGGER audit_never_changes BEFORE UPDATE OR DELETE OR TRUNCATE ON pipeline.audit
    FOR EACH STATEMENT EXECUTE FUNCTION pipeline.refuse_rewriting();
CREATE TRIGGER audit_links_never_change BEFORE UPDATE OR DELETE OR TRUNCATE ON pipeline.audit_links
    FOR EACH STATEMENT EXECUTE FUNCTION pipeline.refuse_rewriting();

-- Each field as `length:text`, an empty one as `-`: no two rows are written alike.
CREATE FUNCTION pipeline.audit_digest(entry pipeline.audit) RETURNS bytea LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT sha256(convert_to(string_agg(coalesce(length(field) || ':' || field, '-'), '' ORDER BY place), 'UTF8'))
    FROM unnest(ARRAY[
        entry.number::text, (extract(epoch FROM entry.happened_at) * 1000000)::bigint::text, entry.who,
        entry.application, entry.client_address::text, entry.action, entry.tenant, entry.family, entry.workflow_key,
        entry.reason, entry.details::text
    ]) WITH ORDINALITY AS fields (field, place)
$$;

-- What is on record is on the disk: a session, a login or a database without synchronous_commit gets it for this transaction.
CREATE FUNCTION pipeline.append_audit(
    action text, tenant text, family text, workflow_key text, reason text, details jsonb
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    entry pipeline.audit;
    why text := CASE WHEN action IN ('identity.revealed', 'image.read')
        THEN pipeline.kept_why(tenant, workflow_key, reason) ELSE reason END;
BEGIN
    IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    INSERT INTO pipeline.audit AS a (
        who, application, client_address, action, tenant, family, workflow_key, reason, details
    ) VALUES (
        session_user, nullif(current_setting('application_name'), ''), inet_client_addr(), append_audit.action,
        append_audit.tenant, append_audit.family, append_audit.workflow_key, why, coalesce(append_audit.details, '{}')
    ) RETURNING a.* INTO entry;
    INSERT INTO pipeline.audit_unsealed (number, digest) VALUES (entry.number, pipeline.audit_digest(entry));
    RETURN entry.number;
END
$$;
COMMENT ON FUNCTION pipeline.append_audit IS
    'Adds a row to the audit trail in the caller''s transaction and returns its number; notes by itself who, when and from where.';

-- Links what was committed since, the lowest number first; how many rows. None while somebody else does it, or vacuums: the
-- next turn will. The lock is one that nobody without rights to the table can take.
CREATE FUNCTION pipeline.seal_audit(most integer DEFAULT 5000) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    entry record;
    place bigint;
    head bytea;
    sealed timestamptz;
    count integer := 0;
BEGIN
    BEGIN
        LOCK TABLE pipeline.audit_links IN SHARE UPDATE EXCLUSIVE MODE NOWAIT;
    EXCEPTION
        WHEN lock_not_available THEN RETURN 0;
    END;
    SELECT l.position, l.link INTO place, head FROM pipeline.audit_links l ORDER BY l.position DESC LIMIT 1;
    place := coalesce(place, 0);
    head := coalesce(head, sha256(''));
    sealed := clock_timestamp();
    FOR entry IN
        WITH taken AS (
            DELETE FROM pipeline.audit_unsealed
            WHERE number IN (SELECT u.number FROM pipeline.audit_unsealed u ORDER BY u.number LIMIT most)
            RETURNING number, digest
        )
        SELECT number, digest FROM taken ORDER BY number
    LOOP
        place := place + 1;
        head := sha256(
            head || int8send(place) || int8send(entry.number)
            || int8send((extract(epoch FROM sealed) * 1000000)::bigint) || entry.digest
        );
        INSERT INTO pipeline.audit_links (position, number, digest, sealed_at, link)
        VALUES (place, entry.number, entry.digest, sealed, head);
        count := count + 1;
    END LOOP;
    RETURN count;
END
$$;

CREATE VIEW compliance.audit_trail AS
SELECT a.number, a.happened_at, a.who, a.application, a.client_address, a.action, a.tenant, a.family, a.workflow_key,
    a.reason, a.details, l.position, l.sealed_at, encode(l.link, 'hex') AS link
FROM pipeline.audit a
LEFT JOIN pipeline.audit_links l ON l.number = a.number;
COMMENT ON VIEW compliance.audit_trail IS 'One thing that somebody did: a read in the clear, an erasure, a hold, a requeue, a change of roles or settings.';
COMMENT ON COLUMN compliance.audit_trail.number IS 'Number of the row; a missing number is a transaction that was rolled back.';
COMMENT ON COLUMN compliance.audit_trail.happened_at IS 'When, by the clock of the database.';
COMMENT ON COLUMN compliance.audit_trail.who IS 'The login that did it.';
COMMENT ON COLUMN compliance.audit_trail.application IS 'The program that the login used, by its own word.';
COMMENT ON COLUMN compliance.audit_trail.client_address IS 'Address of that program; empty over a local socket.';
COMMENT ON COLUMN compliance.audit_trail.action IS 'What was done, for example identity.revealed.';
COMMENT ON COLUMN compliance.audit_trail.tenant IS 'Which Jumio customer account of ours, where it is about one.';
COMMENT ON COLUMN compliance.audit_trail.family IS 'Product generation, where it is about one workflow.';
COMMENT ON COLUMN compliance.audit_trail.workflow_key IS 'The workflow that it is about, where it is about one.';
COMMENT ON COLUMN compliance.audit_trail.reason IS 'Why, in the words of who did it.';
COMMENT ON COLUMN compliance.audit_trail.details IS 'More about it, without personal data.';
COMMENT ON COLUMN compliance.audit_trail.position IS 'Place in the chain; empty for the seconds until it is sealed.';
COMMENT ON COLUMN compliance.audit_trail.sealed_at IS 'When it was linked to the row before.';
COMMENT ON COLUMN compliance.audit_trail.link IS 'SHA-256 over the row before''s link and this row, in hexadecimal.';

-- Finding a person: names and numbers as they are compared, the same under every locale.
DO $$
BEGIN
    IF current_setting('server_encoding') <> 'UTF8' THEN
        RAISE EXCEPTION 'the database must be encoded in UTF8' USING HINT = 'CREATE DATABASE ... ENCODING ''UTF8''';
    END IF;
    CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA pipeline;
    IF to_regproc('pipeline.word_similarity') IS NULL THEN
        RAISE EXCEPTION 'the extension pg_trgm is in another schema'
            USING HINT = 'As its owner: ALTER EXTENSION pg_trgm SET SCHEMA pipeline; then migrate again.';
    END IF;
END
$$;
-- Lower case without accents, the words in order of the alphabet: which name comes first is no matter.
CREATE FUNCTION pipeline.folded_name(clear text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(string_agg(word, ' ' ORDER BY word COLLATE "C"), '')
    FROM regexp_split_to_table(
        replace(replace(replace(replace(translate(
            lower(regexp_replace(normalize(clear, NFKD), '[\u0300-\u036f''’.]', '', 'g') COLLATE "C"),
            'ŁłØøĐđÐðıŊŋĦħŦŧАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯІЄЂЈЉЊЋЏΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩς',
            'llooddddinnhhttабвгдежзийклмнопрстуфхцчшщъыьэюяієђјљњћџαβγδεζηθικλμνξοπρστυφχψωσ'
        ), 'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'), 'Æ', 'ae'),
        '[\s,;:/<>()_-]+'
    ) AS word
    WHERE word <> ''
$$;
-- Letters and digits only; those that are taken for each other are one.
CREATE FUNCTION pipeline.folded_number(clear text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT translate(upper(regexp_replace(clear, '[^A-Za-z0-9]', '', 'g') COLLATE "C"), 'OQIBSZ', '001852')
$$;
ALTER TABLE pipeline.identities
    ADD COLUMN name_folded text GENERATED ALWAYS AS (
        pipeline.folded_name(coalesce(nullif(first_name, 'N/A'), '') || ' ' || coalesce(nullif(last_name, 'N/A'), ''))
    ) STORED,
    ADD COLUMN number_folded text GENERATED ALWAYS AS (pipeline.folded_number(document_number)) STORED;
-- find_person, one for each way to look.
CREATE INDEX identities_name ON pipeline.identities (name_folded);
CREATE INDEX identities_close_name ON pipeline.identities USING gin (name_folded pipeline.gin_trgm_ops);
CREATE INDEX identities_number ON pipeline.identities (number_folded);
CREATE INDEX identities_close_number ON pipeline.identities USING gin (number_folded pipeline.gin_trgm_ops);
CREATE INDEX identities_birth ON pipeline.identities (date_of_birth);
CREATE INDEX workflows_report ON pipeline.workflows (report_id);

-- Reads in the clear. A transaction that is rolled back takes its audit row with it, so nothing is shown before a row that
-- says who wants to see what, and why, was committed by an earlier transaction: the first call writes that row and shows
-- nothing, the same call again shows what was asked for. A row that is visible and of another transaction is committed.
CREATE TABLE pipeline.access_requests (
    number bigint PRIMARY KEY,
    made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    transaction xid8 NOT NULL DEFAULT pg_current_xact_id(),
    who text NOT NULL DEFAULT session_user,
    -- SHA-256 over the row's number and what was asked.
    asked bytea NOT NULL,
    -- What a search found: these, and no others, are shown, because the audit row tells of these.
    report_ids uuid[],
    positions integer[],
    scores real[]
);

COMMENT ON COLUMN pipeline.access_requests.report_ids IS 'Null until the search is made.';

CREATE FUNCTION pipeline.asked_digest(number bigint, asked text[]) RETURNS bytea LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT sha256(convert_to(number::text || to_jsonb(asked)::text, 'UTF8'))
$$;

-- The number of the caller's request, if an earlier transaction committed it within the last quarter of an hour.
CREATE FUNCTION pipeline.committed_request(asked text[]) RETURNS bigint LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT max(r.number) FROM pipeline.access_requests r
    WHERE r.who = session_user AND r.made_at > clock_timestamp() - interval '15 minutes'
        AND r.transaction IS DISTINCT FROM pg_current_xact_id_if_assigned()
        AND r.asked = pipeline.asked_digest(r.number, committed_request.asked)
$$;

-- Whether a reason says something: ten letters or digits of any script, four of them different. Blanks, dashes, accents alone
-- and what nobody sees do not count. Bound: a backslash in a string means what the caller's session makes of it.
CREATE FUNCTION pipeline.says_why(reason text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    SELECT count(*) >= 10 AND count(DISTINCT letter) >= 4
    FROM regexp_split_to_table(lower(regexp_replace(
        coalesce(reason, ''),
        '[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00a9\u00ab-\u00b4\u00b6-\u00b9\u00bb-\u00bf\u00d7\u00f7\u02b0-\u036f'
        '\u115f\u1160\u17b4\u17b5\u180b-\u180f\u1ab0-\u1aff\u1dc0-\u1dff\u2000-\u2bff\u2e00-\u2e7f\u3000-\u3004\u3008-\u3030'
        '\u3164\ue000-\uf8ff\ufe00-\ufe6f\ufeff\uffa0\ufff0-\uffff\U0001f000-\U0001faff\U000e0000-\U0010ffff]',
        '', 'g'
    )), '') AS letter
    WHERE letter <> ''
);
CREATE FUNCTION pipeline.require_reason(reason text) RETURNS void LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT pipeline.says_why(reason) THEN
        RAISE EXCEPTION 'say why, in at least ten letters: a case number and what it is about'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
END
$$;

-- What the first of the two calls answers.
CREATE FUNCTION pipeline.noted(number bigint) RETURNS text LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT 'Your reason is row ' || number || ' of the audit trail. Commit, then run the same statement again within'
        ' 15 minutes: it shows what you asked for.'
$$;

CREATE FUNCTION compliance.reveal_identity(tenant text, workflow_key text, reason text) RETURNS TABLE (
    family text, document_type text, document_subtype text, issuing_country text, first_name text, last_name text,
    date_of_birth text, document_number text, issuing_date text, expiry_date text, audit_number bigint, note text,
    issuing_state text
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    wanted text[] := ARRAY['identity.revealed', $1, $2, $3];
    request bigint := pipeline.committed_request(wanted);
BEGIN
    PERFORM pipeline.require_reason($3);
    audit_number := pipeline.append_audit('identity.revealed', $1, NULL, $2, $3, CASE
        WHEN request IS NULL THEN '{"step": "asked"}'::jsonb
        ELSE jsonb_build_object('step', 'shown', 'asked_as', request)
    END);
    IF request IS NULL THEN
        DELETE FROM pipeline.access_requests r WHERE r.made_at < clock_timestamp() - interval '15 minutes';
        INSERT INTO pipeline.access_requests (number, asked)
        VALUES (audit_number, pipeline.asked_digest(audit_number, wanted));
        note := pipeline.noted(audit_number);
        RAISE NOTICE '%', note;
        RETURN NEXT;
        RETURN;
    END IF;
    RETURN QUERY
    SELECT w.family, i.document_type, i.document_subtype, i.issuing_country, i.first_name, i.last_name, i.date_of_birth,
        i.document_number, i.issuing_date, i.expiry_date, audit_number, NULL::text, i.issuing_state
    FROM pipeline.workflows w
    JOIN pipeline.identities i ON i.report_id = w.report_id
    WHERE w.tenant = $1 AND w.workflow_key = $2
    ORDER BY w.family, i.position;
    IF NOT FOUND THEN
        note := 'No identity is kept of this tenant and workflow.';
        RETURN NEXT;
    END IF;
END
$$;
COMMENT ON FUNCTION compliance.reveal_identity IS 'The identity of one workflow in the clear. Call it twice: the first call writes who, when, which and why into the audit trail and shows nothing; after its commit the same call shows the identity, for 15 minutes, and writes a row again. So neither a rollback nor an error hides a reading. The reason: ten letters or more, a case number, no personal data.';

-- A date of birth, and if it need only be close: those with another day, month or year, or day and month changed over.
CREATE FUNCTION pipeline.births(born date, close boolean) RETURNS text[] LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN born IS NULL THEN NULL WHEN NOT close THEN ARRAY[to_char(born, 'YYYY-MM-DD')] ELSE
        ARRAY[to_char(born, 'YYYY-MM-DD'), to_char(born, 'YYYY-DD-MM')]
        || ARRAY(SELECT to_char(born, 'YYYY-MM-') || to_char(d, 'FM00') FROM generate_series(1, 31) d)
        || ARRAY(SELECT to_char(born, 'YYYY-') || to_char(m, 'FM00') || to_char(born, '-DD') FROM generate_series(1, 12) m)
        || ARRAY(
            SELECT to_char(extract(year FROM born)::integer + y, 'FM0000') || to_char(born, '-MM-DD')
            FROM generate_series(-10, 10) y
        )
    END
$$;

-- Searches, notes what was found, shows nothing; the number of the audit row.
CREATE FUNCTION pipeline.search_person(
    reason text, name text, born date, number text, close boolean, tenant text, wanted text[], request bigint
) RETURNS bigint LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pipeline, pg_temp
SET pg_trgm.similarity_threshold = 0.4 SET pg_trgm.word_similarity_threshold = 0.6 AS $$
DECLARE
    fits text := '($6 IS NULL OR w.tenant = $6)';
    hits record;
    written bigint;
BEGIN
    IF folded_name(name) <> '' THEN
        fits := fits || CASE WHEN close
            THEN ' AND (i.name_folded = $1 OR i.name_folded % $1 OR $1 <% i.name_folded)'
            ELSE ' AND i.name_folded = $1 AND $2 IN ('
                ' lower(concat_ws('' '', nullif(i.first_name, ''N/A''), nullif(i.last_name, ''N/A''))),'
                ' lower(concat_ws('' '', nullif(i.last_name, ''N/A''), nullif(i.first_name, ''N/A''))))'
        END;
    END IF;
    IF born IS NOT NULL THEN
        fits := fits || ' AND i.date_of_birth = ANY ($3)';
    END IF;
    IF folded_number(number) <> '' THEN
        fits := fits || CASE WHEN close THEN ' AND (i.number_folded = $4 OR i.number_folded % $4)'
            ELSE ' AND i.number_folded = $4'
                ' AND upper(regexp_replace(i.document_number, ''[^A-Za-z0-9]'', '''', ''g'')) = $5'
        END;
    END IF;
    EXECUTE 'SELECT array_agg(report_id) AS report_ids, array_agg(place) AS places, array_agg(score) AS scores,
        coalesce(jsonb_agg(jsonb_build_array(tenant, family, workflow_key)), ''[]'') AS workflows
    FROM (
        SELECT i.report_id, i.position AS place, w.tenant, w.family, w.workflow_key, least(
            coalesce(greatest(
                similarity(i.name_folded, $1), 0.9 * word_similarity($1, i.name_folded),
                (i.name_folded = $1)::integer
            ), 1),
            CASE WHEN i.date_of_birth = ($3)[1] OR $3 IS NULL THEN 1 ELSE 0.7 END,
            coalesce(greatest(similarity(i.number_folded, $4), (i.number_folded = $4)::integer), 1)
        )::real AS score
        FROM pipeline.identities i
        JOIN pipeline.workflows w ON w.report_id = i.report_id
        WHERE ' || fits || '
        ORDER BY score DESC, w.first_seen_at DESC LIMIT 100
    ) best' INTO hits USING
        nullif(folded_name(name), ''), lower(regexp_replace(btrim(name), '[[:space:]]+', ' ', 'g')), births(born, close),
        nullif(folded_number(number), ''), upper(regexp_replace(number, '[^A-Za-z0-9]', '', 'g')), tenant;
    written := append_audit('person.searched', tenant, NULL, NULL, reason, jsonb_build_object(
        'step', 'searched', 'asked_as', request, 'found', hits.workflows
    ));
    INSERT INTO access_requests (number, asked, report_ids, positions, scores)
    VALUES (written, asked_digest(written, wanted), coalesce(hits.report_ids, '{}'), hits.places, hits.scores);
    RETURN written;
END
$$;

-- Whether a reason tells who somebody is: by a name, of which every word must be in it, in any order and spelling; by a folded
-- document number; by a date of birth (YYYY-MM-DD), in any usual way to write it.
CREATE FUNCTION pipeline.says_who(reason text, name text, number text, born text) RETURNS boolean LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
    WITH said AS (
        SELECT string_to_array(pipeline.folded_name(spaced), ' ') AS words, pipeline.folded_number(spaced) AS number,
            ' ' || regexp_replace(regexp_replace(spaced, '[^0-9]+', ' ', 'g'), '(?<![0-9])0+(?=[0-9])', '', 'g') || ' '
                AS digits
        FROM translate($1, '.!"#$%&*+?@[]^`{|}~=„“”«»…–—', repeat(' ', 28)) AS spaced
    ), known AS (
        SELECT string_to_array(pipeline.folded_name(spaced), ' ') AS words, CASE WHEN $4 ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$'
            THEN string_to_array(regexp_replace($4, '(?<![0-9])0+(?=[0-9])', '', 'g'), '-') END AS born
        FROM translate($2, '.!"#$%&*+?@[]^`{|}~=„“”«»…–—', repeat(' ', 28)) AS spaced
    )
    SELECT coalesce(
        octet_length(array_to_string(known.words, '')) > 1 AND said.words @> known.words, false
    ) OR coalesce(length($3) > 4 AND position($3 IN said.number) > 0, false) OR coalesce(
        position(' ' || born[1] || ' ' || born[2] || ' ' || born[3] || ' ' IN said.digits) > 0
        OR position(' ' || born[3] || ' ' || born[2] || ' ' || born[1] || ' ' IN said.digits) > 0
        OR position(' ' || born[2] || ' ' || born[3] || ' ' || born[1] || ' ' IN said.digits) > 0, false
    )
    FROM said, known
$$;
-- A search's reason as it is kept: without the person, if it says what is searched for. Nobody is told, so nobody learns.
CREATE FUNCTION pipeline.searched_why(reason text, name text, born date, number text) RETURNS text LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN pipeline.says_who($1, $2, pipeline.folded_number($4), to_char($3, 'YYYY-MM-DD'))
        THEN 'not kept: it named the person' ELSE $1 END
$$;
REVOKE ALL ON FUNCTION pipeline.says_who, pipeline.searched_why FROM PUBLIC;
CREATE FUNCTION compliance.find_person(
    reason text, name text DEFAULT NULL, born date DEFAULT NULL, number text DEFAULT NULL,
    close boolean DEFAULT false, only_tenant text DEFAULT NULL
) RETURNS TABLE (
    tenant text, family text, workflow_key text, document_type text, issuing_country text, first_name text,
    last_name text, date_of_birth text, document_number text, score real, audit_number bigint, note text
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    wanted text[] := ARRAY['person.searched', $1, $2, to_char($3, 'YYYY-MM-DD'), $4, $5::text, $6];
    request bigint := pipeline.committed_request(wanted);
    hits uuid[];
    why CONSTANT text := pipeline.searched_why($1, $2, $3, $4);
BEGIN
    PERFORM pipeline.require_reason($1);
    IF coalesce(pipeline.folded_name($2), '') = '' AND $3 IS NULL AND coalesce(pipeline.folded_number($4), '') = '' THEN
        RAISE EXCEPTION 'say a name, a date of birth or a document number' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF request IS NULL THEN
        audit_number := pipeline.append_audit('person.searched', $6, NULL, NULL, why, jsonb_build_object(
            'step', 'asked', 'close', coalesce($5, false), 'by', to_jsonb(array_remove(ARRAY[
                CASE WHEN pipeline.folded_name($2) <> '' THEN 'name' END, CASE WHEN $3 IS NOT NULL THEN 'born' END,
                CASE WHEN pipeline.folded_number($4) <> '' THEN 'number' END
            ], NULL))
        ));
        DELETE FROM pipeline.access_requests r WHERE r.made_at < clock_timestamp() - interval '15 minutes';
        INSERT INTO pipeline.access_requests (number, asked)
        VALUES (audit_number, pipeline.asked_digest(audit_number, wanted));
        note := 'Your reason is row ' || audit_number || ' of the audit trail. Commit, then run the same statement again within'
            ' 15 minutes: it searches.';
        RAISE NOTICE '%', note;
        RETURN NEXT;
        RETURN;
    END IF;
    SELECT r.report_ids INTO hits FROM pipeline.access_requests r WHERE r.number = request;
    IF hits IS NULL THEN
        audit_number := pipeline.search_person(why, $2, $3, $4, coalesce($5, false), $6, wanted, request);
        SELECT r.report_ids INTO hits FROM pipeline.access_requests r WHERE r.number = audit_number;
        note := CASE cardinality(hits) WHEN 0 THEN 'Nobody was found.' ELSE
            'Found: ' || cardinality(hits) || '; row ' || audit_number || ' of the audit trail says which. Commit, then run the'
            ' same statement again within 15 minutes: it shows them.' END;
        RAISE NOTICE '%', note;
        RETURN NEXT;
        RETURN;
    END IF;
    audit_number := pipeline.append_audit(
        'person.searched', $6, NULL, NULL, why, jsonb_build_object('step', 'shown', 'asked_as', request)
    );
    RETURN QUERY
    SELECT w.tenant, w.family, w.workflow_key, i.document_type, i.issuing_country, i.first_name, i.last_name,
        i.date_of_birth, i.document_number, hit.score, audit_number, NULL::text
    FROM pipeline.access_requests r
    CROSS JOIN LATERAL unnest(r.report_ids, r.positions, r.scores) WITH ORDINALITY
        AS hit (report_id, place, score, rank)
    JOIN pipeline.identities i ON i.report_id = hit.report_id AND i.position = hit.place
    JOIN pipeline.workflows w ON w.report_id = i.report_id
    WHERE r.number = request
    ORDER BY hit.rank;
    IF NOT FOUND THEN
        note := 'Nobody was found.';
        RETURN NEXT;
    END IF;
END
$$;
COMMENT ON FUNCTION compliance.find_person IS 'Workflows of a person, by name, date of birth (born) and document number; all that are given must fit. Exact: case and order of names, blanks and dashes in numbers do not matter. Close: nor do accents, typing errors, missing names, and a wrong day, month or year. At most 100, the best first. Call it three times, each after the commit of the one before and within 15 minutes: the first call writes who, when, why and by what into the audit trail; the second searches, writes which workflows were found, and says how many; the third shows them. So neither a rollback nor an error hides a search.';

-- Logins: whoever may act as one of our roles is one, also by way of a group; who may only hand a role on is none.
CREATE FUNCTION pipeline.acts_as(login name, part name) RETURNS boolean LANGUAGE sql STABLE
RETURN CASE WHEN current_setting('server_version_num')::integer >= 160000
    THEN pg_has_role(login, part, 'USAGE') OR pg_has_role(login, part, 'SET')
    ELSE pg_has_role(login, part, 'MEMBER') END;

-- Logins. The password stays with whoever made it: the server gets a SCRAM verifier.
CREATE FUNCTION pipeline.change_login(change text, login text, part text, verifier text, reason text) RETURNS void
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
        SELECT string_agg(held, ', ') INTO part FROM pg_roles l
        CROSS JOIN LATERAL unnest(parts) AS held
        WHERE l.rolname = login AND l.rolname <> ALL (parts) AND NOT l.rolsuper AND pipeline.acts_as(l.rolname, held);
        IF part IS NULL THEN
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

-- Nobody may do what is not granted below.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA compliance FROM PUBLIC;
REVOKE ALL ON FUNCTION pipeline.refuse_change, pipeline.masked, pipeline.masked_date, pipeline.refuse_rewriting,
    pipeline.audit_digest, pipeline.append_audit, pipeline.seal_audit, pipeline.folded_name, pipeline.folded_number,
    pipeline.asked_digest, pipeline.committed_request, pipeline.require_reason, pipeline.noted, pipeline.search_person,
    pipeline.births, pipeline.change_login, pipeline.says_why, pipeline.acts_as, pipeline.refuse_forgetting,
    pipeline.refuse_losing FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
-- What later migrations put into the interface is masked and for analysts, unless they revoke it. Functions are not:
-- each is granted by the migration that makes it.
ALTER DEFAULT PRIVILEGES IN SCHEMA compliance
    GRANT SELECT ON TABLES TO compliance_analyst, compliance_investigator, jumio_admin;

-- People.
GRANT USAGE ON SCHEMA compliance TO compliance_analyst, compliance_investigator, compliance_auditor, jumio_admin;
GRANT SELECT ON compliance.workflows, compliance.verdicts, compliance.checks, compliance.steps, compliance.images,
    compliance.identities, compliance.callbacks, compliance.events
    TO compliance_analyst, compliance_investigator, jumio_admin;
GRANT EXECUTE ON FUNCTION pipeline.masked, pipeline.masked_date
    TO compliance_analyst, compliance_investigator, jumio_admin;
GRANT EXECUTE ON FUNCTION compliance.reveal_identity, compliance.find_person TO compliance_investigator;
GRANT SELECT ON compliance.audit_trail TO compliance_auditor, jumio_admin;
GRANT USAGE ON SCHEMA pipeline TO jumio_receiver, jumio_relay, jumio_worker, jumio_admin, compliance_auditor;
GRANT SELECT ON pipeline.audit, pipeline.audit_unsealed, pipeline.audit_links TO compliance_auditor, jumio_admin;

-- The receiver adds callbacks and reads none of them back; what it counts is states, sizes and times.
GRANT INSERT ON pipeline.callbacks TO jumio_receiver;
GRANT SELECT (id, state, bytes, next_attempt_at) ON pipeline.callbacks TO jumio_receiver;
GRANT SELECT (state, next_attempt_at) ON pipeline.images, pipeline.deliveries TO jumio_receiver;
GRANT SELECT, INSERT, UPDATE ON pipeline.pulses, pipeline.source_lookups TO jumio_receiver;
GRANT SELECT, INSERT, UPDATE, DELETE ON pipeline.source_addresses TO jumio_receiver;

-- The relay sees which rows are due, not what is in them.
GRANT SELECT (
    id, state, client_address, source_evidence, received_at, next_attempt_at, leased_until, claimed_until, last_error
), UPDATE (state, source_evidence, next_attempt_at, leased_until, last_error, finished_at), DELETE
    ON pipeline.callbacks TO jumio_relay;
GRANT SELECT (id, state, next_attempt_at, leased_until, claimed_until), UPDATE (leased_until)
    ON pipeline.images TO jumio_relay;
GRANT SELECT (
    id, state, next_attempt_at, leased_until, claimed_until, tenant, family, workflow_key, sequence, destination,
    subscription_id
), UPDATE (leased_until) ON pipeline.deliveries TO jumio_relay;
GRANT SELECT, INSERT, UPDATE, DELETE ON pipeline.pulses TO jumio_relay;
GRANT SELECT ON pipeline.source_addresses TO jumio_relay;
GRANT EXECUTE ON FUNCTION pipeline.seal_audit TO jumio_relay, jumio_admin;

-- The worker writes identities and verdicts, and reads no identity back.
GRANT SELECT, UPDATE ON pipeline.callbacks TO jumio_worker;
GRANT SELECT, INSERT, UPDATE ON pipeline.workflows, pipeline.images, pipeline.deliveries, pipeline.tokens,
    pipeline.drift, pipeline.pulses TO jumio_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON pipeline.breakers TO jumio_worker;
GRANT SELECT, INSERT ON pipeline.verdicts, pipeline.events TO jumio_worker;
GRANT SELECT (id, digest), INSERT ON pipeline.reports TO jumio_worker;
GRANT INSERT ON pipeline.checks, pipeline.steps, pipeline.identities TO jumio_worker;
GRANT SELECT, INSERT, UPDATE (sealed) ON pipeline.image_blobs TO jumio_worker;
GRANT SELECT, UPDATE (removed_at) ON pipeline.subscriptions TO jumio_worker;
GRANT EXECUTE ON FUNCTION pipeline.append_audit, pipeline.folded_name, pipeline.folded_number TO jumio_worker;

-- The operator's commands: everything but people's data in the clear, and the trail, which they only add to.
GRANT SELECT, DELETE ON pipeline.callbacks, pipeline.images, pipeline.reports, pipeline.workflows, pipeline.tokens TO jumio_admin;
GRANT SELECT, UPDATE, DELETE ON pipeline.deliveries, pipeline.image_blobs, pipeline.breakers TO jumio_admin;
-- The operator changes what his commands change, and no word of a verdict, a workflow or a callback.
GRANT UPDATE (last_sequence) ON pipeline.workflows TO jumio_admin;
GRANT UPDATE (sealed) ON pipeline.reports TO jumio_admin;
GRANT UPDATE (sealed_token) ON pipeline.tokens TO jumio_admin;
GRANT UPDATE (
    state, forgiven, next_attempt_at, leased_until, claimed_until, last_error, finished_at, requeued_at, source_evidence,
    sealed_body, sealed_head
) ON pipeline.callbacks TO jumio_admin;
GRANT UPDATE (
    state, forgiven, next_attempt_at, leased_until, claimed_until, last_error, finished_at, requeued_at, sha256, stored_at,
    store, blob_key, key_id
) ON pipeline.images TO jumio_admin;
GRANT SELECT, DELETE ON pipeline.verdicts, pipeline.checks, pipeline.steps, pipeline.events, pipeline.drift,
    pipeline.source_lookups, pipeline.source_addresses, pipeline.pulses TO jumio_admin;
GRANT SELECT (report_id, position), DELETE ON pipeline.identities TO jumio_admin;
GRANT SELECT, INSERT, UPDATE, DELETE ON pipeline.subscriptions TO jumio_admin;
GRANT EXECUTE ON FUNCTION pipeline.append_audit TO jumio_admin;

-- Sealed values: by which key, and the audited way to sealed images.

-- Id of the key that sealed a value; of what was never sealed, anything. Reads only the beginning of a large value.
CREATE FUNCTION pipeline.key_id(sealed bytea) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN octet_length(sealed) > 2
        THEN encode(substring(sealed FROM 3 FOR get_byte(substring(sealed FROM 2 FOR 1), 0)), 'escape') ELSE '' END
$$;

-- The only way for an investigator to sealed images, in two calls as with compliance.reveal_identity.
CREATE FUNCTION compliance.open_images(
    tenant text, workflow_key text, reason text, credential_id text DEFAULT NULL, classifier text DEFAULT NULL
) RETURNS TABLE (
    image_id uuid, credential text, part text, media_type text, sha256 bytea, store text, blob_key text, sealed bytea,
    audit_number bigint, note text
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    wanted text[] := ARRAY['image.read', $1, $2, $3, $4, $5];
    request bigint := pipeline.committed_request(wanted);
    found uuid[] := ARRAY(
        SELECT i.id FROM pipeline.images i
        WHERE i.tenant = $1 AND i.workflow_key = $2 AND i.state = 'stored'
            AND i.credential_id = coalesce($4, i.credential_id) AND i.classifier = coalesce($5, i.classifier)
        ORDER BY i.credential_id, i.classifier
    );
BEGIN
    PERFORM pipeline.require_reason($3);
    audit_number := pipeline.append_audit('image.read', $1, NULL, $2, $3, jsonb_build_object(
        'step', CASE WHEN request IS NULL THEN 'asked' ELSE 'shown' END, 'asked_as', request, 'images', to_jsonb(found)
    ));
    IF request IS NULL THEN
        DELETE FROM pipeline.access_requests r WHERE r.made_at < clock_timestamp() - interval '15 minutes';
        INSERT INTO pipeline.access_requests (number, asked)
        VALUES (audit_number, pipeline.asked_digest(audit_number, wanted));
        note := pipeline.noted(audit_number);
        RETURN NEXT;
        RETURN;
    END IF;
    RETURN QUERY
    SELECT i.id, i.credential_id, i.classifier, i.media_type, i.sha256, i.store, i.blob_key, b.sealed, audit_number,
        NULL::text
    FROM pipeline.images i
    LEFT JOIN pipeline.image_blobs b ON i.store = 'postgres:' AND b.key = i.blob_key
    WHERE i.id = ANY (found) AND i.state = 'stored'
    ORDER BY i.credential_id, i.classifier;
END
$$;
COMMENT ON FUNCTION compliance.open_images IS
    'The sealed images of a workflow, for `jumio-pipeline images get`, which has the keys. Call it twice, as reveal_identity: the first call writes who, when, which and why into the audit trail and shows nothing. Who has no keys gets nothing that can be looked at.';
REVOKE ALL ON FUNCTION compliance.open_images, pipeline.key_id FROM PUBLIC;
GRANT EXECUTE ON FUNCTION compliance.open_images TO compliance_investigator;
-- keys status and keys rotate, images verify and images move.
GRANT EXECUTE ON FUNCTION pipeline.key_id TO jumio_admin;
GRANT INSERT ON pipeline.image_blobs TO jumio_admin;
-- A worker puts blobs, reads and changes none, and takes back its own where another attempt was faster.
REVOKE SELECT, UPDATE (sealed) ON pipeline.image_blobs FROM jumio_worker;
GRANT SELECT (key), DELETE ON pipeline.image_blobs TO jumio_worker;
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

-- The feed reads what is sent to everybody, notes who read, and may number events anew.
GRANT USAGE ON SCHEMA pipeline TO jumio_feed;
GRANT SELECT (id, tenant, type, sequence, occurred_at, body, position), UPDATE (position) ON pipeline.events TO jumio_feed;
GRANT SELECT, UPDATE (epoch) ON pipeline.feed TO jumio_feed;
GRANT SELECT, INSERT, UPDATE ON pipeline.pulses TO jumio_feed;
GRANT SELECT (name, token_sha256, tenants, last_used_at, revoked_at), UPDATE (last_used_at) ON pipeline.consumers
    TO jumio_feed;
GRANT SELECT (name, tenants, created_at, last_used_at, revoked_at), INSERT, UPDATE (revoked_at) ON pipeline.consumers
    TO jumio_admin;

CREATE FUNCTION pipeline.forget_body() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.sealed_body := NULL;
    RETURN NEW;
END
$$;
CREATE TRIGGER deliveries_forget_body BEFORE UPDATE ON pipeline.deliveries
    FOR EACH ROW WHEN (NEW.state IN ('delivered', 'cancelled') AND NEW.sealed_body IS NOT NULL)
    EXECUTE FUNCTION pipeline.forget_body();

-- A worker sees identities only in this way: those of one delivery that is still to be sent, to a subscription that asked
-- for them, and on record.
CREATE FUNCTION pipeline.take_identities(delivery_id uuid) RETURNS TABLE (
    document_type text, document_subtype text, issuing_country text, first_name text, last_name text,
    date_of_birth text, document_number text, issuing_date text, expiry_date text
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    sent record;
BEGIN
    SELECT e.id AS event_id, e.tenant, e.family, e.workflow_key, s.id AS subscription_id, v.report_id INTO sent
    FROM pipeline.deliveries d
    JOIN pipeline.events e ON e.id = d.event_id
    JOIN pipeline.subscriptions s ON s.id = d.subscription_id
    JOIN pipeline.verdicts v ON v.tenant = e.tenant AND v.family = e.family AND v.workflow_key = e.workflow_key
        AND v.version = (e.body::jsonb #>> '{data,verdict_version}')::integer
    WHERE d.id = take_identities.delivery_id AND d.state = 'pending' AND s.removed_at IS NULL
        AND 'identity' = ANY (s.enrich);
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM pipeline.append_audit(
        'event.enriched', sent.tenant, sent.family, sent.workflow_key, 'the subscription asked for it',
        jsonb_build_object('event', sent.event_id, 'subscription', sent.subscription_id, 'with', 'identity')
    );
    RETURN QUERY
    SELECT i.document_type, i.document_subtype, i.issuing_country, i.first_name, i.last_name, i.date_of_birth,
        i.document_number, i.issuing_date, i.expiry_date
    FROM pipeline.identities i WHERE i.report_id = sent.report_id ORDER BY i.position;
END
$$;

REVOKE ALL ON FUNCTION pipeline.forget_body, pipeline.take_identities FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pipeline.take_identities TO jumio_worker;
GRANT SELECT ON pipeline.checks, pipeline.steps TO jumio_worker;

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
CREATE OR REPLACE VIEW compliance.identities WITH (security_barrier = true) AS
SELECT w.tenant, w.family, w.workflow_key, w.verdict_version, i.document_type, i.document_subtype, i.issuing_country,
    pipeline.masked(i.first_name) AS first_name, pipeline.masked(i.last_name) AS last_name,
    pipeline.masked_date(i.date_of_birth) AS date_of_birth, pipeline.masked(i.document_number) AS document_number,
    pipeline.masked_date(i.expiry_date) AS expiry_date, pipeline.masked_date(i.issuing_date) AS issuing_date,
    i.position
FROM pipeline.workflows w
JOIN pipeline.identities i ON i.report_id = w.report_id;
COMMENT ON VIEW compliance.identities IS 'Data extracted from one document, masked: *** where there is a text, the year of a date. compliance.reveal_identity shows it in the clear to those who say why. Addresses, gender, nationality and places finer than the country are in the sealed report only.';
COMMENT ON COLUMN compliance.identities.issuing_date IS 'Masked to the year.';
COMMENT ON COLUMN compliance.identities.position IS 'Which document of the report, from 0.';

CREATE VIEW compliance.evidence AS
SELECT v.tenant, v.family, v.workflow_key, v.version, v.outcome, v.label, v.valid_from, v.recorded_at, v.rests_on,
    (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'capability', c.capability, 'outcome', c.outcome, 'label', c.label, 'credential_ids', c.credential_ids
        ) ORDER BY c.position), '[]')
        FROM pipeline.checks c WHERE c.report_id = v.report_id
    ) AS checks,
    r.fetched_at AS report_fetched_at, r.bytes AS report_bytes, encode(r.digest, 'hex') AS report_sha256,
    v.callback_id, c.status AS callback_status, c.received_at AS callback_received_at, c.sent_at AS callback_sent_at,
    encode(c.sha256, 'hex') AS callback_sha256, c.client_address AS source_ip,
    c.source_evidence ->> 'rule' AS source_rule, c.source_evidence ->> 'name' AS source_name,
    octet_length(r.sealed) > 0 AS report_kept, octet_length(c.sealed_body) > 0 AS callback_body_kept
FROM pipeline.verdicts v
LEFT JOIN pipeline.reports r ON r.id = v.report_id
LEFT JOIN pipeline.callbacks c ON c.id = v.callback_id;
COMMENT ON VIEW compliance.evidence IS 'One version of a verdict with what it rests on: the checks of its report, the report''s hash, and the callback with its proven source. What else Jumio said is in the sealed report only.';
COMMENT ON COLUMN compliance.evidence.tenant IS 'Which Jumio customer account of ours.';
COMMENT ON COLUMN compliance.evidence.family IS 'Product generation: kyx, netverify, authentication or document.';
COMMENT ON COLUMN compliance.evidence.workflow_key IS 'Workflow execution id, scan reference or transaction reference.';
COMMENT ON COLUMN compliance.evidence.version IS 'Version of the verdict.';
COMMENT ON COLUMN compliance.evidence.outcome IS 'passed, rejected, warning, not_executed, expired or unsupported.';
COMMENT ON COLUMN compliance.evidence.label IS 'Jumio''s own word for the decision.';
COMMENT ON COLUMN compliance.evidence.valid_from IS 'Since when it was true.';
COMMENT ON COLUMN compliance.evidence.recorded_at IS 'When it was recorded here.';
COMMENT ON COLUMN compliance.evidence.rests_on IS 'retrieval: read from Jumio with our credentials; callback: only what a legacy callback said itself.';
COMMENT ON COLUMN compliance.evidence.checks IS 'JSON list of the checks of this version''s report, by which the person was verified: objects with capability, outcome, label and credential_ids.';
COMMENT ON COLUMN compliance.evidence.report_fetched_at IS 'When the report was written here.';
COMMENT ON COLUMN compliance.evidence.report_bytes IS 'Size of the report as fetched.';
COMMENT ON COLUMN compliance.evidence.report_sha256 IS 'SHA-256 of the report as canonical JSON, in hexadecimal.';
COMMENT ON COLUMN compliance.evidence.callback_id IS 'The callback that led to it.';
COMMENT ON COLUMN compliance.evidence.callback_status IS 'The status that the callback named.';
COMMENT ON COLUMN compliance.evidence.callback_received_at IS 'When the callback arrived here.';
COMMENT ON COLUMN compliance.evidence.callback_sent_at IS 'When Jumio sent it, by its own word.';
COMMENT ON COLUMN compliance.evidence.callback_sha256 IS 'SHA-256 of its body as received, in hexadecimal.';
COMMENT ON COLUMN compliance.evidence.source_ip IS 'Address that it came from, seen through trusted proxies.';
COMMENT ON COLUMN compliance.evidence.source_rule IS 'Why it was admitted: dns, extra (configured) or observe (nobody was refused then).';
COMMENT ON COLUMN compliance.evidence.source_name IS 'The name of Jumio''s that DNS gave this address for.';
COMMENT ON COLUMN compliance.evidence.report_kept IS 'Whether the report is kept here, sealed; retention deletes it and leaves its hash.';
COMMENT ON COLUMN compliance.evidence.callback_body_kept IS 'Whether the callback''s body is kept here, sealed; retention deletes it and leaves its hash.';

CREATE VIEW compliance.deliveries AS
SELECT d.event_id, d.tenant, d.family, d.workflow_key, d.sequence, e.type, d.destination,
    -- Addresses of subscribers often carry a secret after the host.
    substring(s.url FROM '^[^:]+://(?:[^/?#@]*@)?([^/?#]+)') AS subscriber, d.state,
    d.attempts - d.forgiven AS attempts, d.finished_at AS settled_at, d.last_status, d.last_error AS reason
FROM pipeline.deliveries d
JOIN pipeline.events e ON e.id = d.event_id
LEFT JOIN pipeline.subscriptions s ON s.id = d.subscription_id;
COMMENT ON VIEW compliance.deliveries IS 'One event on its way to one receiver: a webhook subscriber, the Redis stream, or an exchange.';
COMMENT ON COLUMN compliance.deliveries.event_id IS 'Id of the event.';
COMMENT ON COLUMN compliance.deliveries.tenant IS 'Which Jumio customer account of ours.';
COMMENT ON COLUMN compliance.deliveries.family IS 'Product generation: kyx, netverify, authentication or document.';
COMMENT ON COLUMN compliance.deliveries.workflow_key IS 'What the event is about.';
COMMENT ON COLUMN compliance.deliveries.sequence IS 'Number of the event within its workflow.';
COMMENT ON COLUMN compliance.deliveries.type IS 'Type of the event, for example kyc.workflow.decided.v1.';
COMMENT ON COLUMN compliance.deliveries.destination IS 'webhook, stream or exchange.';
COMMENT ON COLUMN compliance.deliveries.subscriber IS 'Host of the webhook subscriber; empty for the other destinations.';
COMMENT ON COLUMN compliance.deliveries.state IS 'pending, delivered, parked (gave up; requeue it) or cancelled (the subscription ended).';
COMMENT ON COLUMN compliance.deliveries.attempts IS 'How often it was tried.';
COMMENT ON COLUMN compliance.deliveries.settled_at IS 'When it was delivered, parked or cancelled; empty while it is pending.';
COMMENT ON COLUMN compliance.deliveries.last_status IS 'The subscriber''s latest HTTP status.';
COMMENT ON COLUMN compliance.deliveries.reason IS 'Why it is parked or cancelled, or the last failure so far.';

-- Of what was recorded by then, the last word on the moment asked about. A later version speaks from its valid_from on,
-- whatever earlier ones said of that time; the order is that of versions, because clocks of workers differ.
-- What is recorded is true by then: Jumio's clock may be ahead of ours.
-- One plain SELECT, run as who calls it: Postgres puts it in place, so a condition on its result reaches the index.
CREATE FUNCTION compliance.verdicts_as_of(true_at timestamptz, known_at timestamptz DEFAULT 'infinity')
RETURNS TABLE (
    tenant text, family text, workflow_key text, version integer, outcome text, label text, risk_score numeric,
    reasons jsonb, valid_from timestamptz, recorded_at timestamptz, callback_id uuid, rests_on text
) LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT DISTINCT ON (v.workflow_key, v.tenant, v.family)
        v.tenant, v.family, v.workflow_key, v.version, v.outcome, v.label, v.risk_score, v.reasons, v.valid_from,
        v.recorded_at, v.callback_id, v.rests_on
    FROM compliance.verdicts v
    WHERE least(v.valid_from, v.recorded_at) <= verdicts_as_of.true_at AND v.recorded_at <= verdicts_as_of.known_at
    ORDER BY v.workflow_key DESC, v.tenant DESC, v.family DESC, v.version DESC;
END;
COMMENT ON FUNCTION compliance.verdicts_as_of IS 'The verdict of each workflow that was true at true_at, by what was recorded here until known_at; without known_at by all that is known. (t, t) is what we held to be true then; (t) is what we now know to have been true then.';

GRANT EXECUTE ON FUNCTION compliance.verdicts_as_of TO compliance_analyst, compliance_investigator, jumio_admin;

-- How long things are kept, who may not be deleted, and what stays when somebody was.

-- Told by the customer's own systems: when the business relationship ended, for policies whose clock starts then.
CREATE TABLE pipeline.relationship_ends (
    tenant text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('workflow', 'account', 'user-reference')),
    subject text NOT NULL,
    ended_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, kind, subject)
);

CREATE TABLE pipeline.holds (
    id uuid PRIMARY KEY,
    tenant text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('workflow', 'account', 'user-reference')),
    subject text NOT NULL,
    reason text NOT NULL,
    placed_by text NOT NULL DEFAULT session_user,
    placed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    released_at timestamptz
);
CREATE UNIQUE INDEX holds_standing ON pipeline.holds (tenant, kind, subject) WHERE released_at IS NULL;

CREATE FUNCTION pipeline.is_held(tenant text, workflow_key text, account_id text, user_reference text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM pipeline.holds h
        WHERE h.released_at IS NULL AND h.tenant = is_held.tenant AND (
            h.kind = 'workflow' AND h.subject = is_held.workflow_key
            OR h.kind = 'account' AND h.subject = is_held.account_id
            OR h.kind = 'user-reference' AND h.subject = is_held.user_reference
        )
    )
$$;

-- The moments from which a policy may count, one row a workflow; an empty one has not come yet.
CREATE VIEW pipeline.clocks AS
SELECT w.tenant, w.family, w.workflow_key, w.first_seen_at AS received, w.decided_at AS decided,
    coalesce(w.completed_at, w.decided_at) AS completed,
    (
        SELECT max(e.ended_at) FROM pipeline.relationship_ends e
        WHERE e.tenant = w.tenant AND (
            e.kind = 'workflow' AND e.subject = w.workflow_key
            OR e.kind = 'account' AND e.subject = w.account_id
            OR e.kind = 'user-reference' AND e.subject = w.user_reference
        )
        -- What ended before the workflow began was another relationship: its customer has come back.
        AND e.ended_at >= date_trunc('day', least(w.started_at, w.completed_at, w.first_seen_at), 'UTC')
    ) AS relationship_ended,
    pipeline.is_held(w.tenant, w.workflow_key, w.account_id, w.user_reference) AS held
FROM pipeline.workflows w;

-- What shows a face, or is made from one, is of a special category.
CREATE FUNCTION pipeline.is_biometric(category text, classifier text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(category IN ('SELFIE', 'FACEMAP'), false)
    OR upper(classifier) LIKE ANY (ARRAY['FACE%', 'LIVENESS%', '%SELFIE%']);

-- All that a policy speaks of, by class, with the moments from which it may count. What has lost its workflow, or never
-- had one, has only the moment at which it came. An image, a body or a report that is gone is not here any more. A
-- workflow is not here while something of it waits for a worker or a subscriber; it takes all that is left of it along,
-- so whatever its clock says, it is not counted from before the last that came of it (`not_before`).
CREATE VIEW pipeline.retained AS
SELECT 'biometric_images' AS class, 'images' AS place, i.id, i.tenant, i.family, i.workflow_key, i.stored_at AS received,
    c.decided, c.completed, c.relationship_ended, c.held,
    NULL::timestamptz AS not_before
FROM pipeline.images i JOIN pipeline.clocks c USING (tenant, family, workflow_key)
WHERE i.state = 'stored' AND pipeline.is_biometric(i.category, i.classifier)
UNION ALL
SELECT 'document_images', 'images', i.id, i.tenant, i.family, i.workflow_key, i.stored_at, c.decided, c.completed,
    c.relationship_ended, c.held, NULL
FROM pipeline.images i JOIN pipeline.clocks c USING (tenant, family, workflow_key)
WHERE i.state = 'stored' AND NOT pipeline.is_biometric(i.category, i.classifier)
UNION ALL
SELECT 'identities', 'identities', r.id, r.tenant, r.family, r.workflow_key, r.fetched_at, c.decided, c.completed,
    c.relationship_ended, c.held, NULL
FROM pipeline.identities JOIN pipeline.reports r ON r.id = report_id JOIN pipeline.clocks c USING (tenant, family, workflow_key)
UNION ALL
SELECT 'raw', 'reports', r.id, r.tenant, r.family, r.workflow_key, r.fetched_at, c.decided, c.completed,
    c.relationship_ended, c.held, NULL
FROM pipeline.reports r JOIN pipeline.clocks c USING (tenant, family, workflow_key)
WHERE octet_length(r.sealed) > 0
UNION ALL
SELECT 'raw', 'callbacks', b.id, b.tenant, b.family, b.workflow_key, b.received_at,
    CASE WHEN c.held IS NULL THEN b.received_at ELSE c.decided END,
    CASE WHEN c.held IS NULL THEN b.received_at ELSE c.completed END,
    CASE WHEN c.held IS NULL THEN b.received_at ELSE c.relationship_ended END,
    coalesce(c.held, pipeline.is_held(b.tenant, b.workflow_key, b.account_id, NULL)), NULL
FROM pipeline.callbacks b LEFT JOIN pipeline.clocks c
    ON (c.tenant, c.family, c.workflow_key) = (b.tenant, b.family, b.workflow_key)
WHERE b.state IN ('done', 'parked', 'refused') AND octet_length(b.sealed_body) > 0
UNION ALL
SELECT 'events', 'events', e.id, e.tenant, e.family, e.workflow_key, e.occurred_at,
    CASE WHEN c.held IS NULL THEN e.occurred_at ELSE c.decided END,
    CASE WHEN c.held IS NULL THEN e.occurred_at ELSE c.completed END,
    CASE WHEN c.held IS NULL THEN e.occurred_at ELSE c.relationship_ended END, coalesce(c.held, false), NULL
FROM pipeline.events e LEFT JOIN pipeline.clocks c
    ON (c.tenant, c.family, c.workflow_key) = (e.tenant, e.family, e.workflow_key)
WHERE NOT EXISTS (SELECT FROM pipeline.deliveries d WHERE d.event_id = e.id AND d.state = 'pending')
UNION ALL
SELECT 'verdicts', 'workflows', NULL, c.tenant, c.family, c.workflow_key, c.received, c.decided, c.completed,
    c.relationship_ended, c.held,
    greatest(
        c.received, c.decided,
        (SELECT max(b.received_at) FROM pipeline.callbacks b
            WHERE (b.tenant, b.family, b.workflow_key) = (c.tenant, c.family, c.workflow_key)),
        (SELECT max(r.fetched_at) FROM pipeline.reports r
            WHERE (r.tenant, r.family, r.workflow_key) = (c.tenant, c.family, c.workflow_key)),
        (SELECT max(i.stored_at) FROM pipeline.images i
            WHERE (i.tenant, i.family, i.workflow_key) = (c.tenant, c.family, c.workflow_key)),
        (SELECT max(e.occurred_at) FROM pipeline.events e
            WHERE (e.tenant, e.family, e.workflow_key) = (c.tenant, c.family, c.workflow_key))
    )
FROM pipeline.clocks c
WHERE NOT EXISTS (SELECT FROM pipeline.callbacks b WHERE b.state = 'stored'
        AND (b.tenant, b.family, b.workflow_key) = (c.tenant, c.family, c.workflow_key))
    AND NOT EXISTS (SELECT FROM pipeline.images i WHERE i.state = 'wanted'
        AND (i.tenant, i.family, i.workflow_key) = (c.tenant, c.family, c.workflow_key))
    AND NOT EXISTS (SELECT FROM pipeline.deliveries d WHERE d.state = 'pending'
        AND (d.tenant, d.family, d.workflow_key) = (c.tenant, c.family, c.workflow_key));

-- What an erasure leaves: a certificate without a name, a number or a reference of the person.
CREATE TABLE pipeline.erasures (
    id uuid PRIMARY KEY,
    tenant text NOT NULL,
    scope text NOT NULL CHECK (scope IN ('workflow', 'account', 'user-reference')),
    reason text NOT NULL,
    erased_by text NOT NULL DEFAULT session_user,
    erased_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    rows jsonb NOT NULL,
    -- Damaged spool lines, and files of them on other machines, in which nobody could look.
    unsearched integer NOT NULL DEFAULT 0
);

-- By which a late callback of an erased subject is known: SHA-256 of `workflow/TENANT/KEY` or `account/TENANT/ID`.
-- Jumio's ids are random numbers of 122 bits, so that nobody finds one by trying.
CREATE TABLE pipeline.tombstones (
    digest bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    erasure_id uuid NOT NULL REFERENCES pipeline.erasures,
    hits integer NOT NULL DEFAULT 0,
    last_hit_at timestamptz
);
CREATE INDEX tombstones_erasure ON pipeline.tombstones (erasure_id);

CREATE FUNCTION pipeline.tombstone(kind text, tenant text, subject text) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT sha256(convert_to(kind || '/' || tenant || '/' || subject, 'UTF8'))
$$;

CREATE FUNCTION pipeline.is_erased(tenant text, workflow_key text, account_id text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM pipeline.tombstones t WHERE t.digest IN (
            pipeline.tombstone('account', is_erased.tenant, is_erased.account_id),
            pipeline.tombstone('workflow', is_erased.tenant, is_erased.workflow_key)
        )
    )
$$;

-- The worker deletes no callback but one of somebody who was erased. Whether this call did; then it is counted.
CREATE FUNCTION pipeline.drop_erased(callback_id uuid, tenant text, workflow_key text, account_id text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    grave bytea := (
        SELECT t.digest FROM pipeline.tombstones t WHERE t.digest IN (
            pipeline.tombstone('account', drop_erased.tenant, drop_erased.account_id),
            pipeline.tombstone('workflow', drop_erased.tenant, drop_erased.workflow_key)
        ) LIMIT 1
    );
BEGIN
    DELETE FROM pipeline.callbacks c
    WHERE c.id = drop_erased.callback_id AND c.tenant = drop_erased.tenant AND grave IS NOT NULL;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE pipeline.tombstones SET hits = hits + 1, last_hit_at = clock_timestamp() WHERE digest = grave;
    RETURN true;
END
$$;

-- Whoever writes a workflow for the first time waits for an erasure that is under way, and loses against it.
CREATE FUNCTION pipeline.refuse_erased() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    account bytea := pipeline.tombstone('account', NEW.tenant, NEW.account_id);
    workflow bytea := pipeline.tombstone('workflow', NEW.tenant, NEW.workflow_key);
BEGIN
    -- Older generations know no account: one lock for all of them would be one that anybody can take.
    IF NEW.account_id <> '' THEN
        PERFORM pg_advisory_xact_lock_shared(hashtextextended(encode(account, 'hex'), 0));
    END IF;
    PERFORM pg_advisory_xact_lock_shared(hashtextextended(encode(workflow, 'hex'), 0));
    IF pipeline.is_erased(NEW.tenant, NEW.workflow_key, NEW.account_id) THEN
        RAISE EXCEPTION 'this subject was erased' USING ERRCODE = 'JPERA';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER workflows_stay_erased BEFORE INSERT ON pipeline.workflows
    FOR EACH ROW EXECUTE FUNCTION pipeline.refuse_erased();

-- What an erasure has still to do elsewhere; what it needs for that is forgotten when it is done.
CREATE TABLE pipeline.deletions (
    id uuid PRIMARY KEY,
    erasure_id uuid NOT NULL REFERENCES pipeline.erasures,
    place text NOT NULL CHECK (place IN ('jumio', 'stream')),
    tenant text NOT NULL,
    family text NOT NULL CHECK (family ~ '^[a-z][a-z0-9_]*$'),
    account_id text,
    workflow_key text,
    state text NOT NULL CHECK (state IN ('wanted', 'done', 'parked')),
    attempts integer NOT NULL DEFAULT 0,
    forgiven integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    leased_until timestamptz,
    claimed_until timestamptz,
    last_error text,
    finished_at timestamptz,
    requeued_at timestamptz,
    answer text CHECK (answer IN ('deleted', 'unknown')),
    CHECK ((state = 'wanted') = (finished_at IS NULL)),
    CHECK ((state = 'done') = (answer IS NOT NULL)),
    CHECK ((state = 'done') = (account_id IS NULL AND workflow_key IS NULL))
);
CREATE INDEX deletions_due ON pipeline.deletions (next_attempt_at) WHERE state = 'wanted';
CREATE INDEX deletions_aside ON pipeline.deletions (finished_at) WHERE state = 'parked';
CREATE INDEX deletions_erasure ON pipeline.deletions (erasure_id);

-- What refers to a callback or a report that is deleted.
CREATE INDEX reports_of_callback ON pipeline.reports (callback_id);
CREATE INDEX verdicts_of_callback ON pipeline.verdicts (callback_id);
CREATE INDEX verdicts_of_report ON pipeline.verdicts (report_id);

-- A reason may name the person: whoever keeps the trail reads it, who only asks questions does not. Nor does an auditor read whom
-- a hold is about.
CREATE VIEW compliance.erasures AS
SELECT e.id AS erasure_id, e.tenant, e.scope,
    CASE WHEN pg_has_role('compliance_auditor', 'USAGE') OR pg_has_role('jumio_admin', 'USAGE') THEN e.reason END AS reason,
    e.erased_by, e.erased_at, e.rows, t.subjects, t.late_callbacks, d.pending AS elsewhere_pending, d.done AS elsewhere_done,
    d.parked AS elsewhere_parked, e.unsearched
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
COMMENT ON VIEW compliance.erasures IS 'Certificate of one erasure: what was deleted, when, by whom and why, without a word about the person.';
COMMENT ON COLUMN compliance.erasures.erasure_id IS 'Our id of the erasure.';
COMMENT ON COLUMN compliance.erasures.tenant IS 'Which Jumio customer account of ours.';
COMMENT ON COLUMN compliance.erasures.scope IS 'What was named: one workflow, an account of Jumio''s, or a user reference.';
COMMENT ON COLUMN compliance.erasures.reason IS 'Why, in the words of who did it; empty to analysts and investigators, because a reason may name a person.';
COMMENT ON COLUMN compliance.erasures.erased_by IS 'The login that did it.';
COMMENT ON COLUMN compliance.erasures.erased_at IS 'When it was committed here.';
COMMENT ON COLUMN compliance.erasures.rows IS 'How many rows of which kind were deleted, as a JSON object.';
COMMENT ON COLUMN compliance.erasures.subjects IS 'How many workflows and accounts are known as erased since.';
COMMENT ON COLUMN compliance.erasures.late_callbacks IS 'How many callbacks came afterwards and were dropped.';
COMMENT ON COLUMN compliance.erasures.elsewhere_pending IS 'Deletions at Jumio or on the stream that are still to be done.';
COMMENT ON COLUMN compliance.erasures.elsewhere_done IS 'Those that are done: Jumio deleted it, or said that it has nothing of that name.';
COMMENT ON COLUMN compliance.erasures.elsewhere_parked IS 'Those that were given up; status says why.';
COMMENT ON COLUMN compliance.erasures.unsearched IS 'Damaged spool lines, or files of them on other machines, that nobody could read and that were left: 0 where the erasure is complete.';

CREATE FUNCTION compliance.erasure_of(tenant text, workflow_key text) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT t.erasure_id FROM pipeline.tombstones t
    WHERE t.digest = pipeline.tombstone('workflow', erasure_of.tenant, erasure_of.workflow_key)
$$;
COMMENT ON FUNCTION compliance.erasure_of IS 'Which erasure took a workflow, by its id; empty where none did.';

CREATE VIEW compliance.holds AS
SELECT id AS hold_id, tenant, kind,
    CASE WHEN pg_has_role('compliance_analyst', 'USAGE') OR pg_has_role('compliance_investigator', 'USAGE')
        OR pg_has_role('jumio_admin', 'USAGE') THEN subject END AS subject,
    CASE WHEN pg_has_role('compliance_auditor', 'USAGE') OR pg_has_role('jumio_admin', 'USAGE') THEN reason END AS reason,
    placed_by, placed_at, released_at
FROM pipeline.holds;
COMMENT ON VIEW compliance.holds IS 'One legal hold: while it stands, nothing of its subject is deleted.';
COMMENT ON COLUMN compliance.holds.hold_id IS 'Our id of the hold.';
COMMENT ON COLUMN compliance.holds.tenant IS 'Which Jumio customer account of ours.';
COMMENT ON COLUMN compliance.holds.kind IS 'What the subject is: workflow, account or user-reference.';
COMMENT ON COLUMN compliance.holds.subject IS 'Its id or reference; empty to auditors, because it may be a reference of the person.';
COMMENT ON COLUMN compliance.holds.reason IS 'Why, in the words of who placed it; empty to analysts and investigators, because a reason may name a person.';
COMMENT ON COLUMN compliance.holds.placed_by IS 'The login that placed it.';
COMMENT ON COLUMN compliance.holds.placed_at IS 'Since when it stands.';
COMMENT ON COLUMN compliance.holds.released_at IS 'When it ended; empty while it stands.';

GRANT SELECT ON compliance.erasures TO compliance_auditor;
GRANT SELECT ON compliance.holds TO compliance_auditor;
GRANT EXECUTE ON FUNCTION compliance.erasure_of
    TO compliance_analyst, compliance_investigator, compliance_auditor, jumio_admin;
-- The worker knows who was erased, drops what comes late, and asks Jumio to delete.
GRANT EXECUTE ON FUNCTION pipeline.is_erased, pipeline.drop_erased TO jumio_worker;
GRANT SELECT, UPDATE ON pipeline.deletions TO jumio_worker;
GRANT SELECT (state, next_attempt_at) ON pipeline.deletions TO jumio_receiver;
GRANT SELECT (id, state, next_attempt_at, leased_until, claimed_until), UPDATE (leased_until)
    ON pipeline.deletions TO jumio_relay;
-- The operator holds, erases, and tells of it.
GRANT SELECT, INSERT, UPDATE, DELETE ON pipeline.holds, pipeline.relationship_ends TO jumio_admin;
GRANT SELECT, INSERT ON pipeline.erasures, pipeline.tombstones TO jumio_admin;
GRANT SELECT, INSERT, UPDATE ON pipeline.deletions TO jumio_admin;
GRANT INSERT ON pipeline.events, pipeline.deliveries TO jumio_admin;
GRANT SELECT ON pipeline.clocks, pipeline.retained TO jumio_admin;
GRANT EXECUTE ON FUNCTION pipeline.tombstone, pipeline.is_held, pipeline.is_biometric TO jumio_admin;

-- What a process was last started with, of that which evidence depends on; no secrets.
CREATE TABLE pipeline.noted_settings (
    process text PRIMARY KEY CHECK (process IN ('receiver', 'worker', 'retention')),
    settings jsonb NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Whether they differ from those of the last start; then the trail says in what.
CREATE FUNCTION pipeline.note_settings(process text, settings jsonb) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    before jsonb;
BEGIN
    INSERT INTO pipeline.noted_settings (process, settings) VALUES ($1, '{}') ON CONFLICT DO NOTHING;
    SELECT n.settings INTO before FROM pipeline.noted_settings n WHERE n.process = $1 FOR UPDATE;
    IF before = $2 THEN
        RETURN false;
    END IF;
    UPDATE pipeline.noted_settings n SET settings = $2, noted_at = clock_timestamp() WHERE n.process = $1;
    PERFORM pipeline.append_audit('setting.changed', NULL, NULL, NULL, NULL, jsonb_build_object('process', $1, 'changed', (
        SELECT jsonb_object_agg(name, jsonb_build_object('was', before -> name, 'is', $2 -> name))
        FROM (SELECT jsonb_object_keys(before) UNION SELECT jsonb_object_keys($2)) AS names (name)
        WHERE before -> name IS DISTINCT FROM $2 -> name
    )));
    RETURN true;
END
$$;

-- Whether a reason tells who the person of a workflow is, or names the workflow or its reference: reasons stay for ever.
CREATE FUNCTION pipeline.names_person(tenant text, family text, workflow_key text, reason text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT length($3) > 7 AND position(lower($3) IN lower($4)) > 0 OR EXISTS (
        SELECT FROM pipeline.reports r
        JOIN pipeline.identities i ON i.report_id = r.id
        WHERE (r.tenant, r.family, r.workflow_key) = ($1, $2, $3) AND (
            pipeline.says_who($4, nullif(i.first_name, 'N/A'), i.number_folded, i.date_of_birth)
            OR pipeline.says_who($4, nullif(i.last_name, 'N/A'), NULL, NULL)
        )
    ) OR EXISTS (
        SELECT FROM pipeline.workflows w
        WHERE (w.tenant, w.family, w.workflow_key) = ($1, $2, $3) AND pipeline.says_who($4, w.user_reference, NULL, NULL)
    )
$$;

-- A reason to read somebody is kept without the person: it stays for ever. Nobody is told that it was not kept, or reasons
-- would be guesses off record.
CREATE FUNCTION pipeline.kept_why(tenant text, workflow_key text, reason text) RETURNS text LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN EXISTS (
        SELECT FROM pipeline.workflows w
        WHERE w.tenant = $1 AND w.workflow_key = $2
            AND pipeline.names_person(w.tenant, w.family, w.workflow_key, replace(lower($3), lower($2), ' '))
    ) THEN 'not kept: it named the person' ELSE $3 END
$$;
REVOKE ALL ON FUNCTION pipeline.kept_why FROM PUBLIC;

-- An export says who, which and why before it reads anything; the number of that row. Nothing is read without it.
CREATE FUNCTION pipeline.ask_export(tenant text, family text, workflow_key text, reason text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    written bigint;
BEGIN
    PERFORM pipeline.require_reason($4);
    IF pipeline.names_person($1, $2, $3, $4) THEN
        RAISE EXCEPTION 'the reason names the person; it stays in the audit trail for ever, so say it without'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    written := pipeline.append_audit('bundle.exported', $1, $2, $3, $4, '{"step": "asked"}');
    DELETE FROM pipeline.access_requests r WHERE r.made_at < clock_timestamp() - interval '15 minutes';
    INSERT INTO pipeline.access_requests (number, asked)
    VALUES (written, pipeline.asked_digest(written, ARRAY['bundle.exported', $1, $2, $3]));
    RETURN written;
END
$$;

CREATE FUNCTION pipeline.exported_identities(tenant text, family text, workflow_key text) RETURNS TABLE (
    report_id uuid, document_type text, document_subtype text, issuing_country text, first_name text, last_name text,
    date_of_birth text, document_number text, issuing_date text, expiry_date text, issuing_state text
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF pipeline.committed_request(ARRAY['bundle.exported', $1, $2, $3]) IS NULL THEN
        RAISE EXCEPTION 'say why first, with pipeline.ask_export, and commit' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN QUERY
    SELECT i.report_id, i.document_type, i.document_subtype, i.issuing_country, i.first_name, i.last_name,
        i.date_of_birth, i.document_number, i.issuing_date, i.expiry_date, i.issuing_state
    FROM pipeline.reports r
    JOIN pipeline.identities i ON i.report_id = r.id
    WHERE r.tenant = $1 AND r.family = $2 AND r.workflow_key = $3
    ORDER BY r.fetched_at, r.id, i.position;
END
$$;

-- The place of issue, where a country's states issue documents (US CIP): the code of a state is shown, any other text is masked.
ALTER TABLE pipeline.identities ADD COLUMN issuing_state text;
CREATE OR REPLACE VIEW compliance.identities WITH (security_barrier = true) AS
SELECT w.tenant, w.family, w.workflow_key, w.verdict_version, i.document_type, i.document_subtype, i.issuing_country,
    pipeline.masked(i.first_name) AS first_name, pipeline.masked(i.last_name) AS last_name,
    pipeline.masked_date(i.date_of_birth) AS date_of_birth, pipeline.masked(i.document_number) AS document_number,
    pipeline.masked_date(i.expiry_date) AS expiry_date, pipeline.masked_date(i.issuing_date) AS issuing_date,
    i.position,
    CASE WHEN i.issuing_country IN ('USA', 'CAN', 'AUS') AND i.issuing_state ~ '^[A-Z]{2,3}$' THEN i.issuing_state
        ELSE pipeline.masked(i.issuing_state) END AS issuing_state
FROM pipeline.workflows w
JOIN pipeline.identities i ON i.report_id = w.report_id;
COMMENT ON VIEW compliance.identities IS 'Data extracted from one document, masked: *** where there is a text, the year of a date. compliance.reveal_identity shows it in the clear to those who say why. Addresses, gender, nationality and places finer than the state are in the sealed report only.';
COMMENT ON COLUMN compliance.identities.issuing_state IS 'Code of the state that issued it, in the USA, Canada and Australia; *** where Jumio gives another text.';

-- compliance.timeline: in which searches a workflow was found.
CREATE INDEX audit_found ON pipeline.audit USING gin ((details -> 'found') jsonb_path_ops)
    WHERE action = 'person.searched';

-- A hold's row in the trail names no subject, because the trail outlives the person: the timeline reads holds themselves.
-- Runs as its owner, for the trail: who read what is history too, though not why, because a reason may name a person.
-- Of the trail only what is linked, because that was committed: a transaction sees its own rows, and what a search found
-- could be read here and rolled back. And what retention has deleted is not told as kept.
CREATE FUNCTION compliance.timeline(workflow_key text, only_tenant text DEFAULT NULL, only_family text DEFAULT NULL)
RETURNS TABLE (at timestamptz, what text, words text, details jsonb, tenant text, family text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
WITH own_callbacks AS (
    SELECT c.*, coalesce('Callback ' || c.status, 'A callback') AS name FROM pipeline.callbacks c
    WHERE c.workflow_key = timeline.workflow_key AND (only_tenant IS NULL OR c.tenant = only_tenant)
        AND (only_family IS NULL OR c.family = only_family)
), own_workflows AS (
    SELECT w.* FROM pipeline.workflows w
    WHERE w.workflow_key = timeline.workflow_key AND (only_tenant IS NULL OR w.tenant = only_tenant)
        AND (only_family IS NULL OR w.family = only_family)
), own_events AS (
    SELECT e.* FROM own_workflows w
    JOIN pipeline.events e
        ON e.workflow_key = w.workflow_key AND e.tenant = w.tenant AND e.family = w.family
), own_images AS (
    SELECT i.* FROM own_workflows w
    JOIN pipeline.images i ON i.workflow_key = w.workflow_key AND i.tenant = w.tenant AND i.family = w.family
), own_verdicts AS (
    SELECT v.*, lag(v.outcome) OVER (PARTITION BY v.tenant, v.family ORDER BY v.version) AS before,
        (
            SELECT string_agg(concat_ws(' ', r.reason ->> 'check', r.reason ->> 'label'), ', ' ORDER BY r.place)
            FROM jsonb_array_elements(v.reasons) WITH ORDINALITY AS r (reason, place)
        ) AS because
    FROM own_workflows w
    JOIN pipeline.verdicts v
        ON v.workflow_key = w.workflow_key AND v.tenant = w.tenant AND v.family = w.family
), story (at, rank, what, words, details, tenant, family) AS (
    SELECT w.started_at, 1, 'journey.started', 'The person opened the journey, by Jumio''s clock', '{}'::jsonb, w.tenant,
        w.family
    FROM own_workflows w
    UNION ALL
    SELECT w.completed_at, 2, 'journey.finished', 'Jumio finished: ' || w.status || ', by Jumio''s clock', '{}', w.tenant,
        w.family
    FROM own_workflows w
    UNION ALL
    SELECT c.received_at, 3, 'callback.arrived',
        c.name || ' arrived from ' || coalesce(host(c.client_address), 'an unreadable address')
            || CASE c.source_evidence ->> 'rule'
                WHEN 'dns' THEN ', which is ' || coalesce(c.source_evidence ->> 'name', 'Jumio''s') || ' by DNS'
                WHEN 'extra' THEN ', which is configured as Jumio''s'
                WHEN 'observe' THEN ', admitted because nobody was refused then'
                WHEN 'unverified' THEN ', kept to be judged by the first DNS answer'
                WHEN 'refused' THEN ', which is not Jumio''s'
                ELSE '' END
            || CASE WHEN octet_length(c.sealed_body) > 0 OR c.bytes = 0 THEN ''
                ELSE '; its body was kept until retention deleted it' END,
        jsonb_build_object('callback_id', c.id, 'status', c.status, 'source_ip', host(c.client_address),
            'source_evidence', c.source_evidence, 'bytes', c.bytes, 'sha256', encode(c.sha256, 'hex'), 'state', c.state,
            'kept', octet_length(c.sealed_body) > 0),
        c.tenant, c.family
    FROM own_callbacks c
    UNION ALL
    SELECT (c.source_evidence ->> 'judged_at')::timestamptz, 4, 'callback.judged',
        'Its source was judged by a DNS answer: '
            || coalesce('an address of ' || (c.source_evidence ->> 'name'), 'no address of Jumio''s by name'),
        jsonb_build_object('callback_id', c.id), c.tenant, c.family
    FROM own_callbacks c
    UNION ALL
    SELECT (c.source_evidence ->> 'vouched_at')::timestamptz, 5, 'callback.vouched',
        'An operator vouched for its source', jsonb_build_object('callback_id', c.id), c.tenant, c.family
    FROM own_callbacks c
    UNION ALL
    SELECT r.fetched_at, 6, 'report.fetched',
        'What Jumio says was fetched' || CASE WHEN octet_length(r.sealed) > 0 THEN ' and kept: ' || r.bytes || ' bytes, sealed'
            ELSE ': ' || r.bytes || ' bytes, kept until retention deleted them' END,
        jsonb_build_object('report_id', r.id, 'callback_id', r.callback_id, 'sha256', encode(r.digest, 'hex'),
            'kept', octet_length(r.sealed) > 0),
        r.tenant, r.family
    FROM own_workflows w
    JOIN pipeline.reports r ON r.workflow_key = w.workflow_key AND r.tenant = w.tenant AND r.family = w.family
    UNION ALL
    SELECT v.recorded_at, 7, CASE v.version WHEN 1 THEN 'verdict.decided' ELSE 'verdict.revised' END,
        CASE v.version WHEN 1 THEN 'Decided: ' ELSE 'Revised, version ' || v.version || ': ' END || v.outcome
            || ' (' || v.label || ')' || coalesce(', it was ' || v.before, '')
            || coalesce(', risk score ' || trim_scale(v.risk_score), '') || coalesce('; against it: ' || v.because, '')
            || CASE v.rests_on WHEN 'callback' THEN '; by the word of the callback alone' ELSE '' END,
        jsonb_build_object('version', v.version, 'outcome', v.outcome, 'label', v.label, 'valid_from', v.valid_from,
            'reasons', v.reasons, 'callback_id', v.callback_id, 'report_id', v.report_id),
        v.tenant, v.family
    FROM own_verdicts v
    UNION ALL
    SELECT c.finished_at, 8, 'callback.' || c.state,
        c.name || ' was ' || c.state || coalesce(' (' || c.last_error || ')', ''),
        jsonb_build_object('callback_id', c.id, 'attempts', c.attempts - c.forgiven), c.tenant, c.family
    FROM own_callbacks c
    UNION ALL
    SELECT i.finished_at, 9, 'image.' || i.state,
        'Image ' || i.classifier || coalesce(' of ' || i.category, '')
            || CASE i.state
                WHEN 'stored' THEN ' was stored: ' || coalesce(i.media_type, 'of unknown type') || ', ' || i.bytes || ' bytes'
                WHEN 'missing' THEN ' is not to be had'
                ELSE ' was ' || i.state END
            || coalesce(' (' || i.last_error || ')', ''),
        jsonb_build_object('image_id', i.id, 'credential_id', i.credential_id, 'sha256', encode(i.sha256, 'hex')),
        i.tenant, i.family
    FROM own_images i
    UNION ALL
    SELECT q.requeued_at, 10, q.what || '.requeued', q.name || ' was put back on the line by an operator',
        jsonb_build_object(q.what || '_id', q.id), q.tenant, q.family
    FROM (
        SELECT 'callback' AS what, c.id, c.name, c.requeued_at, c.tenant, c.family FROM own_callbacks c
        UNION ALL
        SELECT 'image', i.id, 'Image ' || i.classifier, i.requeued_at, i.tenant, i.family FROM own_images i
        UNION ALL
        SELECT 'delivery', d.id, 'Event ' || d.sequence, d.requeued_at, d.tenant, d.family
        FROM own_events e
        JOIN pipeline.deliveries d ON d.event_id = e.id
    ) q
    UNION ALL
    SELECT e.occurred_at, 10, 'event.emitted', 'Event ' || e.sequence || ' was written: ' || e.type,
        jsonb_build_object('event_id', e.id, 'sequence', e.sequence), e.tenant, e.family
    FROM own_events e
    UNION ALL
    SELECT d.settled_at, 11, 'event.' || d.state,
        'Event ' || d.sequence || ' was '
            || CASE d.state WHEN 'delivered' THEN 'delivered to ' WHEN 'parked' THEN 'parked for ' ELSE 'cancelled for ' END
            || coalesce(d.subscriber, 'the ' || d.destination) || coalesce(', which answered ' || d.last_status, '')
            || coalesce(' (' || d.reason || ')', ''),
        jsonb_build_object('event_id', d.event_id, 'destination', d.destination, 'attempts', d.attempts),
        d.tenant, d.family
    FROM own_events e
    JOIN compliance.deliveries d ON d.event_id = e.id
    UNION ALL
    SELECT a.happened_at, 12, a.action,
        a.who || CASE a.action
            WHEN 'identity.revealed' THEN CASE a.details ->> 'step' WHEN 'asked' THEN ' asked for' ELSE ' was shown' END
                || ' the identity in the clear'
            WHEN 'image.read' THEN ' read an image'
            WHEN 'bundle.exported' THEN ' exported the evidence'
            ELSE ': ' || a.action END || '; why is in the audit trail, row ' || a.number,
        jsonb_build_object('number', a.number, 'who', a.who, 'application', a.application), a.tenant, a.family
    FROM pipeline.audit a
    JOIN pipeline.audit_links l ON l.number = a.number
    WHERE a.workflow_key = timeline.workflow_key
        AND (only_family IS NULL OR a.family IS NULL OR a.family = only_family)
        AND a.tenant IN (SELECT w.tenant FROM own_workflows w UNION SELECT c.tenant FROM own_callbacks c)
    UNION ALL
    SELECT a.happened_at, 12, a.action,
        a.who || ' searched for a person, and this was found; why is in the audit trail, row ' || a.number,
        jsonb_build_object('number', a.number, 'who', a.who, 'application', a.application), w.tenant, w.family
    FROM own_workflows w
    JOIN pipeline.audit a ON a.action = 'person.searched'
        AND a.details -> 'found' @> jsonb_build_array(jsonb_build_array(w.tenant, w.family, w.workflow_key))
    JOIN pipeline.audit_links l ON l.number = a.number
    UNION ALL
    SELECT moment.at, 12, moment.what, moment.words, jsonb_build_object('hold_id', h.id), w.tenant, w.family
    FROM own_workflows w
    JOIN pipeline.holds h ON h.tenant = w.tenant AND h.subject = CASE h.kind
        WHEN 'workflow' THEN w.workflow_key WHEN 'account' THEN w.account_id ELSE w.user_reference END
    CROSS JOIN LATERAL (
        VALUES (h.placed_at, 'hold.placed', h.placed_by || ' placed a legal hold on its ' || h.kind),
            (h.released_at, 'hold.released', 'The legal hold on its ' || h.kind || ' was released')
    ) AS moment (at, what, words)
)
SELECT s.at, s.what, s.words, jsonb_strip_nulls(s.details), s.tenant, s.family
FROM story s
WHERE s.at IS NOT NULL
ORDER BY s.at, s.rank, s.details ->> 'sequence', s.words
$$;
COMMENT ON FUNCTION compliance.timeline IS 'All that happened to one verification, the oldest first, in words: at, what (noun.participle), words, details, tenant and family. A key that several tenants or families have tells of all of them; only_tenant and only_family choose.';

GRANT EXECUTE ON FUNCTION compliance.timeline TO compliance_analyst, compliance_investigator, jumio_admin;
REVOKE ALL ON FUNCTION pipeline.note_settings, pipeline.ask_export, pipeline.exported_identities,
    pipeline.names_person FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pipeline.note_settings TO jumio_receiver, jumio_worker, jumio_admin;
GRANT EXECUTE ON FUNCTION pipeline.ask_export, pipeline.exported_identities, pipeline.names_person TO jumio_admin;
REVOKE ALL ON FUNCTION pipeline.under_way, pipeline.cluster FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pipeline.under_way TO jumio_relay;
GRANT SELECT, UPDATE (work) ON pipeline.turns TO jumio_relay;
GRANT EXECUTE ON FUNCTION pipeline.cluster TO jumio_feed;
GRANT UPDATE (cluster) ON pipeline.feed TO jumio_feed;
