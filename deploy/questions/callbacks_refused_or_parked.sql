-- Which callbacks were refused or parked: how many for each reason, from how many addresses, since when, and one of them?
-- until, days: the days before `until` (default: 30 days, up to now).
\if :{?until} \else \set until tomorrow \endif
\if :{?days} \else \set days 30 \endif

SELECT c.state, split_part(c.reason, ':', 1) AS reason, c.source_evidence ->> 'rule' AS source_rule, c.tenant,
    count(*) AS callbacks, count(DISTINCT c.source_ip) AS addresses, min(c.received_at) AS first,
    max(c.received_at) AS last, min(c.reason) AS for_example, max(c.callback_id::text) AS callback_id
FROM compliance.callbacks c
WHERE c.state IN ('refused', 'parked', 'unverified')
    AND c.received_at >= :'until'::date - :'days'::integer AND c.received_at < :'until'::date
GROUP BY 1, 2, 3, 4
ORDER BY callbacks DESC, 1, 2, 3, 4;
