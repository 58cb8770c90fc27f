-- Invented workflows with everything around them but image bytes, a year of them up to now, straight in SQL.
-- `generate.workflows` says how many, `generate.seed` which. Each heading is said while it is worked on. One transaction, but for the
-- last step.

-- step: setting indexes and foreign keys aside
DO $$
BEGIN
    IF EXISTS (SELECT FROM pipeline.callbacks) THEN
        RAISE EXCEPTION 'there are callbacks already: what is invented could not be told from what is real';
    END IF;
END
$$;
SET LOCAL search_path = pipeline, pg_catalog, public;
SET LOCAL synchronous_commit = off;
SET LOCAL maintenance_work_mem = '256MB';
SET LOCAL work_mem = '64MB';
SELECT setseed(current_setting('generate.seed')::float8);
CREATE TEMP TABLE big ON COMMIT DROP AS
SELECT name::regclass AS name FROM unnest(ARRAY[
    'callbacks', 'workflows', 'reports', 'verdicts', 'checks', 'steps', 'identities', 'images', 'events', 'deliveries'
]) AS name;
-- Primary and unique keys first when they come back, foreign keys last.
CREATE TEMP TABLE aside ON COMMIT DROP AS
SELECT CASE contype WHEN 'f' THEN 3 ELSE 1 END AS place, conname::text AS name,
    format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) AS bring,
    format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) AS take
FROM pg_constraint WHERE contype IN ('p', 'u', 'f') AND (
    conrelid IN (SELECT name FROM big) OR confrelid IN (SELECT name FROM big)
)
UNION ALL
SELECT 2, indexrelid::regclass::text, pg_get_indexdef(indexrelid), format('DROP INDEX %s', indexrelid::regclass)
FROM pg_index
WHERE indrelid IN (SELECT name FROM big) AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid);
DO $$
DECLARE each record;
BEGIN
    FOR each IN SELECT take FROM aside ORDER BY place DESC LOOP EXECUTE each.take; END LOOP;
END
$$;
-- Nobody was erased, and a lock for each workflow is more than there is room for.
ALTER TABLE workflows DISABLE TRIGGER workflows_stay_erased;
-- In order of time, as the line makes them.
CREATE FUNCTION pg_temp.uuid_at(moment timestamptz, salt text) RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || '7' || substr(md5(salt), 1, 3) || '8'
        || substr(md5(salt), 4, 15))::uuid
$$;

-- step: inventing workflows
CREATE TEMP TABLE drawn ON COMMIT DROP AS
SELECT n, random() AS tenant, random() AS family, random() AS outcome, random() AS detail, random() AS revision,
    random() AS wait, random() AS country, random() AS oddity,
    now() - interval '365 days' * (1 - n / current_setting('generate.workflows')::float8) - interval '5 minutes' AS at
FROM generate_series(1, current_setting('generate.workflows')::integer) AS n;
CREATE TEMP TABLE made ON COMMIT DROP AS
SELECT n, at, CASE WHEN tenant < 0.9 THEN 'default' ELSE 'europe' END AS tenant,
    CASE WHEN family < 0.85 THEN 'kyx' WHEN family < 0.93 THEN 'netverify' WHEN family < 0.97 THEN 'authentication'
        ELSE 'document' END AS family,
    md5('workflow' || n || current_setting('generate.seed'))::uuid::text AS workflow_key,
    md5('account' || n * 3 / 4)::uuid::text AS account_id,
    CASE WHEN outcome < 0.78 THEN 'passed' WHEN outcome < 0.88 THEN 'rejected' WHEN outcome < 0.93 THEN 'warning'
        WHEN outcome < 0.985 THEN 'expired' WHEN outcome < 0.996 THEN 'not_executed' ELSE 'pending' END AS outcome,
    detail, oddity,
    -- Half in 8 seconds, one in fifty after hours.
    interval '1 second' * (2 + 6 * wait + CASE WHEN wait > 0.98 THEN 20000 * detail ELSE 0 END) AS took,
    (ARRAY['USA', 'GBR', 'DEU', 'FRA', 'ESP', 'MEX', 'BRA', 'IND', 'PHL', 'NGA', 'POL', 'XKX'])[
        1 + floor(12 * country * country)::integer] AS country,
    CASE WHEN revision < 0.02 AND outcome < 0.93 THEN at + (now() - at) * detail * 0.99 + interval '1 minute' END
        AS revised_at
