-- Which verdicts were changed after the fact: from what to what, how long after, and by which callback?
-- until, days: the days before `until` (default: 30 days, up to now).
\if :{?until} \else \set until tomorrow \endif
\if :{?days} \else \set days 30 \endif

SELECT v.recorded_at, v.tenant, v.family, v.workflow_key, v.version, before.outcome AS was, v.outcome AS is_now,
    v.label, v.recorded_at - before.recorded_at AS after, v.valid_from, v.callback_id
FROM compliance.verdicts v
JOIN compliance.verdicts before ON before.workflow_key = v.workflow_key AND before.tenant = v.tenant
    AND before.family = v.family AND before.version = v.version - 1
WHERE v.recorded_at >= :'until'::date - :'days'::integer AND v.recorded_at < :'until'::date
    AND v.version > 1
ORDER BY v.recorded_at;
