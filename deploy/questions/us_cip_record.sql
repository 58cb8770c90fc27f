-- What US CIP wants kept of each approved customer (31 CFR 1020.220(a)(3)): document type, number, place of issue, dates,
-- the methods and their result, and how discrepancies were resolved?
-- Masked here; compliance.reveal_identity shows one customer in the clear to those who say why. The place of issue is the
-- state, where states issue documents, and the country; the address is in the sealed report.
-- As it stands now, by the day of the latest version.
-- until, days: the days before `until` (default: 1 day, up to now).
\if :{?until} \else \set until tomorrow \endif
\if :{?days} \else \set days 1 \endif

SELECT w.customer_reference, w.user_reference, w.tenant, w.family, w.workflow_key, document.document_type,
    document.document_subtype, document.document_number,
    concat_ws(', ', document.issuing_state, document.issuing_country) AS place_of_issue,
    document.issuing_date, document.expiry_date, document.first_name, document.last_name, document.date_of_birth,
    (
        SELECT string_agg(DISTINCT (method ->> 'capability') || ' ' || (method ->> 'outcome'), ', ')
        FROM jsonb_array_elements(e.checks) AS method
    ) AS methods_and_results,
    w.outcome AS result, e.recorded_at AS verified_at, e.rests_on, e.report_sha256,
    coalesce(nullif(concat_ws('; ', (
        SELECT string_agg(
            'version ' || before.version || ' was ' || before.outcome || ' (' || before.label || ')', ', '
            ORDER BY before.version
        ) || '; resolved by version ' || w.verdict_version || ': ' || w.outcome
        FROM compliance.verdicts before
        WHERE before.workflow_key = w.workflow_key AND before.tenant = w.tenant AND before.family = w.family
            AND before.version < w.verdict_version
    ), 'noted, no bar to the approval: ' || (
        SELECT string_agg(concat_ws(' ', reason ->> 'check', reason ->> 'label'), ', ')
        FROM jsonb_array_elements(w.reject_reasons) AS reason
    )), ''), 'none found') AS discrepancies
FROM compliance.workflows w
JOIN compliance.evidence e ON e.workflow_key = w.workflow_key AND e.tenant = w.tenant AND e.family = w.family
    AND e.version = w.verdict_version
LEFT JOIN LATERAL (
    -- OFFSET 0: looked up for each of these workflows, not read whole and joined.
    SELECT * FROM compliance.identities i
    WHERE i.workflow_key = w.workflow_key AND i.tenant = w.tenant AND i.family = w.family OFFSET 0
) document ON true
WHERE w.decided_at >= :'until'::date - :'days'::integer AND w.decided_at < :'until'::date
    AND w.outcome = 'passed'
ORDER BY w.decided_at, w.workflow_key, document.position;