FROM drawn;
-- One reading of Jumio each: the first, and for a revised one the second.
CREATE TEMP TABLE readings ON COMMIT DROP AS
SELECT told.n, told.version, told.at, told.at + told.took AS decided_at, told.outcome, told.tenant, told.family,
    told.workflow_key, told.country, told.oddity, told.detail,
    pg_temp.uuid_at(told.at, 'callback' || told.version || '-' || told.n) AS callback_id,
    pg_temp.uuid_at(told.at + told.took, 'report' || told.version || '-' || told.n) AS report_id,
    CASE told.outcome
        WHEN 'rejected' THEN (ARRAY['imageChecks DIGITAL_COPY', 'imageChecks MANIPULATED_DOCUMENT', 'similarity NO_MATCH',
            'usability BLURRED', 'liveness MULTIPLE_PEOPLE', 'dataChecks MRZ_CHECKSUM'])[1 + floor(6 * told.detail)::integer]
        WHEN 'warning' THEN (ARRAY['imageChecks REPEATED_FACE', 'watchlistScreening ALERT', 'liveness AGE_DIFFERENCE',
            'usability UNSUPPORTED_COUNTRY'])[1 + floor(4 * told.detail)::integer] END AS against,
    CASE WHEN told.outcome = 'expired' THEN CASE WHEN told.detail < 0.5 THEN 'SESSION_EXPIRED' ELSE 'TOKEN_EXPIRED' END
        WHEN told.family IN ('kyx', 'authentication') THEN upper(told.outcome)
        WHEN told.outcome = 'passed' THEN 'APPROVED_VERIFIED' WHEN told.outcome = 'rejected' THEN 'DENIED_FRAUD'
        WHEN told.outcome = 'warning' THEN 'CONTRADICTION' ELSE 'ERROR_NOT_READABLE_ID' END AS label,
    CASE told.outcome WHEN 'passed' THEN floor(40 * told.detail) WHEN 'rejected' THEN 80 + floor(20 * told.detail)
        WHEN 'warning' THEN 50 + floor(20 * told.detail) ELSE -1 END AS risk_score
FROM (
    SELECT n, 1 AS version, at, took, outcome, tenant, family, workflow_key, country, oddity, detail FROM made
    WHERE outcome <> 'pending'
    UNION ALL
    SELECT n, 2, revised_at, took,
        CASE outcome WHEN 'passed' THEN CASE WHEN detail < 0.5 THEN 'rejected' ELSE 'warning' END ELSE 'passed' END,
        tenant, family, workflow_key, country, oddity, detail
    FROM made WHERE revised_at IS NOT NULL
) told
ORDER BY told.at;
ALTER TABLE readings ADD reasons jsonb;
UPDATE readings SET reasons = jsonb_build_array(jsonb_build_object(
    'check', split_part(against, ' ', 1), 'label', split_part(against, ' ', 2), 'code', NULL, 'details', '[]'::jsonb
)) WHERE against IS NOT NULL;

-- step: callbacks
INSERT INTO callbacks (
    id, tenant, received_at, peer, client_address, source_evidence, bytes, sha256, sealed_body, sealed_head, family,
    workflow_key, account_id, status, sent_at, state, attempts, last_error, finished_at
)
SELECT id, tenant, at, '10.0.0.7', '34.202.241.227',
    jsonb_build_object('rule', 'dns', 'name', 'callback.amer-1.jumio.ai', 'age_seconds', n % 300), 1200 + n % 400,
    sha256(convert_to(id::text, 'UTF8')), decode(md5(n::text), 'hex'), decode(md5(n::text), 'hex'), family, workflow_key,
    NULL, status, at - interval '1 second', 'done', 1, remark, at + interval '2 seconds'
