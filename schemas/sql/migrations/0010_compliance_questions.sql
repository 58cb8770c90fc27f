-- What auditors and analysts ask: facts that the views lacked, history in words and in both times, and the indexes.

-- Keys first, tenant after: people look a key up without naming its tenant. A new order costs no insert anything.
ALTER TABLE pipeline.verdicts DROP CONSTRAINT verdicts_pkey, ADD PRIMARY KEY (workflow_key, tenant, family, version);
ALTER TABLE pipeline.images
    DROP CONSTRAINT images_tenant_family_workflow_key_credential_id_classifier_key,
    ADD UNIQUE (workflow_key, tenant, family, credential_id, classifier);
ALTER TABLE pipeline.events
    DROP CONSTRAINT events_tenant_family_workflow_key_sequence_key,
    ADD UNIQUE (workflow_key, tenant, family, sequence);
DROP INDEX pipeline.callbacks_workflow;
CREATE INDEX callbacks_workflow ON pipeline.callbacks (workflow_key, tenant, family) WHERE workflow_key IS NOT NULL;
DROP INDEX pipeline.reports_workflow;
CREATE INDEX reports_workflow ON pipeline.reports (workflow_key, tenant, family);
-- One transaction by its key alone; foreign keys hold on to the order of the primary key.
CREATE INDEX workflows_key ON pipeline.workflows (workflow_key);
-- All transactions of one person, by Jumio's account, by our user, by our reference.
CREATE INDEX workflows_account ON pipeline.workflows (account_id);
CREATE INDEX workflows_user ON pipeline.workflows (user_reference) WHERE user_reference IS NOT NULL;
CREATE INDEX workflows_customer ON pipeline.workflows (customer_reference) WHERE customer_reference IS NOT NULL;
-- What was decided from one day to another.
CREATE INDEX workflows_decided ON pipeline.workflows (decided_at);
-- Verdicts that changed after the fact; no first verdict is in it.
CREATE INDEX verdicts_revised ON pipeline.verdicts (recorded_at) WHERE version > 1;
-- Approvals in spite of an alert, or without a check; most checks are passed, and those are not in it.
CREATE INDEX checks_not_passed ON pipeline.checks (lower(capability), outcome) WHERE outcome <> 'passed';
-- Which check comes to what: without it Postgres takes the two to have nothing to do with each other, and plans for a few.
CREATE STATISTICS pipeline.checks_by_outcome (mcv) ON lower(capability), outcome FROM pipeline.checks;
-- What was recorded, emitted or received from one moment to another. Summarised as it grows, not at the next vacuum.
CREATE INDEX verdicts_recorded ON pipeline.verdicts USING brin (recorded_at) WITH (autosummarize = on);
CREATE INDEX events_occurred ON pipeline.events USING brin (occurred_at) WITH (autosummarize = on);
ALTER INDEX pipeline.callbacks_received SET (autosummarize = on);

-- An operator's latest word on a row: the trail has the command, this the rows that it moved.
ALTER TABLE pipeline.callbacks ADD COLUMN requeued_at timestamptz;
ALTER TABLE pipeline.images ADD COLUMN requeued_at timestamptz;
ALTER TABLE pipeline.deliveries ADD COLUMN requeued_at timestamptz;

-- Counts are made, and the document is joined, only where they are asked for.
CREATE OR REPLACE VIEW compliance.workflows AS
SELECT w.tenant, w.family, w.workflow_key, w.account_id, w.user_reference, w.customer_reference, w.status,
    w.outcome, w.label, w.risk_score, w.reject_reasons, w.definition_key, w.started_at, w.completed_at, w.decided_at,
    w.verdict_version,
    (
        SELECT count(*) FILTER (WHERE i.offered) FROM pipeline.images i
        WHERE i.tenant = w.tenant AND i.family = w.family AND i.workflow_key = w.workflow_key
    ) AS images_wanted,
    (
        SELECT count(*) FILTER (WHERE i.state = 'stored') FROM pipeline.images i
        WHERE i.tenant = w.tenant AND i.family = w.family AND i.workflow_key = w.workflow_key
    ) AS images_stored,
    w.first_seen_at, i.issuing_country AS country
FROM pipeline.workflows w
LEFT JOIN pipeline.identities i ON i.report_id = w.report_id AND i.position = 0;
COMMENT ON COLUMN compliance.workflows.first_seen_at IS 'When the first word of it was read here.';
COMMENT ON COLUMN compliance.workflows.country IS 'Country that issued the first document, ISO 3166 alpha-3 or XKX; empty where none was read.';

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

CREATE OR REPLACE VIEW compliance.images AS
SELECT tenant, family, workflow_key, credential_id, category, classifier, state, media_type, bytes,
    encode(sha256, 'hex') AS sha256, stored_at, flag, last_error AS reason, offered, finished_at AS settled_at
FROM pipeline.images;
COMMENT ON COLUMN compliance.images.offered IS 'Whether Jumio gave an address to download it from.';
COMMENT ON COLUMN compliance.images.settled_at IS 'When it was stored, or known not to come; empty while it is wanted.';

