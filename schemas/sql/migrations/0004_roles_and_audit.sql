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

-- Links what was committed since, the lowest number first; how many rows. None while somebody else does it, or vacuums: the
-- next turn will. The lock is one that nobody without rights to the table can take.
CREATE FUNCTION pipeline.seal_audit(most integer DEFAULT 5000) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    entry record;
    place bigint;
    head bytea;
    sealed timestamptz;
    count integer := 0;
BEGIN
    BEGIN
        LOCK TABLE pipeline.audit_links IN SHARE UPDATE EXCLUSIVE MODE NOWAIT;
    EXCEPTION
        WHEN lock_not_available THEN RETURN 0;
    END;
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

-- Masking. One letter would be the whole family name in Chinese; a year is shown only where there is a date.
CREATE OR REPLACE FUNCTION pipeline.masked(clear text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN clear IS NULL OR clear = '' THEN clear ELSE '***' END
$$;
CREATE OR REPLACE FUNCTION pipeline.masked_date(clear text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN clear ~ '^(18|19|20|21)\d\d-\d\d-\d\d$' THEN left(clear, 4) || '-**-**'
        WHEN clear IS NULL OR clear = '' THEN clear
        ELSE '***'
    END
$$;
ALTER VIEW compliance.identities SET (security_barrier = true);
COMMENT ON VIEW compliance.identities IS 'Data extracted from the document, masked: *** where there is a text, the year of a date. compliance.reveal_identity shows it in the clear to those who say why.';
COMMENT ON COLUMN compliance.identities.first_name IS 'Masked: *** where there is one.';
COMMENT ON COLUMN compliance.identities.last_name IS 'Masked: *** where there is one.';
COMMENT ON COLUMN compliance.identities.document_number IS 'Masked: *** where there is one.';

-- Finding a person: names and numbers as they are compared, the same under every locale.
DO $$
BEGIN
    IF current_setting('server_encoding') <> 'UTF8' THEN
        RAISE EXCEPTION 'the database must be encoded in UTF8' USING HINT = 'CREATE DATABASE ... ENCODING ''UTF8''';
    END IF;
    CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA pipeline;
    IF to_regproc('pipeline.word_similarity') IS NULL THEN
        RAISE EXCEPTION 'the extension pg_trgm is in another schema'
            USING HINT = 'As its owner: ALTER EXTENSION pg_trgm SET SCHEMA pipeline; then migrate again.';
    END IF;
END
$$;
-- Lower case without accents, the words in order of the alphabet: which name comes first is no matter.
CREATE FUNCTION pipeline.folded_name(clear text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(string_agg(word, ' ' ORDER BY word COLLATE "C"), '')
    FROM regexp_split_to_table(
        replace(replace(replace(replace(translate(
            lower(regexp_replace(normalize(clear, NFKD), '[\u0300-\u036f''’.]', '', 'g') COLLATE "C"),
            'ŁłØøĐđÐðıŊŋĦħŦŧАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯІЄЂЈЉЊЋЏΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩς',
            'llooddddinnhhttабвгдежзийклмнопрстуфхцчшщъыьэюяієђјљњћџαβγδεζηθικλμνξοπρστυφχψωσ'
        ), 'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'), 'Æ', 'ae'),
        '[\s,;:/<>()_-]+'
    ) AS word
    WHERE word <> ''
$$;
-- Letters and digits only; those that are taken for each other are one.
CREATE FUNCTION pipeline.folded_number(clear text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT translate(upper(regexp_replace(clear, '[^A-Za-z0-9]', '', 'g') COLLATE "C"), 'OQIBSZ', '001852')
$$;
ALTER TABLE pipeline.identities
    ADD COLUMN name_folded text GENERATED ALWAYS AS (
        pipeline.folded_name(coalesce(nullif(first_name, 'N/A'), '') || ' ' || coalesce(nullif(last_name, 'N/A'), ''))
    ) STORED,
    ADD COLUMN number_folded text GENERATED ALWAYS AS (pipeline.folded_number(document_number)) STORED;
-- find_person, one for each way to look.
CREATE INDEX identities_name ON pipeline.identities (name_folded);
CREATE INDEX identities_close_name ON pipeline.identities USING gin (name_folded pipeline.gin_trgm_ops);
CREATE INDEX identities_number ON pipeline.identities (number_folded);
CREATE INDEX identities_close_number ON pipeline.identities USING gin (number_folded pipeline.gin_trgm_ops);
CREATE INDEX identities_birth ON pipeline.identities (date_of_birth);
CREATE INDEX workflows_report ON pipeline.workflows (report_id);

-- Reads in the clear. A transaction that is rolled back takes its audit row with it, so nothing is shown before a row that
-- says who wants to see what, and why, was committed by an earlier transaction: the first call writes that row and shows
-- nothing, the same call again shows what was asked for. A row that is visible and of another transaction is committed.
CREATE TABLE pipeline.access_requests (
    number bigint PRIMARY KEY,
    made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    transaction xid8 NOT NULL DEFAULT pg_current_xact_id(),
    who text NOT NULL DEFAULT session_user,
    -- SHA-256 over the row's number and what was asked.
    asked bytea NOT NULL,
    -- What a search found: these, and no others, are shown, because the audit row tells of these.
    report_ids uuid[],
    positions integer[],
    scores real[]
);

CREATE FUNCTION pipeline.asked_digest(number bigint, asked text[]) RETURNS bytea LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT sha256(convert_to(number::text || to_jsonb(asked)::text, 'UTF8'))
$$;

-- The number of the caller's request, if an earlier transaction committed it within the last quarter of an hour.
CREATE FUNCTION pipeline.committed_request(asked text[]) RETURNS bigint LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT max(r.number) FROM pipeline.access_requests r
    WHERE r.who = session_user AND r.made_at > clock_timestamp() - interval '15 minutes'
        AND r.transaction IS DISTINCT FROM pg_current_xact_id_if_assigned()
        AND r.asked = pipeline.asked_digest(r.number, committed_request.asked)
$$;

CREATE FUNCTION pipeline.require_reason(reason text) RETURNS void LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF length(regexp_replace(coalesce(reason, ''), '\s+', '', 'g')) < 10 THEN
        RAISE EXCEPTION 'say why, in at least ten letters: a case number and what it is about'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
END
$$;

-- What the first of the two calls answers.
CREATE FUNCTION pipeline.noted(number bigint) RETURNS text LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT 'Your reason is row ' || number || ' of the audit trail. Commit, then run the same statement again within'
        ' 15 minutes: it shows what you asked for.'
$$;

CREATE FUNCTION compliance.reveal_identity(tenant text, workflow_key text, reason text) RETURNS TABLE (
    family text, document_type text, document_subtype text, issuing_country text, first_name text, last_name text,
    date_of_birth text, document_number text, issuing_date text, expiry_date text, audit_number bigint, note text
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    wanted text[] := ARRAY['identity.revealed', $1, $2, $3];
    request bigint := pipeline.committed_request(wanted);
BEGIN
    PERFORM pipeline.require_reason($3);
    audit_number := pipeline.append_audit('identity.revealed', $1, NULL, $2, $3, CASE
        WHEN request IS NULL THEN '{"step": "asked"}'::jsonb
        ELSE jsonb_build_object('step', 'shown', 'asked_as', request)
    END);
    IF request IS NULL THEN
        DELETE FROM pipeline.access_requests r WHERE r.made_at < clock_timestamp() - interval '15 minutes';
        INSERT INTO pipeline.access_requests (number, asked)
        VALUES (audit_number, pipeline.asked_digest(audit_number, wanted));
        note := pipeline.noted(audit_number);
        RAISE NOTICE '%', note;
        RETURN NEXT;
        RETURN;
    END IF;
    RETURN QUERY
    SELECT w.family, i.document_type, i.document_subtype, i.issuing_country, i.first_name, i.last_name, i.date_of_birth,
        i.document_number, i.issuing_date, i.expiry_date, audit_number, NULL::text
    FROM pipeline.workflows w
    JOIN pipeline.identities i ON i.report_id = w.report_id
    WHERE w.tenant = $1 AND w.workflow_key = $2
    ORDER BY w.family, i.position;
    IF NOT FOUND THEN
        note := 'No identity is kept of this tenant and workflow.';
        RETURN NEXT;
    END IF;
END
$$;
COMMENT ON FUNCTION compliance.reveal_identity IS 'The identity of one workflow in the clear. Call it twice: the first call writes who, when, which and why into the audit trail and shows nothing; after its commit the same call shows the identity, for 15 minutes, and writes a row again. So neither a rollback nor an error hides a reading. The reason: ten letters or more, a case number, no personal data.';

-- A date of birth, and if it need only be close: those with another day, month or year, or day and month changed over.
CREATE FUNCTION pipeline.births(born date, close boolean) RETURNS text[] LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN born IS NULL THEN NULL WHEN NOT close THEN ARRAY[to_char(born, 'YYYY-MM-DD')] ELSE
        ARRAY[to_char(born, 'YYYY-MM-DD'), to_char(born, 'YYYY-DD-MM')]
        || ARRAY(SELECT to_char(born, 'YYYY-MM-') || to_char(d, 'FM00') FROM generate_series(1, 31) d)
        || ARRAY(SELECT to_char(born, 'YYYY-') || to_char(m, 'FM00') || to_char(born, '-DD') FROM generate_series(1, 12) m)
        || ARRAY(
            SELECT to_char(extract(year FROM born)::integer + y, 'FM0000') || to_char(born, '-MM-DD')
            FROM generate_series(-10, 10) y
        )
    END
$$;

-- Searches, notes what was found, shows nothing; the number of the audit row.
CREATE FUNCTION pipeline.search_person(
    reason text, name text, born date, number text, close boolean, tenant text, wanted text[]
) RETURNS bigint LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pipeline, pg_temp
SET pg_trgm.similarity_threshold = 0.4 SET pg_trgm.word_similarity_threshold = 0.6 AS $$
DECLARE
    fits text := '($6 IS NULL OR w.tenant = $6)';
    hits record;
    written bigint;
BEGIN
    IF folded_name(name) <> '' THEN
        fits := fits || CASE WHEN close
            THEN ' AND (i.name_folded = $1 OR i.name_folded % $1 OR $1 <% i.name_folded)'
            ELSE ' AND i.name_folded = $1 AND $2 IN ('
                ' lower(concat_ws('' '', nullif(i.first_name, ''N/A''), nullif(i.last_name, ''N/A''))),'
                ' lower(concat_ws('' '', nullif(i.last_name, ''N/A''), nullif(i.first_name, ''N/A''))))'
        END;
    END IF;
    IF born IS NOT NULL THEN
        fits := fits || ' AND i.date_of_birth = ANY ($3)';
    END IF;
    IF folded_number(number) <> '' THEN
        fits := fits || CASE WHEN close THEN ' AND (i.number_folded = $4 OR i.number_folded % $4)'
            ELSE ' AND i.number_folded = $4'
                ' AND upper(regexp_replace(i.document_number, ''[^A-Za-z0-9]'', '''', ''g'')) = $5'
        END;
    END IF;
    EXECUTE 'SELECT array_agg(report_id) AS report_ids, array_agg(place) AS places, array_agg(score) AS scores,
        coalesce(jsonb_agg(jsonb_build_array(tenant, family, workflow_key)), ''[]'') AS workflows
    FROM (
        SELECT i.report_id, i.position AS place, w.tenant, w.family, w.workflow_key, least(
            coalesce(greatest(
                similarity(i.name_folded, $1), 0.9 * word_similarity($1, i.name_folded),
                (i.name_folded = $1)::integer
            ), 1),
            CASE WHEN i.date_of_birth = ($3)[1] OR $3 IS NULL THEN 1 ELSE 0.7 END,
            coalesce(greatest(similarity(i.number_folded, $4), (i.number_folded = $4)::integer), 1)
        )::real AS score
        FROM pipeline.identities i
        JOIN pipeline.workflows w ON w.report_id = i.report_id
        WHERE ' || fits || '
        ORDER BY score DESC, w.first_seen_at DESC LIMIT 100
    ) best' INTO hits USING
        nullif(folded_name(name), ''), lower(regexp_replace(btrim(name), '\s+', ' ', 'g')), births(born, close),
        nullif(folded_number(number), ''), upper(regexp_replace(number, '[^A-Za-z0-9]', '', 'g')), tenant;
    written := append_audit('person.searched', tenant, NULL, NULL, reason, jsonb_build_object(
        'step', 'asked', 'close', close, 'found', hits.workflows,
        'by', to_jsonb(array_remove(ARRAY[
            CASE WHEN folded_name(name) <> '' THEN 'name' END, CASE WHEN born IS NOT NULL THEN 'born' END,
            CASE WHEN folded_number(number) <> '' THEN 'number' END
        ], NULL))
    ));
    DELETE FROM access_requests r WHERE r.made_at < clock_timestamp() - interval '15 minutes';
    INSERT INTO access_requests (number, asked, report_ids, positions, scores)
    VALUES (written, asked_digest(written, wanted), hits.report_ids, hits.places, hits.scores);
    RETURN written;
END
$$;

CREATE FUNCTION compliance.find_person(
    reason text, name text DEFAULT NULL, born date DEFAULT NULL, number text DEFAULT NULL,
    close boolean DEFAULT false, only_tenant text DEFAULT NULL
) RETURNS TABLE (
    tenant text, family text, workflow_key text, document_type text, issuing_country text, first_name text,
    last_name text, date_of_birth text, document_number text, score real, audit_number bigint, note text
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    wanted text[] := ARRAY['person.searched', $1, $2, to_char($3, 'YYYY-MM-DD'), $4, $5::text, $6];
    request bigint := pipeline.committed_request(wanted);
BEGIN
    PERFORM pipeline.require_reason($1);
    IF coalesce(pipeline.folded_name($2), '') = '' AND $3 IS NULL AND coalesce(pipeline.folded_number($4), '') = '' THEN
        RAISE EXCEPTION 'say a name, a date of birth or a document number' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF request IS NULL THEN
        audit_number := pipeline.search_person($1, $2, $3, $4, coalesce($5, false), $6, wanted);
        note := pipeline.noted(audit_number);
        RAISE NOTICE '%', note;
        RETURN NEXT;
        RETURN;
    END IF;
    audit_number := pipeline.append_audit(
        'person.searched', $6, NULL, NULL, $1, jsonb_build_object('step', 'shown', 'asked_as', request)
    );
    RETURN QUERY
    SELECT w.tenant, w.family, w.workflow_key, i.document_type, i.issuing_country, i.first_name, i.last_name,
        i.date_of_birth, i.document_number, hit.score, audit_number, NULL::text
    FROM pipeline.access_requests r
    CROSS JOIN LATERAL unnest(r.report_ids, r.positions, r.scores) WITH ORDINALITY
        AS hit (report_id, place, score, rank)
    JOIN pipeline.identities i ON i.report_id = hit.report_id AND i.position = hit.place
    JOIN pipeline.workflows w ON w.report_id = i.report_id
    WHERE r.number = request
    ORDER BY hit.rank;
    IF NOT FOUND THEN
        note := 'Nobody was found.';
        RETURN NEXT;
    END IF;
END
$$;
COMMENT ON FUNCTION compliance.find_person IS 'Workflows of a person, by name, date of birth (born) and document number; all that are given must fit. Exact: case and order of names, blanks and dashes in numbers do not matter. Close: nor do accents, typing errors, missing names, and a wrong day, month or year. At most 100, the best first. Call it twice, as reveal_identity: the first call searches, writes who, when, why and which workflows were found into the audit trail, and shows nothing; after its commit the same call shows them.';

-- Logins. The password stays with whoever made it: the server gets a SCRAM verifier.
CREATE FUNCTION pipeline.change_login(change text, login text, part text, verifier text, reason text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    parts CONSTANT text[] := ARRAY[
        'jumio_receiver', 'jumio_relay', 'jumio_worker', 'jumio_admin',
        'compliance_analyst', 'compliance_investigator', 'compliance_auditor'
    ];
BEGIN
    IF change <> 'disabled' AND coalesce(verifier, '') NOT LIKE 'SCRAM-SHA-256$%' THEN
        RAISE EXCEPTION 'only a SCRAM verifier is taken';
    END IF;
    IF change = 'created' THEN
        IF part <> ALL (parts) THEN
            RAISE EXCEPTION '% is none of %', part, array_to_string(parts, ', ');
        END IF;
        EXECUTE format('CREATE ROLE %I LOGIN PASSWORD %L IN ROLE %I', login, verifier, part);
    ELSE
        SELECT g.rolname INTO part FROM pg_auth_members m
        JOIN pg_roles g ON g.oid = m.roleid AND g.rolname = ANY (parts)
        JOIN pg_roles l ON l.oid = m.member AND l.rolname = login;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'no login of ours is called %', login USING ERRCODE = 'undefined_object';
        ELSIF change = 'rotated' THEN
            EXECUTE format('ALTER ROLE %I LOGIN PASSWORD %L', login, verifier);
        ELSE
            EXECUTE format('ALTER ROLE %I NOLOGIN PASSWORD NULL', login);
        END IF;
    END IF;
    PERFORM pipeline.append_audit('role.changed', NULL, NULL, NULL, reason,
        jsonb_build_object('login', login, 'change', change, 'as', part));
END
$$;

-- Nobody may do what is not granted below.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA compliance FROM PUBLIC;
REVOKE ALL ON FUNCTION pipeline.refuse_change, pipeline.masked, pipeline.masked_date, pipeline.refuse_rewriting,
    pipeline.audit_digest, pipeline.append_audit, pipeline.seal_audit, pipeline.folded_name, pipeline.folded_number,
    pipeline.asked_digest, pipeline.committed_request, pipeline.require_reason, pipeline.noted, pipeline.search_person,
    pipeline.births, pipeline.change_login FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
-- What later migrations put into the interface is masked and for analysts, unless they revoke it. Functions are not:
-- each is granted by the migration that makes it.
ALTER DEFAULT PRIVILEGES IN SCHEMA compliance
    GRANT SELECT ON TABLES TO compliance_analyst, compliance_investigator, jumio_admin;

-- People.
GRANT USAGE ON SCHEMA compliance TO compliance_analyst, compliance_investigator, compliance_auditor, jumio_admin;
GRANT SELECT ON compliance.workflows, compliance.verdicts, compliance.checks, compliance.steps, compliance.images,
    compliance.identities, compliance.callbacks, compliance.events
    TO compliance_analyst, compliance_investigator, jumio_admin;
GRANT EXECUTE ON FUNCTION pipeline.masked, pipeline.masked_date
    TO compliance_analyst, compliance_investigator, jumio_admin;
GRANT EXECUTE ON FUNCTION compliance.reveal_identity, compliance.find_person TO compliance_investigator;
GRANT SELECT ON compliance.audit_trail TO compliance_auditor, jumio_admin;
GRANT USAGE ON SCHEMA pipeline TO jumio_receiver, jumio_relay, jumio_worker, jumio_admin, compliance_auditor;
GRANT SELECT ON pipeline.audit, pipeline.audit_unsealed, pipeline.audit_links TO compliance_auditor, jumio_admin;

-- The receiver adds callbacks and reads none of them back; what it counts is states, sizes and times.
GRANT INSERT ON pipeline.callbacks TO jumio_receiver;
GRANT SELECT (id, state, bytes, next_attempt_at) ON pipeline.callbacks TO jumio_receiver;
GRANT SELECT (state, next_attempt_at) ON pipeline.images, pipeline.deliveries TO jumio_receiver;
GRANT SELECT, INSERT, UPDATE ON pipeline.pulses, pipeline.source_lookups TO jumio_receiver;
GRANT SELECT, INSERT, UPDATE, DELETE ON pipeline.source_addresses TO jumio_receiver;

-- The relay sees which rows are due, not what is in them.
GRANT SELECT (
    id, state, client_address, source_evidence, received_at, next_attempt_at, leased_until, claimed_until, last_error
), UPDATE (state, source_evidence, next_attempt_at, leased_until, last_error, finished_at), DELETE
    ON pipeline.callbacks TO jumio_relay;
GRANT SELECT (id, state, next_attempt_at, leased_until, claimed_until), UPDATE (leased_until)
    ON pipeline.images TO jumio_relay;
GRANT SELECT (
    id, state, next_attempt_at, leased_until, claimed_until, tenant, family, workflow_key, sequence, destination,
    subscription_id
), UPDATE (leased_until) ON pipeline.deliveries TO jumio_relay;
GRANT SELECT, INSERT, UPDATE, DELETE ON pipeline.pulses TO jumio_relay;
GRANT SELECT ON pipeline.source_addresses TO jumio_relay;
GRANT EXECUTE ON FUNCTION pipeline.seal_audit TO jumio_relay, jumio_admin;

-- The worker writes identities and verdicts, and reads no identity back.
GRANT SELECT, UPDATE ON pipeline.callbacks TO jumio_worker;
GRANT SELECT, INSERT, UPDATE ON pipeline.workflows, pipeline.images, pipeline.deliveries, pipeline.tokens,
    pipeline.drift, pipeline.pulses TO jumio_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON pipeline.breakers TO jumio_worker;
GRANT SELECT, INSERT ON pipeline.verdicts, pipeline.events TO jumio_worker;
GRANT SELECT (id, digest), INSERT ON pipeline.reports TO jumio_worker;
GRANT INSERT ON pipeline.checks, pipeline.steps, pipeline.identities TO jumio_worker;
GRANT SELECT, INSERT, UPDATE (sealed) ON pipeline.image_blobs TO jumio_worker;
GRANT SELECT, UPDATE (removed_at) ON pipeline.subscriptions TO jumio_worker;
GRANT EXECUTE ON FUNCTION pipeline.append_audit, pipeline.folded_name, pipeline.folded_number TO jumio_worker;

-- The operator's commands: everything but people's data in the clear, and the trail, which they only add to.
GRANT SELECT, UPDATE, DELETE ON pipeline.callbacks, pipeline.images, pipeline.deliveries, pipeline.reports,
    pipeline.image_blobs, pipeline.workflows, pipeline.tokens, pipeline.breakers TO jumio_admin;
GRANT SELECT, DELETE ON pipeline.verdicts, pipeline.checks, pipeline.steps, pipeline.events, pipeline.drift,
    pipeline.source_lookups, pipeline.source_addresses, pipeline.pulses TO jumio_admin;
GRANT SELECT (report_id, position), DELETE ON pipeline.identities TO jumio_admin;
GRANT SELECT, INSERT, UPDATE, DELETE ON pipeline.subscriptions TO jumio_admin;
GRANT EXECUTE ON FUNCTION pipeline.append_audit TO jumio_admin;