FROM (
    SELECT r.n, r.callback_id AS id, r.tenant, r.at, r.family, r.workflow_key,
        CASE r.outcome WHEN 'expired' THEN r.label ELSE 'PROCESSED' END AS status, NULL AS remark
    FROM readings r
    UNION ALL
    SELECT m.n, pg_temp.uuid_at(m.at - interval '9 seconds', 'acquired' || m.n), m.tenant, m.at - interval '9 seconds',
        m.family, m.workflow_key, 'ACQUIRED', NULL
    FROM made m WHERE m.n % 2 = 0 AND m.family = 'kyx' OR m.outcome = 'pending'
    UNION ALL
    SELECT m.n, pg_temp.uuid_at(m.at + interval '5 minutes', 'repeat' || m.n), m.tenant, m.at + interval '5 minutes',
        m.family, m.workflow_key, 'PROCESSED', 'repeat: the same callback is done'
    FROM made m WHERE m.n % 33 = 0 AND m.outcome <> 'pending'
) arrived;
INSERT INTO callbacks (
    id, tenant, received_at, client_address, source_evidence, bytes, sha256, sealed_body, sealed_head, state, last_error,
    finished_at
)
SELECT pg_temp.uuid_at(at, 'aside' || n), tenant, at,
    CASE WHEN n % 3 = 0 THEN '34.202.241.227' ELSE '203.0.113.' || n % 250 END::inet,
    CASE WHEN n % 3 = 0 THEN '{"rule": "dns", "name": "callback.amer-1.jumio.ai", "age_seconds": 9}'
        ELSE '{"rule": "refused"}' END::jsonb,
    300, sha256(''), decode(md5(n::text), 'hex'), decode(md5(n::text), 'hex'),
    CASE WHEN n % 3 = 0 THEN 'parked' ELSE 'refused' END,
    CASE WHEN n % 3 = 0 THEN 'unreadable: neither JSON nor a form' ELSE 'source: not an address of Jumio''s' END, at
FROM made WHERE n % 150 = 0 OR n = 2;

-- step: workflows
INSERT INTO workflows (
    tenant, family, workflow_key, account_id, user_reference, customer_reference, status, definition_key, started_at,
    completed_at, outcome, label, risk_score, reject_reasons, decided_at, verdict_version, report_id, last_sequence,
    first_seen_at
)
SELECT m.tenant, m.family, m.workflow_key, m.account_id, 'user-' || m.n * 3 / 4, 'order-' || m.n,
    CASE WHEN r.n IS NULL THEN 'ACQUIRED' WHEN r.outcome = 'expired' THEN r.label ELSE 'PROCESSED' END,
    CASE m.family WHEN 'kyx' THEN (ARRAY['2', '10011', '10012'])[1 + m.n % 3] END, m.at - interval '4 minutes',
    CASE WHEN r.n IS NOT NULL THEN m.at - interval '2 seconds' END, coalesce(r.outcome, 'pending'), r.label, r.risk_score,
    coalesce(r.reasons, '[]'), r.decided_at, coalesce(r.version, 0), r.report_id,
    CASE WHEN r.n IS NULL THEN 0 ELSE 1 END + (m.revised_at IS NOT NULL)::integer + (m.outcome NOT IN ('expired', 'pending'))::integer,
    m.at
FROM made m
LEFT JOIN readings r ON r.n = m.n AND r.version = CASE WHEN m.revised_at IS NULL THEN 1 ELSE 2 END
ORDER BY m.n;

ALTER TABLE workflows ENABLE TRIGGER workflows_stay_erased;

-- step: reports, verdicts, checks, steps
INSERT INTO reports (id, tenant, family, workflow_key, callback_id, fetched_at, digest, bytes, sealed)
SELECT report_id, tenant, family, workflow_key, callback_id, decided_at, sha256(convert_to(report_id::text, 'UTF8')),
    4000 + n % 3000, decode(md5(n::text), 'hex')
FROM readings;
INSERT INTO verdicts (
    tenant, family, workflow_key, version, outcome, label, risk_score, reasons, valid_from, recorded_at, digest, rests_on,
    callback_id, report_id
)
SELECT tenant, family, workflow_key, version, outcome, label, risk_score, coalesce(reasons, '[]'),
    CASE version WHEN 1 THEN at - interval '2 seconds' ELSE decided_at END, decided_at,
    sha256(convert_to(report_id::text, 'UTF8')), 'retrieval', callback_id, report_id
