-- Who is on a watch-list by an alert of Jumio's, and is approved all the same?
-- Jumio decides by its own rules: an alert alone does not take an approval back. What was found is in the sealed report.
-- As it stands now, by the day of the latest version.
-- until, days: the days before `until` (default: 30 days, up to now).
\if :{?until} \else \set until tomorrow \endif
\if :{?days} \else \set days 30 \endif

SELECT w.decided_at, w.customer_reference, w.user_reference, w.tenant, w.family, w.workflow_key, w.outcome,
    w.verdict_version, c.outcome AS screening, c.label
FROM compliance.workflows w
JOIN compliance.checks c ON c.workflow_key = w.workflow_key AND c.tenant = w.tenant AND c.family = w.family
WHERE w.decided_at >= :'until'::date - :'days'::integer AND w.decided_at < :'until'::date
    AND w.outcome = 'passed' AND lower(c.capability) = 'watchlistscreening' AND c.outcome IN ('warning', 'rejected')
ORDER BY w.decided_at;
