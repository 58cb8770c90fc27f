-- The schema as it stands; a test proves that the migrations make the same.
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
-- Replays of a time, and the operator's lists.
CREATE INDEX events_occurred ON pipeline.events (occurred_at);

CREATE TABLE pipeline.subscriptions (
    id uuid PRIMARY KEY,
    url text NOT NULL,
    types text[],
    sealed_secret bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    removed_at timestamptz,
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
    replays integer NOT NULL DEFAULT 0,
    -- Set by the first replay: when it was delivered before.
    first_delivered_at timestamptz,
    -- Who gets it: within a target there is an order, and a bound of how much is under way.
    target text GENERATED ALWAYS AS (coalesce(subscription_id::text, destination)) STORED,
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
CREATE INDEX deliveries_workflow ON pipeline.deliveries (tenant, family, workflow_key, target, sequence);
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
    beat_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- What a receiver's spool holds: null where it has none.
    spooled_rows integer,
    spooled_since timestamptz,
    damaged_files integer
);
-- The interface for compliance teams: one view a question, every column explained.

CREATE FUNCTION pipeline.masked(clear text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN clear IS NULL OR clear = '' THEN clear ELSE left(clear, 1) || '***' END
$$;
CREATE FUNCTION pipeline.masked_date(clear text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN clear ~ '^\d{4}' THEN left(clear, 4) || '-**-**' WHEN clear IS NULL THEN NULL ELSE '***' END
$$;

CREATE VIEW compliance.workflows AS
SELECT w.tenant, w.family, w.workflow_key, w.account_id, w.user_reference, w.customer_reference, w.status,
    w.outcome, w.label, w.risk_score, w.reject_reasons, w.definition_key, w.started_at, w.completed_at, w.decided_at,
    w.verdict_version, images.wanted AS images_wanted, images.stored AS images_stored
FROM pipeline.workflows w
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE i.offered) AS wanted, count(*) FILTER (WHERE i.state = 'stored') AS stored
    FROM pipeline.images i
    WHERE (i.tenant, i.family, i.workflow_key) = (w.tenant, w.family, w.workflow_key)
) images;
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
COMMENT ON COLUMN compliance.workflows.decided_at IS 'When the current verdict was recorded here.';
COMMENT ON COLUMN compliance.workflows.verdict_version IS 'Version of the current verdict; 0 before the first.';
COMMENT ON COLUMN compliance.workflows.images_wanted IS 'Images that Jumio offered for download.';
COMMENT ON COLUMN compliance.workflows.images_stored IS 'Images that are stored here.';

CREATE VIEW compliance.verdicts AS
SELECT tenant, family, workflow_key, version, outcome, label, risk_score, reasons, valid_from, recorded_at, callback_id,
    rests_on
FROM pipeline.verdicts;
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
    encode(sha256, 'hex') AS sha256, stored_at, flag, last_error AS reason
FROM pipeline.images;
COMMENT ON VIEW compliance.images IS 'One image of a workflow: facts about it, never the image.';
COMMENT ON COLUMN compliance.images.tenant IS 'Which Jumio customer account of ours.';
COMMENT ON COLUMN compliance.images.family IS 'Product generation: kyx, netverify, authentication or document.';
COMMENT ON COLUMN compliance.images.workflow_key IS 'Workflow execution id, scan reference or transaction reference.';
COMMENT ON COLUMN compliance.images.credential_id IS 'The credential that it is a part of.';
COMMENT ON COLUMN compliance.images.category IS 'Kind of credential: ID, SELFIE, FACEMAP, DOCUMENT or DATA.';
COMMENT ON COLUMN compliance.images.classifier IS 'Which part: FRONT, BACK, FACE, LIVENESS_1 and so on.';
COMMENT ON COLUMN compliance.images.state IS 'wanted, stored, missing (Jumio has none), refused (not acceptable) or parked (gave up; requeue it).';
COMMENT ON COLUMN compliance.images.media_type IS 'What the bytes are, told from the bytes themselves.';
COMMENT ON COLUMN compliance.images.bytes IS 'Size of the image.';
COMMENT ON COLUMN compliance.images.sha256 IS 'SHA-256 of the image as Jumio gave it, in hexadecimal.';
COMMENT ON COLUMN compliance.images.stored_at IS 'When it was stored here.';
COMMENT ON COLUMN compliance.images.flag IS 'Set where the bytes are neither JPEG nor PNG: what is odd about them.';
COMMENT ON COLUMN compliance.images.reason IS 'Why it is not stored, or the last failure so far.';

CREATE VIEW compliance.identities AS
SELECT w.tenant, w.family, w.workflow_key, w.verdict_version, i.document_type, i.document_subtype, i.issuing_country,
    pipeline.masked(i.first_name) AS first_name, pipeline.masked(i.last_name) AS last_name,
    pipeline.masked_date(i.date_of_birth) AS date_of_birth, pipeline.masked(i.document_number) AS document_number,
    pipeline.masked_date(i.expiry_date) AS expiry_date
FROM pipeline.workflows w
JOIN pipeline.identities i ON i.report_id = w.report_id;
COMMENT ON VIEW compliance.identities IS 'Data extracted from the document, masked: the first letter of a text, the year of a date.';
COMMENT ON COLUMN compliance.identities.tenant IS 'Which Jumio customer account of ours.';
COMMENT ON COLUMN compliance.identities.family IS 'Product generation: kyx, netverify, authentication or document.';
COMMENT ON COLUMN compliance.identities.workflow_key IS 'Workflow execution id, scan reference or transaction reference.';
COMMENT ON COLUMN compliance.identities.verdict_version IS 'The verdict version that rests on this report.';
COMMENT ON COLUMN compliance.identities.document_type IS 'PASSPORT, DRIVING_LICENSE, ID_CARD or VISA.';
COMMENT ON COLUMN compliance.identities.document_subtype IS 'Jumio''s finer type, for example NATIONAL_ID.';
COMMENT ON COLUMN compliance.identities.issuing_country IS 'ISO 3166 alpha-3 code, or XKX.';
COMMENT ON COLUMN compliance.identities.first_name IS 'Masked.';
COMMENT ON COLUMN compliance.identities.last_name IS 'Masked.';
COMMENT ON COLUMN compliance.identities.date_of_birth IS 'Masked to the year.';
COMMENT ON COLUMN compliance.identities.document_number IS 'Masked.';
COMMENT ON COLUMN compliance.identities.expiry_date IS 'Masked to the year.';

CREATE VIEW compliance.callbacks AS
SELECT id AS callback_id, tenant, family, workflow_key, status, received_at, sent_at, client_address AS source_ip,
    source_evidence, state, last_error AS reason, attempts - forgiven AS attempts, bytes, encode(sha256, 'hex') AS sha256
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
COMMENT ON COLUMN compliance.callbacks.bytes IS 'Size of the body.';
COMMENT ON COLUMN compliance.callbacks.sha256 IS 'SHA-256 of the body as received, in hexadecimal.';

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
