-- Exports ask before they read, the timeline tells of searches and holds, the trail of settings.

-- What nobody ever wrote goes.
ALTER TABLE pipeline.audit DROP CONSTRAINT audit_action_check, ADD CONSTRAINT audit_action_check CHECK (action IN (
    'identity.revealed', 'person.searched', 'image.read', 'bundle.exported', 'workflow.erased', 'account.erased',
    'reference.erased', 'retention.ran', 'hold.placed', 'hold.released', 'rows.requeued', 'role.changed',
    'setting.changed', 'key.rotated', 'event.enriched', 'subscription.changed'
));

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

-- An export says who, which and why before it reads anything; the number of that row. Nothing is read without it.
CREATE FUNCTION pipeline.ask_export(tenant text, family text, workflow_key text, reason text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    written bigint;
BEGIN
    PERFORM pipeline.require_reason($4);
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
CREATE OR REPLACE FUNCTION compliance.timeline(workflow_key text, only_tenant text DEFAULT NULL, only_family text DEFAULT NULL)
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
            ELSE ': ' || a.action END || '; why is in the audit trail, row ' || a.number,
        jsonb_build_object('number', a.number, 'who', a.who, 'application', a.application), a.tenant, a.family
    FROM pipeline.audit a
    WHERE a.workflow_key = timeline.workflow_key
        AND (only_family IS NULL OR a.family IS NULL OR a.family = only_family)
        -- By tenant, then key, as its index is.
        AND a.tenant IN (SELECT w.tenant FROM own_workflows w UNION SELECT c.tenant FROM own_callbacks c)
    UNION ALL
    SELECT a.happened_at, 12, a.action,
        a.who || ' searched for a person, and this was found; why is in the audit trail, row ' || a.number,
        jsonb_build_object('number', a.number, 'who', a.who, 'application', a.application), w.tenant, w.family
    FROM own_workflows w
    JOIN pipeline.audit a ON a.action = 'person.searched'
        AND a.details -> 'found' @> jsonb_build_array(jsonb_build_array(w.tenant, w.family, w.workflow_key))
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
REVOKE ALL ON FUNCTION pipeline.note_settings, pipeline.ask_export, pipeline.exported_identities FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pipeline.note_settings TO jumio_receiver, jumio_worker, jumio_admin;
GRANT EXECUTE ON FUNCTION pipeline.ask_export, pipeline.exported_identities TO jumio_admin;
