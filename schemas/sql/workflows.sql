-- name: get_revision
-- What a reading of Jumio starts from; whoever finds it changed afterwards has lost the race.
SELECT coalesce(max(revision), 0) AS revision FROM pipeline.workflows
WHERE tenant = %(tenant)s AND family = %(family)s AND workflow_key = %(workflow_key)s;

-- name: open_workflow
INSERT INTO pipeline.workflows (tenant, family, workflow_key, account_id, status)
VALUES (%(tenant)s, %(family)s, %(workflow_key)s, %(account_id)s, %(status)s)
ON CONFLICT DO NOTHING;

-- name: lock_workflow
-- Everything that is written about one workflow is written in turn.
SELECT workflow.revision, workflow.verdict_version, workflow.last_sequence, workflow.status, workflow.outcome,
    workflow.account_id, workflow.user_reference, workflow.customer_reference, workflow.report_id,
    report.digest AS report_digest, verdict.digest AS verdict_digest
FROM pipeline.workflows workflow
LEFT JOIN pipeline.reports report ON report.id = workflow.report_id
LEFT JOIN pipeline.verdicts verdict ON (verdict.tenant, verdict.family, verdict.workflow_key, verdict.version)
    = (workflow.tenant, workflow.family, workflow.workflow_key, workflow.verdict_version)
WHERE workflow.tenant = %(tenant)s AND workflow.family = %(family)s AND workflow.workflow_key = %(workflow_key)s
FOR UPDATE OF workflow;

-- name: advance_status
-- A status before the final one; a verdict is never taken back by one.
UPDATE pipeline.workflows SET status = %(status)s, revision = revision + 1
WHERE tenant = %(tenant)s AND family = %(family)s AND workflow_key = %(workflow_key)s AND verdict_version = 0;

-- name: conclude_workflow
UPDATE pipeline.workflows
SET account_id = %(account_id)s, user_reference = %(user_reference)s, customer_reference = %(customer_reference)s,
    status = %(status)s, definition_key = %(definition_key)s, started_at = %(started_at)s,
    completed_at = %(completed_at)s, outcome = %(outcome)s, label = %(label)s, risk_score = %(risk_score)s,
    reject_reasons = %(reasons)s,
    decided_at = CASE WHEN verdict_version = %(version)s THEN decided_at ELSE %(decided_at)s END,
    verdict_version = %(version)s, report_id = %(report_id)s, revision = revision + 1
WHERE tenant = %(tenant)s AND family = %(family)s AND workflow_key = %(workflow_key)s;

-- name: next_sequence
UPDATE pipeline.workflows SET last_sequence = last_sequence + 1
WHERE tenant = %(tenant)s AND family = %(family)s AND workflow_key = %(workflow_key)s
RETURNING last_sequence;

-- name: insert_report
INSERT INTO pipeline.reports (id, tenant, family, workflow_key, callback_id, digest, bytes, sealed)
VALUES (
    %(id)s, %(tenant)s, %(family)s, %(workflow_key)s, %(callback_id)s, %(digest)s, %(bytes)s, %(sealed)s
);

-- name: insert_verdict
INSERT INTO pipeline.verdicts (
    tenant, family, workflow_key, version, outcome, label, risk_score, reasons, valid_from, recorded_at, digest,
    rests_on, callback_id, report_id
)
VALUES (
    %(tenant)s, %(family)s, %(workflow_key)s, %(version)s, %(outcome)s, %(label)s, %(risk_score)s, %(reasons)s,
    %(valid_from)s, %(decided_at)s, %(digest)s, %(rests_on)s, %(callback_id)s, %(report_id)s
);

-- name: insert_check
INSERT INTO pipeline.checks (report_id, position, capability, credential_ids, outcome, label)
VALUES (%(report_id)s, %(position)s, %(capability)s, %(credential_ids)s, %(outcome)s, %(label)s);

-- name: insert_step
INSERT INTO pipeline.steps (report_id, position, step_id, name, outcome, label, risk_score)
VALUES (%(report_id)s, %(position)s, %(step_id)s, %(name)s, %(outcome)s, %(label)s, %(risk_score)s);

-- name: insert_identity
INSERT INTO pipeline.identities (
    report_id, position, document_type, document_subtype, issuing_country, first_name, last_name, date_of_birth,
    document_number, issuing_date, expiry_date, issuing_state
)
VALUES (
    %(report_id)s, %(position)s, %(document_type)s, %(document_subtype)s, %(issuing_country)s, %(first_name)s,
    %(last_name)s, %(date_of_birth)s, %(document_number)s, %(issuing_date)s, %(expiry_date)s, %(issuing_state)s
);
