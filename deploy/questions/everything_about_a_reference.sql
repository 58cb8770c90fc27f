-- What do we know about one customer reference: its transactions, verdicts, documents, images, and all that happened?
-- customer_reference: which one (default: that of the latest decision).
\if :{?customer_reference}
\else
SELECT customer_reference FROM compliance.workflows
WHERE decided_at IS NOT NULL AND customer_reference IS NOT NULL ORDER BY decided_at DESC LIMIT 1
\gset
\endif

SELECT * FROM compliance.workflows WHERE customer_reference = :'customer_reference' ORDER BY first_seen_at;

SELECT v.* FROM compliance.workflows w
JOIN compliance.evidence v ON v.workflow_key = w.workflow_key AND v.tenant = w.tenant AND v.family = w.family
WHERE w.customer_reference = :'customer_reference'
ORDER BY w.first_seen_at, v.version;

SELECT document.* FROM compliance.workflows w
CROSS JOIN LATERAL (
    -- OFFSET 0: looked up for each of these workflows, not read whole and joined.
    SELECT * FROM compliance.identities i
    WHERE i.workflow_key = w.workflow_key AND i.tenant = w.tenant AND i.family = w.family OFFSET 0
) document
WHERE w.customer_reference = :'customer_reference'
ORDER BY w.first_seen_at, document.position;

SELECT i.* FROM compliance.workflows w
JOIN compliance.images i ON i.workflow_key = w.workflow_key AND i.tenant = w.tenant AND i.family = w.family
WHERE w.customer_reference = :'customer_reference'
ORDER BY w.first_seen_at, i.category, i.classifier;

SELECT t.at, t.what, t.words, w.workflow_key FROM compliance.workflows w
CROSS JOIN LATERAL compliance.timeline(w.workflow_key, w.tenant, w.family) t
WHERE w.customer_reference = :'customer_reference'
ORDER BY t.at;
