-- Who was approved although the face was not compared with the document: the check was not executed?
-- A workflow without such a check at all is not in it: what a definition asks for is Jumio's to set (definition_key).
-- As it stands now, by the day of the latest version.
-- until, days: the days before `until` (default: 30 days, up to now).
\if :{?until} \else \set until tomorrow \endif
\if :{?days} \else \set days 30 \endif

SELECT w.decided_at, w.customer_reference, w.user_reference, w.tenant, w.family, w.workflow_key, w.definition_key,
    w.risk_score, c.label AS similarity
FROM compliance.workflows w
JOIN compliance.checks c ON c.workflow_key = w.workflow_key AND c.tenant = w.tenant AND c.family = w.family
WHERE w.decided_at >= :'until'::date - :'days'::integer AND w.decided_at < :'until'::date
    AND w.outcome = 'passed' AND lower(c.capability) = 'similarity' AND c.outcome = 'not_executed'
ORDER BY w.decided_at;
