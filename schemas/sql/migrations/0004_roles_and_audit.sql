-- Who may do what, and the trail of who did what.

-- Roles are of the whole cluster: another database of it may have made them already.
DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY[
        'jumio_receiver', 'jumio_relay', 'jumio_worker', 'jumio_admin',
        'compliance_analyst', 'compliance_investigator', 'compliance_auditor'
    ] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = role) THEN
            BEGIN
                EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', role);
            EXCEPTION
                WHEN duplicate_object OR unique_violation THEN NULL;
                WHEN insufficient_privilege THEN
                    RAISE EXCEPTION 'role % is missing, and % may not create it', role, current_user
                        USING ERRCODE = 'insufficient_privilege',
                        HINT = 'As a superuser: ALTER ROLE ' || quote_ident(current_user) || ' CREATEROLE; then migrate again.';
            END;
        END IF;
    END LOOP;
END
$$;

-- The audit trail: rows are only ever added. A row's digest waits in audit_unsealed until the relay links it to the one
-- before; so nobody who writes a row waits for anybody else, however long his transaction stays open.
CREATE TABLE pipeline.audit (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    happened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    who text NOT NULL,
    application text,
    client_address inet,
    action text NOT NULL CHECK (action IN (
        'identity.revealed', 'person.searched', 'image.read', 'bundle.exported', 'workflow.erased', 'account.erased',
        'reference.erased', 'retention.ran', 'hold.placed', 'hold.released', 'rows.requeued', 'role.changed',
        'setting.changed', 'key.rotated', 'event.enriched', 'subscription.changed', 'chain.anchored'
    )),
    tenant text,
    family text,
    workflow_key text,
    reason text,
    -- No personal data: numbers, names of options, ids.
    details jsonb NOT NULL
);
-- What was done to one workflow.
CREATE INDEX audit_workflow ON pipeline.audit (tenant, workflow_key) WHERE workflow_key IS NOT NULL;
CREATE INDEX audit_happened ON pipeline.audit USING brin (happened_at);
CREATE TABLE pipeline.audit_unsealed (
    number bigint PRIMARY KEY,
    digest bytea NOT NULL
);
CREATE TABLE pipeline.audit_links (
    position bigint PRIMARY KEY CHECK (position > 0),
    number bigint NOT NULL UNIQUE,
    digest bytea NOT NULL,
    sealed_at timestamptz NOT NULL,
    link bytea NOT NULL
);

CREATE FUNCTION pipeline.refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is only ever added to';
END
$$;
CREATE TRIGGER audit_never_changes BEFORE UPDATE OR DELETE OR TRUNCATE ON pipeline.audit
    FOR EACH STATEMENT EXECUTE FUNCTION pipeline.refuse_rewriting();
CREATE TRIGGER audit_links_never_change BEFORE UPDATE OR DELETE OR TRUNCATE ON pipeline.audit_links
    FOR EACH STATEMENT EXECUTE FUNCTION pipeline.refuse_rewriting();

-- Each field as `length:text`, an empty one as `-`: no two rows are written alike.
CREATE FUNCTION pipeline.audit_digest(entry pipeline.audit) RETURNS bytea LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT sha256(convert_to(string_agg(coalesce(length(field) || ':' || field, '-'), '' ORDER BY place), 'UTF8'))
    FROM unnest(ARRAY[
        entry.number::text, (extract(epoch FROM entry.happened_at) * 1000000)::bigint::text, entry.who,
        entry.application, entry.client_address::text, entry.action, entry.tenant, entry.family, entry.workflow_key,
        entry.reason, entry.details::text
    ]) WITH ORDINALITY AS fields (field, place)
$$;

