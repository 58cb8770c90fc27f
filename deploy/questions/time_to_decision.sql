-- How long is it from the callback to the decision, by product: half, 95 and 99 of 100, and the slowest, in seconds?
-- Of the callbacks that arrived in these days and led to a first verdict.
-- until, days: the days before `until` (default: 30 days, up to now).
\if :{?until} \else \set until tomorrow \endif
\if :{?days} \else \set days 30 \endif

SELECT e.tenant, e.family, count(*) AS decided,
    round(percentile_cont(0.50) WITHIN GROUP (ORDER BY t.seconds)::numeric, 1) AS half,
    round(percentile_cont(0.95) WITHIN GROUP (ORDER BY t.seconds)::numeric, 1) AS p95,
    round(percentile_cont(0.99) WITHIN GROUP (ORDER BY t.seconds)::numeric, 1) AS p99,
    round(max(t.seconds)::numeric, 1) AS slowest
FROM compliance.evidence e
CROSS JOIN LATERAL (
    SELECT extract(epoch FROM e.recorded_at - e.callback_received_at)::float8 AS seconds
) t
WHERE e.version = 1 AND e.callback_received_at >= :'until'::date - :'days'::integer
    AND e.callback_received_at < :'until'::date
    -- No verdict is recorded before its callback arrived: this reads as little of the verdicts as of the callbacks.
    AND e.recorded_at >= :'until'::date - :'days'::integer
GROUP BY e.tenant, e.family
ORDER BY decided DESC, e.tenant, e.family;
