-- How many were approved each day, by the country that issued the document?
-- Days are those of the session (SET timezone).
-- until, days: the days before `until` (default: 30 days, up to now).
\if :{?until} \else \set until tomorrow \endif
\if :{?days} \else \set days 30 \endif

SELECT w.decided_at::date AS day, coalesce(w.country, '(no document)') AS country, count(*) AS approved
FROM compliance.workflows w
WHERE w.decided_at >= :'until'::date - :'days'::integer AND w.decided_at < :'until'::date
    AND w.outcome = 'passed'
GROUP BY day, w.country
ORDER BY day, approved DESC, country;
