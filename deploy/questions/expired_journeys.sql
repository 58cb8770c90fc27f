-- Whose journey ran out of time: how many a day, did they ever begin, and how many were approved in another one since?
-- Whoever has the same user_reference in the same tenant is taken for the same person. As it stands now, by the day of the
-- latest version. Days are those of the session (SET timezone).
-- until, days: the days before `until` (default: 30 days, up to now).
\if :{?until} \else \set until tomorrow \endif
\if :{?days} \else \set days 30 \endif

SELECT w.decided_at::date AS day, w.label AS ended_as, count(*) AS expired,
    count(*) FILTER (WHERE w.started_at IS NULL) AS never_begun,
    count(*) FILTER (WHERE EXISTS (
        SELECT FROM compliance.workflows again
        WHERE again.user_reference = w.user_reference AND again.tenant = w.tenant AND again.outcome = 'passed' AND again.decided_at > w.decided_at
    )) AS approved_since
FROM compliance.workflows w
WHERE w.decided_at >= :'until'::date - :'days'::integer AND w.decided_at < :'until'::date
    AND w.outcome = 'expired'
GROUP BY day, w.label
ORDER BY day, w.label;
