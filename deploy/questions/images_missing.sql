-- Which images did Jumio offer that are not here, and why not?
-- Those that Jumio never offered are no loss: images.offered tells them apart.
-- As it stands now, by the day of the latest version.
-- until, days: the days before `until` (default: 7 days, up to now).
\if :{?until} \else \set until tomorrow \endif
\if :{?days} \else \set days 7 \endif

SELECT w.decided_at, w.customer_reference, w.tenant, w.family, w.workflow_key, i.category, i.classifier, i.state,
    i.reason, i.settled_at
FROM compliance.workflows w
JOIN compliance.images i ON i.workflow_key = w.workflow_key AND i.tenant = w.tenant AND i.family = w.family
WHERE w.decided_at >= :'until'::date - :'days'::integer AND w.decided_at < :'until'::date
    AND i.offered AND i.state <> 'stored'
ORDER BY w.decided_at, w.workflow_key, i.category, i.classifier;
