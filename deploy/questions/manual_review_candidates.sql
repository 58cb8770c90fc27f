-- Who has to be looked at by a person: what are the warnings that stand, the oldest first?
-- As it stands now, by the day of the latest version.
-- until, days: the days before `until` (default: 30 days, up to now).
\if :{?until} \else \set until tomorrow \endif
\if :{?days} \else \set days 30 \endif

SELECT w.decided_at, w.customer_reference, w.user_reference, w.tenant, w.family, w.workflow_key, w.label, w.risk_score,
    (
        SELECT string_agg(concat_ws(' ', reason ->> 'check', reason ->> 'label'), ', ')
        FROM jsonb_array_elements(w.reject_reasons) AS reason
    ) AS because
FROM compliance.workflows w
WHERE w.decided_at >= :'until'::date - :'days'::integer AND w.decided_at < :'until'::date
    AND w.outcome = 'warning'
ORDER BY w.decided_at;
