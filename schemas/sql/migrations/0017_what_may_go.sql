-- What may go, and what may not: a relationship that ended before a workflow began does not end it, nothing goes that
-- waits, no reason names a person, and no lock that stops an erasure is free for everybody.

CREATE OR REPLACE VIEW pipeline.clocks AS
SELECT w.tenant, w.family, w.workflow_key, w.first_seen_at AS received, w.decided_at AS decided,
    coalesce(w.completed_at, w.decided_at) AS completed,
    (
        SELECT max(e.ended_at) FROM pipeline.relationship_ends e
        WHERE e.tenant = w.tenant AND (
            e.kind = 'workflow' AND e.subject = w.workflow_key
            OR e.kind = 'account' AND e.subject = w.account_id
            OR e.kind = 'user-reference' AND e.subject = w.user_reference
        )
        -- What ended before the workflow began was another relationship: its customer has come back.
        AND e.ended_at >= date_trunc('day', least(w.started_at, w.completed_at, w.first_seen_at), 'UTC')
    ) AS relationship_ended,
    pipeline.is_held(w.tenant, w.workflow_key, w.account_id, w.user_reference) AS held
FROM pipeline.workflows w;

-- All that a policy speaks of, by class, with the moments from which it may count. What has lost its workflow, or never
-- had one, has only the moment at which it came. An image, a body or a report that is gone is not here any more. A
-- workflow is not here while something of it waits for a worker or a subscriber; it takes all that is left of it along,
-- so whatever its clock says, it is not counted from before the last that came of it (`not_before`).
CREATE OR REPLACE VIEW pipeline.retained AS
SELECT 'biometric_images' AS class, 'images' AS place, i.id, i.tenant, i.family, i.workflow_key, i.stored_at AS received,
    c.decided, c.completed, c.relationship_ended, c.held,
    NULL::timestamptz AS not_before
FROM pipeline.images i JOIN pipeline.clocks c USING (tenant, family, workflow_key)
WHERE i.state = 'stored' AND pipeline.is_biometric(i.category, i.classifier)
UNION ALL
SELECT 'document_images', 'images', i.id, i.tenant, i.family, i.workflow_key, i.stored_at, c.decided, c.completed,
    c.relationship_ended, c.held, NULL
FROM pipeline.images i JOIN pipeline.clocks c USING (tenant, family, workflow_key)
WHERE i.state = 'stored' AND NOT pipeline.is_biometric(i.category, i.classifier)
UNION ALL
SELECT 'identities', 'identities', r.id, r.tenant, r.family, r.workflow_key, r.fetched_at, c.decided, c.completed,
    c.relationship_ended, c.held, NULL
FROM pipeline.identities JOIN pipeline.reports r ON r.id = report_id JOIN pipeline.clocks c USING (tenant, family, workflow_key)
UNION ALL
SELECT 'raw', 'reports', r.id, r.tenant, r.family, r.workflow_key, r.fetched_at, c.decided, c.completed,
    c.relationship_ended, c.held, NULL
FROM pipeline.reports r JOIN pipeline.clocks c USING (tenant, family, workflow_key)
WHERE octet_length(r.sealed) > 0
UNION ALL
SELECT 'raw', 'callbacks', b.id, b.tenant, b.family, b.workflow_key, b.received_at,
    CASE WHEN c.held IS NULL THEN b.received_at ELSE c.decided END,
    CASE WHEN c.held IS NULL THEN b.received_at ELSE c.completed END,
    CASE WHEN c.held IS NULL THEN b.received_at ELSE c.relationship_ended END,
    coalesce(c.held, pipeline.is_held(b.tenant, b.workflow_key, b.account_id, NULL)), NULL
FROM pipeline.callbacks b LEFT JOIN pipeline.clocks c
    ON (c.tenant, c.family, c.workflow_key) = (b.tenant, b.family, b.workflow_key)
WHERE b.state IN ('done', 'parked', 'refused') AND octet_length(b.sealed_body) > 0
UNION ALL
SELECT 'events', 'events', e.id, e.tenant, e.family, e.workflow_key, e.occurred_at,
    CASE WHEN c.held IS NULL THEN e.occurred_at ELSE c.decided END,
    CASE WHEN c.held IS NULL THEN e.occurred_at ELSE c.completed END,
    CASE WHEN c.held IS NULL THEN e.occurred_at ELSE c.relationship_ended END, coalesce(c.held, false), NULL
FROM pipeline.events e LEFT JOIN pipeline.clocks c
    ON (c.tenant, c.family, c.workflow_key) = (e.tenant, e.family, e.workflow_key)
WHERE NOT EXISTS (SELECT FROM pipeline.deliveries d WHERE d.event_id = e.id AND d.state = 'pending')
UNION ALL
SELECT 'verdicts', 'workflows', NULL, c.tenant, c.family, c.workflow_key, c.received, c.decided, c.completed,
    c.relationship_ended, c.held,
    greatest(
        c.received, c.decided,
        (SELECT max(b.received_at) FROM pipeline.callbacks b
            WHERE (b.tenant, b.family, b.workflow_key) = (c.tenant, c.family, c.workflow_key)),
        (SELECT max(r.fetched_at) FROM pipeline.reports r
            WHERE (r.tenant, r.family, r.workflow_key) = (c.tenant, c.family, c.workflow_key)),
        (SELECT max(i.stored_at) FROM pipeline.images i
            WHERE (i.tenant, i.family, i.workflow_key) = (c.tenant, c.family, c.workflow_key)),
        (SELECT max(e.occurred_at) FROM pipeline.events e
            WHERE (e.tenant, e.family, e.workflow_key) = (c.tenant, c.family, c.workflow_key))
    )
