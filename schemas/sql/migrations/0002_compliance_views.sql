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