FROM readings;
INSERT INTO checks (report_id, position, capability, credential_ids, outcome, label)
SELECT r.report_id, c.place - 1, c.capability, ARRAY[md5('credential' || r.n)::uuid::text], c.outcome, c.label
FROM readings r
CROSS JOIN LATERAL (
    SELECT known.place, known.capability, judged.outcome, CASE judged.outcome
        WHEN 'passed' THEN CASE known.capability WHEN 'similarity' THEN 'MATCH' ELSE 'OK' END
        WHEN 'not_executed' THEN 'PRECONDITION_NOT_FULFILLED'
        ELSE coalesce(split_part(r.against, ' ', 2), 'ALERT') END AS label
    FROM (VALUES (1, 'usability'), (2, 'imageChecks'), (3, 'extraction'), (4, 'dataChecks'), (5, 'liveness'),
        (6, 'similarity'), (7, 'watchlistScreening')) AS known (place, capability)
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN r.outcome = 'not_executed' OR r.against LIKE known.capability || ' %' AND r.outcome = 'not_executed'
                THEN 'not_executed'
            WHEN r.against LIKE known.capability || ' %' THEN r.outcome
            WHEN r.outcome = 'rejected' AND known.place > 4 AND r.against LIKE 'usability %' THEN 'not_executed'
            WHEN r.outcome = 'passed' AND r.oddity < 0.004 AND known.capability = 'similarity' THEN 'not_executed'
            WHEN r.outcome = 'passed' AND r.oddity > 0.996 AND known.capability = 'watchlistScreening' THEN 'warning'
            ELSE 'passed' END AS outcome
    ) judged
    WHERE known.capability <> 'watchlistScreening' OR r.n % 2 = 0 OR r.against LIKE 'watchlist%' OR r.oddity > 0.996
) c
WHERE r.outcome <> 'expired';
INSERT INTO steps (report_id, position, step_id, name, outcome, label, risk_score)
SELECT report_id, 0, 'step-' || n % 3, 'ID_IV', outcome, label, risk_score
FROM readings WHERE family = 'kyx' AND outcome <> 'expired';

-- step: identities
INSERT INTO identities (
    report_id, position, document_type, document_subtype, issuing_country, first_name, last_name, date_of_birth,
    document_number, issuing_date, expiry_date
)
SELECT report_id, 0, (ARRAY['PASSPORT', 'ID_CARD', 'DRIVING_LICENSE'])[1 + n % 3], NULL, country,
    (ARRAY['Ana', 'Ben', 'Chidi', 'Dalia', 'Emre', 'Fatima', 'Goran', 'Hana', 'Igor', 'Jana', 'Kofi', 'Lucia', 'Mehmet',
        'Nadia', 'Oskar', 'Priya', 'Quentin', 'Rosa', 'Samuel', 'Tereza', 'Umar', 'Vera', 'Wei', 'Yusuf', 'Zeynep'])[
        1 + drawn % 25],
    (ARRAY['Al', 'Bran', 'Cas', 'Dia', 'Ev', 'Fi', 'Gar', 'Hox', 'Iva', 'Jan', 'Kow', 'Lind', 'Mül', 'Nak', 'Oko', 'Pet',
        'Qui', 'Ros', 'San', 'Tan', 'Ull', 'Vas', 'Wil', 'Yil'])[1 + drawn / 25 % 24]
        || (ARRAY['ad', 'be', 'chi', 'do', 'er', 'fa', 'gu', 'ho', 'in', 'ka', 'lo', 'mi'])[1 + drawn / 600 % 12]
        || (ARRAY['bach', 'ci', 'dez', 'ev', 'fort', 'ges', 'ham', 'ic', 'jee', 'ler', 'mann', 'nen', 'oglu', 'poulos', 'quez',
        'ro', 'sen', 'tos', 'uk', 'ski'])[1 + drawn / 7200 % 20],
    (date '1945-01-01' + n * 7 % 21000)::text, upper(substr(md5('number' || n * 3 / 4), 1, 9)),
    (date '2016-01-01' + n % 3000)::text, (date '2026-01-01' + n % 3000)::text
FROM readings
CROSS JOIN LATERAL (SELECT ('x' || substr(md5('name' || n * 3 / 4), 1, 7))::bit(28)::integer AS drawn) person
WHERE outcome NOT IN ('expired', 'not_executed') AND family IN ('kyx', 'netverify');

