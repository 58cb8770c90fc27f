-- Why were people rejected: how many for each reason, and what share of all rejections is that?
-- One rejection may have several reasons, checks that only warned among them: shares may add up to more than 100. The same
-- reason of two images is one. As it stands now, by the day of the latest version.
-- until, days: the days before `until` (default: 30 days, up to now).
\if :{?until} \else \set until tomorrow \endif
\if :{?days} \else \set days 30 \endif

WITH rejected AS (
    SELECT w.tenant, w.family, w.workflow_key, w.label, w.reject_reasons
    FROM compliance.workflows w
    WHERE w.decided_at >= :'until'::date - :'days'::integer AND w.decided_at < :'until'::date
    AND w.outcome = 'rejected'
)
SELECT coalesce(reason ->> 'check', '(none given)') AS "check", coalesce(reason ->> 'label', rejected.label) AS reason,
    reason ->> 'code' AS code, count(DISTINCT (rejected.tenant, rejected.family, rejected.workflow_key)) AS rejected,
    round(100.0 * count(DISTINCT (rejected.tenant, rejected.family, rejected.workflow_key))
        / (SELECT count(*) FROM rejected), 1) AS percent
FROM rejected
LEFT JOIN LATERAL jsonb_array_elements(rejected.reject_reasons) AS reason ON true
GROUP BY 1, 2, 3
ORDER BY rejected DESC, 1, 2, 3;