CREATE FUNCTION pipeline.append_audit(
    action text, tenant text, family text, workflow_key text, reason text, details jsonb
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    entry pipeline.audit;
BEGIN
    INSERT INTO pipeline.audit AS a (
        who, application, client_address, action, tenant, family, workflow_key, reason, details
    ) VALUES (
        session_user, nullif(current_setting('application_name'), ''), inet_client_addr(), append_audit.action,
        append_audit.tenant, append_audit.family, append_audit.workflow_key, append_audit.reason,
        coalesce(append_audit.details, '{}')
    ) RETURNING a.* INTO entry;
    INSERT INTO pipeline.audit_unsealed (number, digest) VALUES (entry.number, pipeline.audit_digest(entry));
    RETURN entry.number;
END
$$;
COMMENT ON FUNCTION pipeline.append_audit IS
    'Adds a row to the audit trail in the caller''s transaction and returns its number; notes by itself who, when and from where.';

-- Links what was committed since, oldest number first; how many rows. The lock is one that no analyst can take.
CREATE FUNCTION pipeline.seal_audit(most integer DEFAULT 10000) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    entry record;
    place bigint;
    head bytea;
    sealed timestamptz;
    count integer := 0;
BEGIN
    LOCK TABLE pipeline.audit_links IN SHARE UPDATE EXCLUSIVE MODE;
    SELECT l.position, l.link INTO place, head FROM pipeline.audit_links l ORDER BY l.position DESC LIMIT 1;
    place := coalesce(place, 0);
    head := coalesce(head, sha256(''));
    sealed := clock_timestamp();
    FOR entry IN
        WITH taken AS (
            DELETE FROM pipeline.audit_unsealed
            WHERE number IN (SELECT u.number FROM pipeline.audit_unsealed u ORDER BY u.number LIMIT most)
            RETURNING number, digest
        )
        SELECT number, digest FROM taken ORDER BY number
    LOOP
        place := place + 1;
        head := sha256(
            head || int8send(place) || int8send(entry.number)
            || int8send((extract(epoch FROM sealed) * 1000000)::bigint) || entry.digest
        );
        INSERT INTO pipeline.audit_links (position, number, digest, sealed_at, link)
        VALUES (place, entry.number, entry.digest, sealed, head);
        count := count + 1;
    END LOOP;
    RETURN count;
END
$$;

CREATE VIEW compliance.audit_trail AS
SELECT a.number, a.happened_at, a.who, a.application, a.client_address, a.action, a.tenant, a.family, a.workflow_key,
    a.reason, a.details, l.position, l.sealed_at, encode(l.link, 'hex') AS link
FROM pipeline.audit a
LEFT JOIN pipeline.audit_links l ON l.number = a.number;
COMMENT ON VIEW compliance.audit_trail IS 'One thing that somebody did: a read in the clear, an erasure, a hold, a requeue, a change of roles or settings.';
COMMENT ON COLUMN compliance.audit_trail.number IS 'Number of the row; a missing number is a transaction that was rolled back.';
COMMENT ON COLUMN compliance.audit_trail.happened_at IS 'When, by the clock of the database.';
COMMENT ON COLUMN compliance.audit_trail.who IS 'The login that did it.';
COMMENT ON COLUMN compliance.audit_trail.application IS 'The program that the login used, by its own word.';
COMMENT ON COLUMN compliance.audit_trail.client_address IS 'Address of that program; empty over a local socket.';
COMMENT ON COLUMN compliance.audit_trail.action IS 'What was done, for example identity.revealed.';
COMMENT ON COLUMN compliance.audit_trail.tenant IS 'Which Jumio customer account of ours, where it is about one.';
COMMENT ON COLUMN compliance.audit_trail.family IS 'Product generation, where it is about one workflow.';
COMMENT ON COLUMN compliance.audit_trail.workflow_key IS 'The workflow that it is about, where it is about one.';
COMMENT ON COLUMN compliance.audit_trail.reason IS 'Why, in the words of who did it.';
COMMENT ON COLUMN compliance.audit_trail.details IS 'More about it, without personal data.';
COMMENT ON COLUMN compliance.audit_trail.position IS 'Place in the chain; empty for the seconds until it is sealed.';
COMMENT ON COLUMN compliance.audit_trail.sealed_at IS 'When it was linked to the row before.';
COMMENT ON COLUMN compliance.audit_trail.link IS 'SHA-256 over the row before''s link and this row, in hexadecimal.';

-- Nobody may do what is not granted below.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA pipeline, compliance FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
-- What later migrations put into the interface is for analysts, unless they revoke it.
ALTER DEFAULT PRIVILEGES IN SCHEMA compliance GRANT SELECT ON TABLES TO compliance_analyst, compliance_investigator;

GRANT USAGE ON SCHEMA compliance TO compliance_analyst, compliance_investigator, compliance_auditor, jumio_admin;
GRANT USAGE ON SCHEMA pipeline TO jumio_receiver, jumio_relay, jumio_worker, jumio_admin, compliance_auditor;
GRANT SELECT ON ALL TABLES IN SCHEMA compliance TO compliance_analyst, compliance_investigator;
REVOKE ALL ON compliance.audit_trail FROM compliance_analyst, compliance_investigator;
GRANT SELECT ON compliance.audit_trail TO compliance_auditor, jumio_admin;
GRANT EXECUTE ON FUNCTION pipeline.masked, pipeline.masked_date TO compliance_analyst, compliance_investigator;
GRANT SELECT ON pipeline.audit, pipeline.audit_unsealed, pipeline.audit_links TO compliance_auditor, jumio_admin;
GRANT EXECUTE ON FUNCTION pipeline.append_audit TO jumio_worker, jumio_admin;
GRANT EXECUTE ON FUNCTION pipeline.seal_audit TO jumio_relay, jumio_admin;
