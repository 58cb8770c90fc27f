-- How many were approved each day, by the country that issued the document, and how many of them are not approved any more?
-- By the day on which the verdict became `passed`: a later revision moves nothing to another day, and the same report says the
-- same again. Of an erased workflow nothing is counted. The country is that of the current report. Days are those of the session
-- (SET timezone).
-- until, days: the days before `until` (default: 30 days, up to now).
\if :{?until} \else \set until tomorrow \endif
\if :{?days} \else \set days 30 \endif

SELECT v.recorded_at::date AS day, coalesce(w.country, '(not known)') AS country, count(*) AS approved,
    count(*) FILTER (WHERE w.outcome <> 'passed') AS withdrawn_since
FROM compliance.verdicts v
JOIN compliance.workflows w ON w.workflow_key = v.workflow_key AND w.tenant = v.tenant AND w.family = v.family
WHERE v.recorded_at >= :'until'::date - :'days'::integer AND v.recorded_at < :'until'::date
    AND v.outcome = 'passed'
    AND (v.version = 1 OR NOT EXISTS (
        SELECT FROM compliance.verdicts before
        WHERE before.workflow_key = v.workflow_key AND before.tenant = v.tenant AND before.family = v.family
            AND before.version = v.version - 1 AND before.outcome = 'passed'
    ))
GROUP BY day, w.country
ORDER BY day, approved DESC, country;