-- step: images
INSERT INTO images (
    id, tenant, family, workflow_key, account_id, credential_id, category, classifier, offered, state, attempts, last_error,
    finished_at, media_type, bytes, sha256, stored_at, store, blob_key, key_id
)
SELECT pg_temp.uuid_at(m.at + m.took, part.classifier || m.n), m.tenant, m.family, m.workflow_key, m.account_id,
    md5(part.category || m.n)::uuid::text, part.category, part.classifier, part.offered, state, 1,
    CASE state WHEN 'missing' THEN CASE WHEN part.offered THEN 'gone: Jumio answers 404 for it'
            ELSE 'not_offered: Jumio gave no address for this part' END
        WHEN 'parked' THEN 'away: Jumio did not answer' END,
    CASE WHEN state <> 'wanted' THEN settled_at END, CASE state WHEN 'stored' THEN 'image/jpeg' END,
    CASE state WHEN 'stored' THEN 60000 + m.n % 90000 END,
    CASE state WHEN 'stored' THEN sha256(convert_to(part.classifier || m.n, 'UTF8')) END,
    CASE state WHEN 'stored' THEN settled_at END, CASE state WHEN 'stored' THEN 'postgres:' END,
    CASE state WHEN 'stored' THEN part.classifier || m.n END, CASE state WHEN 'stored' THEN 'k1' END
FROM made m
CROSS JOIN (VALUES ('ID', 'FRONT', true, 1), ('ID', 'BACK', true, 2), ('SELFIE', 'FACE', true, 3),
    ('FACEMAP', 'LIVENESS_1', true, 4), ('FACEMAP', 'LIVENESS_2', false, 5)) AS part (category, classifier, offered, place)
CROSS JOIN LATERAL (
    SELECT m.at + m.took + interval '1 second' * part.place AS settled_at, CASE
        WHEN NOT part.offered THEN 'missing'
        WHEN m.n > current_setting('generate.workflows')::integer - 5 THEN 'wanted'
        WHEN (m.n * 31 + part.place * 17) % 1000 < 8 THEN 'missing'
        WHEN (m.n * 31 + part.place * 17) % 1000 = 9 THEN 'parked' ELSE 'stored' END AS state
) settled
WHERE m.outcome NOT IN ('expired', 'pending')
    AND (part.place IN (1, 3) OR part.place = 2 AND m.n % 3 > 0 OR part.place = 4 AND m.n % 2 = 0 OR m.n % 50 = 0);

-- step: events and deliveries
INSERT INTO events (id, tenant, family, workflow_key, sequence, type, occurred_at, body)
SELECT pg_temp.uuid_at(at, type || n), tenant, family, workflow_key,
    row_number() OVER (PARTITION BY n ORDER BY at, type), type, at, '{"specversion": "1.0"}'
FROM (
    SELECT n, tenant, family, workflow_key, decided_at AS at, CASE WHEN version > 1 THEN 'kyc.workflow.changed.v1'
        WHEN outcome = 'expired' THEN 'kyc.workflow.expired.v1' ELSE 'kyc.workflow.decided.v1' END AS type
    FROM readings
    UNION ALL
    SELECT n, tenant, family, workflow_key, at + took + interval '6 seconds', 'kyc.workflow.images-stored.v1'
    FROM made WHERE outcome NOT IN ('expired', 'pending')
) told;
INSERT INTO subscriptions (id, url, sealed_secret)
VALUES (pg_temp.uuid_at(now(), 'subscription'), 'https://events.subscriber.example/jumio', decode(md5('secret'), 'hex'))
ON CONFLICT DO NOTHING;
INSERT INTO deliveries (
    id, event_id, destination, subscription_id, tenant, family, workflow_key, sequence, state, attempts, last_error,
    finished_at, last_status
)
SELECT pg_temp.uuid_at(e.occurred_at, target.destination || e.id), e.id, target.destination, target.id, e.tenant, e.family,
    e.workflow_key, e.sequence, state, 1, CASE state WHEN 'parked' THEN 'answer: the subscriber answers 500' END,
    CASE WHEN state <> 'pending' THEN e.occurred_at + interval '1 second' END,
    CASE WHEN target.id IS NOT NULL THEN CASE state WHEN 'delivered' THEN 204 WHEN 'parked' THEN 500 END END
