-- name: append_audit
-- In the transaction of what it tells of.
SELECT pipeline.append_audit(
    %(action)s::text, %(tenant)s::text, %(family)s::text, %(workflow_key)s::text, %(reason)s::text, %(details)s::jsonb
) AS number;

-- name: note_settings
-- Tells the trail in what the settings of a process differ from those of its last start.
SELECT pipeline.note_settings(%(process)s::text, %(settings)s::jsonb) AS changed;

-- name: seal_audit
-- Links what was committed since.
SELECT pipeline.seal_audit() AS rows;

-- name: may_seal
SELECT has_function_privilege('pipeline.seal_audit(integer)', 'EXECUTE') AS allowed;

-- name: audit_head
SELECT position, link FROM pipeline.audit_links ORDER BY position DESC LIMIT 1;

-- name: chain
-- Every link in order, with the row that it seals as the fields that its digest is over.
SELECT l.position, l.number, l.digest, (extract(epoch FROM l.sealed_at) * 1000000)::bigint AS sealed_at, l.link,
    (extract(epoch FROM a.happened_at) * 1000000)::bigint AS happened_at, a.number::text AS row_number, a.who,
    a.application, a.client_address::text AS client_address, a.action, a.tenant, a.family, a.workflow_key, a.reason,
    a.details::text AS details
FROM pipeline.audit_links l
LEFT JOIN pipeline.audit a ON a.number = l.number
ORDER BY l.position;

-- name: outside_the_chain
-- Rows without a link: those of the last seconds, and what was put in or taken out without the functions.
SELECT coalesce(a.number, u.number) AS number, u.digest,
    (extract(epoch FROM a.happened_at) * 1000000)::bigint AS happened_at, a.number::text AS row_number, a.who,
    a.application, a.client_address::text AS client_address, a.action, a.tenant, a.family, a.workflow_key, a.reason,
    a.details::text AS details
FROM pipeline.audit a
FULL JOIN pipeline.audit_unsealed u ON u.number = a.number
WHERE NOT EXISTS (SELECT FROM pipeline.audit_links l WHERE l.number = coalesce(a.number, u.number))
ORDER BY 1;