FROM pipeline.clocks c
WHERE NOT EXISTS (SELECT FROM pipeline.callbacks b WHERE b.state = 'stored'
        AND (b.tenant, b.family, b.workflow_key) = (c.tenant, c.family, c.workflow_key))
    AND NOT EXISTS (SELECT FROM pipeline.images i WHERE i.state = 'wanted'
        AND (i.tenant, i.family, i.workflow_key) = (c.tenant, c.family, c.workflow_key))
    AND NOT EXISTS (SELECT FROM pipeline.deliveries d WHERE d.state = 'pending'
        AND (d.tenant, d.family, d.workflow_key) = (c.tenant, c.family, c.workflow_key));

CREATE OR REPLACE FUNCTION pipeline.refuse_erased() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    account bytea := pipeline.tombstone('account', NEW.tenant, NEW.account_id);
    workflow bytea := pipeline.tombstone('workflow', NEW.tenant, NEW.workflow_key);
BEGIN
    -- Older generations know no account: one lock for all of them would be one that anybody can take.
    IF NEW.account_id <> '' THEN
        PERFORM pg_advisory_xact_lock_shared(hashtextextended(encode(account, 'hex'), 0));
    END IF;
    PERFORM pg_advisory_xact_lock_shared(hashtextextended(encode(workflow, 'hex'), 0));
    IF pipeline.is_erased(NEW.tenant, NEW.workflow_key, NEW.account_id) THEN
        RAISE EXCEPTION 'this subject was erased' USING ERRCODE = 'JPERA';
    END IF;
    RETURN NEW;
END
$$;

-- Whether a reason tells who the person of a workflow is, or names the workflow or its reference: reasons stay for ever.
CREATE FUNCTION pipeline.names_person(tenant text, family text, workflow_key text, reason text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT length($3) > 7 AND position(lower($3) IN lower($4)) > 0 OR EXISTS (
        SELECT FROM pipeline.reports r
        JOIN pipeline.identities i ON i.report_id = r.id
        WHERE (r.tenant, r.family, r.workflow_key) = ($1, $2, $3) AND (
            pipeline.says_who($4, nullif(i.first_name, 'N/A'), i.number_folded, i.date_of_birth)
            OR pipeline.says_who($4, nullif(i.last_name, 'N/A'), NULL, NULL)
        )
    ) OR EXISTS (
        SELECT FROM pipeline.workflows w
        WHERE (w.tenant, w.family, w.workflow_key) = ($1, $2, $3) AND pipeline.says_who($4, w.user_reference, NULL, NULL)
    )
$$;
CREATE OR REPLACE FUNCTION pipeline.ask_export(tenant text, family text, workflow_key text, reason text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    written bigint;
BEGIN
    PERFORM pipeline.require_reason($4);
    IF pipeline.names_person($1, $2, $3, $4) THEN
        RAISE EXCEPTION 'the reason names the person; it stays in the audit trail for ever, so say it without'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    written := pipeline.append_audit('bundle.exported', $1, $2, $3, $4, '{"step": "asked"}');
    DELETE FROM pipeline.access_requests r WHERE r.made_at < clock_timestamp() - interval '15 minutes';
    INSERT INTO pipeline.access_requests (number, asked)
    VALUES (written, pipeline.asked_digest(written, ARRAY['bundle.exported', $1, $2, $3]));
    RETURN written;
END
$$;

-- A reason to read somebody is kept without the person: it stays for ever. Nobody is told that it was not kept, or reasons
-- would be guesses off record.
CREATE FUNCTION pipeline.kept_why(tenant text, workflow_key text, reason text) RETURNS text LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN EXISTS (
        SELECT FROM pipeline.workflows w
        WHERE w.tenant = $1 AND w.workflow_key = $2
            AND pipeline.names_person(w.tenant, w.family, w.workflow_key, replace(lower($3), lower($2), ' '))
    ) THEN 'not kept: it named the person' ELSE $3 END
$$;
REVOKE ALL ON FUNCTION pipeline.kept_why FROM PUBLIC;
CREATE OR REPLACE FUNCTION pipeline.append_audit(
    action text, tenant text, family text, workflow_key text, reason text, details jsonb
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    entry pipeline.audit;
    why text := CASE WHEN action IN ('identity.revealed', 'image.read')
        THEN pipeline.kept_why(tenant, workflow_key, reason) ELSE reason END;
BEGIN
    IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    INSERT INTO pipeline.audit AS a (
        who, application, client_address, action, tenant, family, workflow_key, reason, details
    ) VALUES (
        session_user, nullif(current_setting('application_name'), ''), inet_client_addr(), append_audit.action,
        append_audit.tenant, append_audit.family, append_audit.workflow_key, why, coalesce(append_audit.details, '{}')
    ) RETURNING a.* INTO entry;
    INSERT INTO pipeline.audit_unsealed (number, digest) VALUES (entry.number, pipeline.audit_digest(entry));
    RETURN entry.number;
END
$$;

-- Who told that a relationship ended starts a clock by which people's data are deleted.
ALTER TABLE pipeline.audit DROP CONSTRAINT audit_action_check, ADD CONSTRAINT audit_action_check CHECK (action IN (
    'identity.revealed', 'person.searched', 'image.read', 'bundle.exported', 'workflow.erased', 'account.erased',
    'reference.erased', 'retention.ran', 'hold.placed', 'hold.released', 'relationship.ended', 'relationship.resumed',
    'rows.requeued', 'role.changed', 'setting.changed', 'key.rotated', 'event.enriched', 'subscription.changed'
));

-- Which folder a receiver spools to, by a name that is in it: containers that share one have different hosts.
ALTER TABLE pipeline.pulses ADD COLUMN spool_folder text;

REVOKE ALL ON FUNCTION pipeline.names_person FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pipeline.names_person TO jumio_admin;