FROM events e
CROSS JOIN (
    SELECT 'stream' AS destination, NULL::uuid AS id
    UNION ALL
    (SELECT 'webhook', id FROM subscriptions WHERE removed_at IS NULL ORDER BY created_at LIMIT 1)
) target
CROSS JOIN LATERAL (
    SELECT CASE WHEN e.occurred_at > now() - interval '1 minute' THEN 'pending'
        WHEN target.id IS NOT NULL AND substr(e.id::text, 34) = 'fff' THEN 'parked' ELSE 'delivered' END AS state
) sent
WHERE e.workflow_key IN (SELECT m.workflow_key FROM made m);

-- step: the audit trail
-- One row a workflow: asked for, shown, found in a search, sent to who subscribed.
INSERT INTO audit (happened_at, who, application, client_address, action, tenant, family, workflow_key, reason, details)
SELECT at + took + interval '10 minutes', 'investigator-' || n % 20, 'psql', '10.0.0.9',
    CASE n % 4 WHEN 2 THEN 'person.searched' WHEN 3 THEN 'event.enriched' ELSE 'identity.revealed' END,
    CASE n % 4 WHEN 2 THEN NULL ELSE tenant END, CASE n % 4 WHEN 3 THEN family END,
    CASE n % 4 WHEN 2 THEN NULL ELSE workflow_key END,
    CASE n % 4 WHEN 3 THEN 'the subscription asked for it' ELSE 'Case ' || n || ': the bank asks whose account this is' END,
    CASE n % 4 WHEN 0 THEN '{"step": "asked"}'::jsonb
        WHEN 1 THEN jsonb_build_object('step', 'shown', 'asked_as', n)
        WHEN 2 THEN jsonb_build_object('step', 'searched', 'asked_as', n, 'found', jsonb_build_array(
            jsonb_build_array(tenant, family, workflow_key)))
        ELSE jsonb_build_object('event', pg_temp.uuid_at(at, 'event' || n), 'with', 'identity') END
FROM made WHERE at + took + interval '10 minutes' < now() ORDER BY at + took;
INSERT INTO audit_unsealed (number, digest)
SELECT a.number, audit_digest(a) FROM audit a WHERE a.number NOT IN (SELECT number FROM audit_links)
ON CONFLICT DO NOTHING;
SELECT seal_audit((SELECT count(*)::integer FROM audit_unsealed));

-- step: holds and erasures
INSERT INTO holds (id, tenant, kind, subject, reason, placed_at, released_at)
SELECT pg_temp.uuid_at(at, 'hold' || n), tenant, 'account', account_id, 'Case ' || n || ' of the police', at + took,
    CASE WHEN n % 2 = 0 THEN now() END
FROM made WHERE n % 500 = 0 OR n = 1 ORDER BY at
ON CONFLICT DO NOTHING;
INSERT INTO erasures (id, tenant, scope, reason, erased_at, rows)
SELECT pg_temp.uuid_at(at, 'erasure' || n), tenant, 'account', 'Request ' || n || ', Art. 17', at + took, '{"workflows": 1}'
FROM made WHERE n % 500 = 0 OR n = 1 ORDER BY at;
INSERT INTO tombstones (digest, erasure_id)
SELECT tombstone('workflow', tenant, 'erased-' || n), pg_temp.uuid_at(at, 'erasure' || n)
FROM made WHERE n % 500 = 0 OR n = 1;

-- step: bringing indexes and foreign keys back
DO $$
DECLARE each record;
BEGIN
    FOR each IN SELECT bring FROM aside ORDER BY place, name LOOP EXECUTE each.bring; END LOOP;
END
$$;

-- step: counting, as autovacuum would
VACUUM (ANALYZE) pipeline.callbacks, pipeline.workflows, pipeline.reports, pipeline.verdicts, pipeline.checks, pipeline.steps,
    pipeline.identities, pipeline.images, pipeline.events, pipeline.deliveries, pipeline.audit, pipeline.audit_links,
    pipeline.audit_unsealed, pipeline.holds, pipeline.erasures, pipeline.tombstones;