CREATE OR REPLACE VIEW compliance.callbacks AS
SELECT id AS callback_id, tenant, family, workflow_key, status, received_at, sent_at, client_address AS source_ip,
    source_evidence, state, last_error AS reason, attempts - forgiven AS attempts, bytes, encode(sha256, 'hex') AS sha256,
    finished_at AS settled_at
FROM pipeline.callbacks;
COMMENT ON COLUMN compliance.callbacks.settled_at IS 'When it was done, parked or refused; empty while it waits.';

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
    c.source_evidence ->> 'rule' AS source_rule, c.source_evidence ->> 'name' AS source_name
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
COMMENT ON COLUMN compliance.evidence.report_fetched_at IS 'When the report was written here; empty once it is deleted.';
COMMENT ON COLUMN compliance.evidence.report_bytes IS 'Size of the report.';
COMMENT ON COLUMN compliance.evidence.report_sha256 IS 'SHA-256 of the report as canonical JSON, in hexadecimal.';
COMMENT ON COLUMN compliance.evidence.callback_id IS 'The callback that led to it.';
COMMENT ON COLUMN compliance.evidence.callback_status IS 'The status that the callback named.';
COMMENT ON COLUMN compliance.evidence.callback_received_at IS 'When the callback arrived here.';
COMMENT ON COLUMN compliance.evidence.callback_sent_at IS 'When Jumio sent it, by its own word.';
COMMENT ON COLUMN compliance.evidence.callback_sha256 IS 'SHA-256 of its body as received, in hexadecimal.';
COMMENT ON COLUMN compliance.evidence.source_ip IS 'Address that it came from, seen through trusted proxies.';
COMMENT ON COLUMN compliance.evidence.source_rule IS 'Why it was admitted: dns, extra (configured) or observe (nobody was refused then).';
COMMENT ON COLUMN compliance.evidence.source_name IS 'The name of Jumio''s that DNS gave this address for.';

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
) LANGUAGE sql STABLE AS $$
    SELECT DISTINCT ON (v.workflow_key, v.tenant, v.family)
        v.tenant, v.family, v.workflow_key, v.version, v.outcome, v.label, v.risk_score, v.reasons, v.valid_from,
        v.recorded_at, v.callback_id, v.rests_on
    FROM compliance.verdicts v
    WHERE least(v.valid_from, v.recorded_at) <= verdicts_as_of.true_at AND v.recorded_at <= verdicts_as_of.known_at
    ORDER BY v.workflow_key DESC, v.tenant DESC, v.family DESC, v.version DESC
$$;
COMMENT ON FUNCTION compliance.verdicts_as_of IS 'The verdict of each workflow that was true at true_at, by what was recorded here until known_at; without known_at by all that is known. (t, t) is what we held to be true then; (t) is what we now know to have been true then.';

-- Runs as its owner, for the trail: who read what is history too, though not why, because a reason may name a person.
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
                ELSE '' END,
        jsonb_build_object('callback_id', c.id, 'status', c.status, 'source_ip', host(c.client_address),
            'source_evidence', c.source_evidence, 'bytes', c.bytes, 'sha256', encode(c.sha256, 'hex'), 'state', c.state),
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
    SELECT r.fetched_at, 6, 'report.fetched', 'What Jumio says was fetched and kept: ' || r.bytes || ' bytes, sealed',
        jsonb_build_object('report_id', r.id, 'callback_id', r.callback_id, 'sha256', encode(r.digest, 'hex')),
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
            WHEN 'workflow.erased' THEN ' erased it'
            WHEN 'hold.placed' THEN ' placed a legal hold'
            WHEN 'hold.released' THEN ' released a legal hold'
            ELSE ': ' || a.action END || '; why is in the audit trail, row ' || a.number,
        jsonb_build_object('number', a.number, 'who', a.who, 'application', a.application), a.tenant, a.family
    FROM pipeline.audit a
    WHERE a.workflow_key = timeline.workflow_key
        AND (only_family IS NULL OR a.family IS NULL OR a.family = only_family)
        -- By tenant, then key, as its index is.
        AND a.tenant IN (SELECT w.tenant FROM own_workflows w UNION SELECT c.tenant FROM own_callbacks c)
)
SELECT s.at, s.what, s.words, jsonb_strip_nulls(s.details), s.tenant, s.family
FROM story s
WHERE s.at IS NOT NULL
ORDER BY s.at, s.rank, s.details ->> 'sequence', s.words
$$;
COMMENT ON FUNCTION compliance.timeline IS 'All that happened to one verification, the oldest first, in words: at, what (noun.participle), words, details, tenant and family. A key that several tenants or families have tells of all of them; only_tenant and only_family choose.';

GRANT EXECUTE ON FUNCTION compliance.verdicts_as_of, compliance.timeline TO compliance_analyst, compliance_investigator, jumio_admin;
