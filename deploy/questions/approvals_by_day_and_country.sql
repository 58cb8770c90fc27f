-- How many were approved each day, by the country that issued the document, and how many of them are not approved any more?
-- By the day on which the verdict became `passed`: no revision moves an approval to another day. Of what was erased nothing is
-- counted; once retention has deleted identities, their country is not known. Days are those of the session (SET timezone).
-- until, days: the days before `until` (default: 30 days, up to now).
\if :{?until} \else \set until tomorrow \endif
\if :{?days} \else \set days 30 \endif

WITH latest AS (
    SELECT DISTINCT ON (workflow_key, tenant, family) workflow_key, tenant, family, outcome
    FROM compliance.verdicts WHERE version > 1
    ORDER BY workflow_key, tenant, family, version DESC
)
SELECT v.recorded_at::date AS day, coalesce(v.country, '(not known)') AS country, count(*) AS approved,
    count(*) FILTER (WHERE latest.outcome <> 'passed') AS withdrawn_since
FROM compliance.verdicts v
LEFT JOIN latest ON latest.workflow_key = v.workflow_key AND latest.tenant = v.tenant AND latest.family = v.family
WHERE v.recorded_at >= :'until'::date - :'days'::integer AND v.recorded_at < :'until'::date
    AND v.outcome = 'passed'
    AND (v.version = 1 OR (
        SELECT before.outcome FROM compliance.verdicts before
        WHERE before.workflow_key = v.workflow_key AND before.tenant = v.tenant AND before.family = v.family
            AND before.version = v.version - 1
    ) <> 'passed')
GROUP BY day, v.country
ORDER BY day, approved DESC, country;
