-- The line: callbacks in, reports and verdicts decided, images stored, events emitted.
--
-- Every table with work in it (callbacks, images, deliveries) has the same columns: state, attempts, next_attempt_at,
-- leased_until (a relay has sent its task), claimed_until (a worker is at it), last_error (`code: what happened`).
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
    family text CHECK (family IN ('kyx', 'netverify', 'authentication', 'document')),
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
    CHECK ((state IN ('done', 'parked', 'refused')) = (finished_at IS NOT NULL)),
    CHECK (state NOT IN ('parked', 'refused') OR last_error IS NOT NULL)
);
-- The relay's lease: what is due, oldest first.
CREATE INDEX callbacks_due ON pipeline.callbacks (next_attempt_at) WHERE state = 'stored';
-- The operator's lists and the caps on what strangers may fill.
CREATE INDEX callbacks_aside ON pipeline.callbacks (state, received_at)
    WHERE state IN ('parked', 'refused', 'unverified');
-- Everything that arrived about one workflow; finished repeats.
CREATE INDEX callbacks_workflow ON pipeline.callbacks (tenant, workflow_key, family) WHERE workflow_key IS NOT NULL;
CREATE INDEX callbacks_received ON pipeline.callbacks USING brin (received_at);

CREATE TABLE pipeline.workflows (
    tenant text NOT NULL,
    family text NOT NULL CHECK (family IN ('kyx', 'netverify', 'authentication', 'document')),
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
CREATE INDEX reports_workflow ON pipeline.reports (tenant, family, workflow_key);

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
    PRIMARY KEY (tenant, family, workflow_key, version),
    FOREIGN KEY (tenant, family, workflow_key) REFERENCES pipeline.workflows
);

CREATE FUNCTION pipeline.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a verdict is never changed: a new one is a new version';
END
$$;
CREATE TRIGGER verdicts_never_change BEFORE UPDATE ON pipeline.verdicts
    FOR EACH ROW EXECUTE FUNCTION pipeline.refuse_change();

CREATE TABLE pipeline.checks (
    report_id uuid NOT NULL REFERENCES pipeline.reports ON DELETE CASCADE,
    position integer NOT NULL,
    capability text NOT NULL,
    credential_ids text[] NOT NULL,
    outcome text NOT NULL,
    label text,
    PRIMARY KEY (report_id, position)
);

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
    state text NOT NULL CHECK (state IN ('wanted', 'stored', 'missing', 'refused', 'parked')),
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
    UNIQUE (tenant, family, workflow_key, credential_id, classifier),
    FOREIGN KEY (tenant, family, workflow_key) REFERENCES pipeline.workflows,
    CHECK ((state = 'wanted') = (finished_at IS NULL)),
    CHECK ((state = 'stored') = (stored_at IS NOT NULL)),
    CHECK ((state = 'stored') = (sha256 IS NOT NULL))
);
CREATE INDEX images_due ON pipeline.images (next_attempt_at) WHERE state = 'wanted';
CREATE INDEX images_aside ON pipeline.images (finished_at) WHERE state = 'parked';

CREATE TABLE pipeline.image_blobs (
    image_id uuid PRIMARY KEY REFERENCES pipeline.images ON DELETE CASCADE,
    sealed bytea NOT NULL
);
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
    UNIQUE (tenant, family, workflow_key, sequence),
    FOREIGN KEY (tenant, family, workflow_key) REFERENCES pipeline.workflows
);

CREATE TABLE pipeline.subscriptions (
    id uuid PRIMARY KEY,
    url text NOT NULL,
    types text[],
    sealed_secret bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    removed_at timestamptz
);
CREATE UNIQUE INDEX subscriptions_url ON pipeline.subscriptions (url) WHERE removed_at IS NULL;

CREATE TABLE pipeline.deliveries (
    id uuid PRIMARY KEY,
    event_id uuid NOT NULL REFERENCES pipeline.events,
    destination text NOT NULL CHECK (destination IN ('webhook', 'stream')),
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
    CHECK ((destination = 'webhook') = (subscription_id IS NOT NULL)),
    CHECK ((state = 'pending') = (finished_at IS NULL))
);
CREATE INDEX deliveries_due ON pipeline.deliveries (next_attempt_at) WHERE state = 'pending';
-- Order for each subscriber and workflow: what comes before is settled first.
CREATE INDEX deliveries_order ON pipeline.deliveries (tenant, family, workflow_key, sequence) WHERE state = 'pending';
-- The end of a subscription cancels what waits for it.
CREATE INDEX deliveries_subscription ON pipeline.deliveries (subscription_id) WHERE state = 'pending';
CREATE INDEX deliveries_event ON pipeline.deliveries (event_id);
CREATE INDEX deliveries_aside ON pipeline.deliveries (finished_at) WHERE state = 'parked';

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

-- Signs of life: a receiver that wrote durably, a worker that consumed, a relay that leased.
CREATE TABLE pipeline.pulses (
    process text PRIMARY KEY,
    role text NOT NULL CHECK (role IN ('receiver', 'relay', 'worker')),
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    beat_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
