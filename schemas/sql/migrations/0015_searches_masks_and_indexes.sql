-- Ways around a promise are closed: searches without a trace, masks that came off, reasons that say nothing, history changed in
-- silence. And an index for every key and time that people look up.

-- Bodies that are bound when they are made. As strings they were read under the search_path of whoever looks at the view, so
-- that an operator in a schema of his own took the masks off.
CREATE OR REPLACE FUNCTION pipeline.masked(clear text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN clear IS NULL OR clear = '' THEN clear ELSE '***' END;
CREATE OR REPLACE FUNCTION pipeline.masked_date(clear text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN clear ~ '^(18|19|20|21)[0-9][0-9]-[0-9][0-9]-[0-9][0-9]$' THEN left(clear, 4) || '-**-**'
    WHEN clear IS NULL OR clear = '' THEN clear
    ELSE '***'
END;
-- These show nothing that their caller may not read, but they ought to mean the same to everybody.
CREATE OR REPLACE FUNCTION compliance.verdicts_as_of(true_at timestamptz, known_at timestamptz DEFAULT 'infinity')
RETURNS TABLE (
    tenant text, family text, workflow_key text, version integer, outcome text, label text, risk_score numeric,
    reasons jsonb, valid_from timestamptz, recorded_at timestamptz, callback_id uuid, rests_on text
) LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT DISTINCT ON (v.workflow_key, v.tenant, v.family)
        v.tenant, v.family, v.workflow_key, v.version, v.outcome, v.label, v.risk_score, v.reasons, v.valid_from,
        v.recorded_at, v.callback_id, v.rests_on
    FROM compliance.verdicts v
    WHERE least(v.valid_from, v.recorded_at) <= verdicts_as_of.true_at AND v.recorded_at <= verdicts_as_of.known_at
    ORDER BY v.workflow_key DESC, v.tenant DESC, v.family DESC, v.version DESC;
END;
CREATE OR REPLACE FUNCTION pipeline.is_biometric(category text, classifier text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(category IN ('SELFIE', 'FACEMAP'), false)
    OR upper(classifier) LIKE ANY (ARRAY['FACE%', 'LIVENESS%', '%SELFIE%']);
ALTER FUNCTION pipeline.is_held SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION pipeline.wants SET search_path = pg_catalog, pg_temp;

-- Whether a reason says something: ten letters or digits of any script, four of them different. Blanks, dashes, accents alone
-- and what nobody sees do not count. Bound: a backslash in a string means what the caller's session makes of it.
CREATE FUNCTION pipeline.says_why(reason text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    SELECT count(*) >= 10 AND count(DISTINCT letter) >= 4
    FROM regexp_split_to_table(lower(regexp_replace(
        coalesce(reason, ''),
        '[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00a9\u00ab-\u00b4\u00b6-\u00b9\u00bb-\u00bf\u00d7\u00f7\u02b0-\u036f'
        '\u115f\u1160\u17b4\u17b5\u180b-\u180f\u1ab0-\u1aff\u1dc0-\u1dff\u2000-\u2bff\u2e00-\u2e7f\u3000-\u3004\u3008-\u3030'
        '\u3164\ue000-\uf8ff\ufe00-\ufe6f\ufeff\uffa0\ufff0-\uffff\U0001f000-\U0001faff\U000e0000-\U0010ffff]',
        '', 'g'
    )), '') AS letter
    WHERE letter <> ''
);
CREATE OR REPLACE FUNCTION pipeline.require_reason(reason text) RETURNS void LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT pipeline.says_why(reason) THEN
        RAISE EXCEPTION 'say why, in at least ten letters: a case number and what it is about'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
END
$$;

-- What is on record is on the disk: a session, a login or a database without synchronous_commit gets it for this transaction.
CREATE OR REPLACE FUNCTION pipeline.append_audit(
    action text, tenant text, family text, workflow_key text, reason text, details jsonb
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    entry pipeline.audit;
BEGIN
    IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
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

-- The place of issue is shown to those who say why, as everything else that is masked.
DROP FUNCTION compliance.reveal_identity;
CREATE FUNCTION compliance.reveal_identity(tenant text, workflow_key text, reason text) RETURNS TABLE (
    family text, document_type text, document_subtype text, issuing_country text, first_name text, last_name text,
    date_of_birth text, document_number text, issuing_date text, expiry_date text, audit_number bigint, note text,
    issuing_state text
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
        i.document_number, i.issuing_date, i.expiry_date, audit_number, NULL::text, i.issuing_state
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
REVOKE ALL ON FUNCTION compliance.reveal_identity FROM PUBLIC;
GRANT EXECUTE ON FUNCTION compliance.reveal_identity TO compliance_investigator;

-- A search is made only after a row that says who searches, and why, was committed: how many rows a transaction touched is
-- in statistics that everybody reads, and is not rolled back. So it takes a third call.
COMMENT ON COLUMN pipeline.access_requests.report_ids IS 'Null until the search is made.';
DROP FUNCTION pipeline.search_person;
-- Loads the library of pg_trgm: only a superuser may name a setting that the session does not know yet.
SELECT pipeline.similarity('', '');
-- Searches, notes what was found, shows nothing; the number of the audit row.
CREATE FUNCTION pipeline.search_person(
    reason text, name text, born date, number text, close boolean, tenant text, wanted text[], request bigint
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
        nullif(folded_name(name), ''), lower(regexp_replace(btrim(name), '[[:space:]]+', ' ', 'g')), births(born, close),
        nullif(folded_number(number), ''), upper(regexp_replace(number, '[^A-Za-z0-9]', '', 'g')), tenant;
    written := append_audit('person.searched', tenant, NULL, NULL, reason, jsonb_build_object(
        'step', 'searched', 'asked_as', request, 'found', hits.workflows
    ));
    INSERT INTO access_requests (number, asked, report_ids, positions, scores)
    VALUES (written, asked_digest(written, wanted), coalesce(hits.report_ids, '{}'), hits.places, hits.scores);
    RETURN written;
END
$$;
REVOKE ALL ON FUNCTION pipeline.search_person FROM PUBLIC;

-- Whether a reason tells who somebody is: by a name, of which every word must be in it, in any order and spelling; by a folded
-- document number; by a date of birth (YYYY-MM-DD), in any usual way to write it.
CREATE FUNCTION pipeline.says_who(reason text, name text, number text, born text) RETURNS boolean LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
    WITH said AS (
        SELECT string_to_array(pipeline.folded_name(spaced), ' ') AS words, pipeline.folded_number(spaced) AS number,
            ' ' || regexp_replace(regexp_replace(spaced, '[^0-9]+', ' ', 'g'), '(?<![0-9])0+(?=[0-9])', '', 'g') || ' '
                AS digits
        FROM translate($1, '.!"#$%&*+?@[]^`{|}~=„“”«»…–—', repeat(' ', 28)) AS spaced
    ), known AS (
        SELECT string_to_array(pipeline.folded_name(spaced), ' ') AS words, CASE WHEN $4 ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$'
            THEN string_to_array(regexp_replace($4, '(?<![0-9])0+(?=[0-9])', '', 'g'), '-') END AS born
        FROM translate($2, '.!"#$%&*+?@[]^`{|}~=„“”«»…–—', repeat(' ', 28)) AS spaced
    )
    SELECT coalesce(
        octet_length(array_to_string(known.words, '')) > 1 AND said.words @> known.words, false
    ) OR coalesce(length($3) > 4 AND position($3 IN said.number) > 0, false) OR coalesce(
        position(' ' || born[1] || ' ' || born[2] || ' ' || born[3] || ' ' IN said.digits) > 0
        OR position(' ' || born[3] || ' ' || born[2] || ' ' || born[1] || ' ' IN said.digits) > 0
        OR position(' ' || born[2] || ' ' || born[3] || ' ' || born[1] || ' ' IN said.digits) > 0, false
    )
    FROM said, known
$$;
-- A search's reason as it is kept: without the person, if it says what is searched for. Nobody is told, so nobody learns.
CREATE FUNCTION pipeline.searched_why(reason text, name text, born date, number text) RETURNS text LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN pipeline.says_who($1, $2, pipeline.folded_number($4), to_char($3, 'YYYY-MM-DD'))
        THEN 'not kept: it named the person' ELSE $1 END
$$;
REVOKE ALL ON FUNCTION pipeline.says_who, pipeline.searched_why FROM PUBLIC;
CREATE OR REPLACE FUNCTION compliance.find_person(
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
    hits uuid[];
    why CONSTANT text := pipeline.searched_why($1, $2, $3, $4);
BEGIN
    PERFORM pipeline.require_reason($1);
    IF coalesce(pipeline.folded_name($2), '') = '' AND $3 IS NULL AND coalesce(pipeline.folded_number($4), '') = '' THEN
        RAISE EXCEPTION 'say a name, a date of birth or a document number' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF request IS NULL THEN
        audit_number := pipeline.append_audit('person.searched', $6, NULL, NULL, why, jsonb_build_object(
            'step', 'asked', 'close', coalesce($5, false), 'by', to_jsonb(array_remove(ARRAY[
                CASE WHEN pipeline.folded_name($2) <> '' THEN 'name' END, CASE WHEN $3 IS NOT NULL THEN 'born' END,
                CASE WHEN pipeline.folded_number($4) <> '' THEN 'number' END
            ], NULL))
        ));
        DELETE FROM pipeline.access_requests r WHERE r.made_at < clock_timestamp() - interval '15 minutes';
        INSERT INTO pipeline.access_requests (number, asked)
        VALUES (audit_number, pipeline.asked_digest(audit_number, wanted));
        note := 'Your reason is row ' || audit_number || ' of the audit trail. Commit, then run the same statement again within'
            ' 15 minutes: it searches.';
        RAISE NOTICE '%', note;
        RETURN NEXT;
        RETURN;
    END IF;
    SELECT r.report_ids INTO hits FROM pipeline.access_requests r WHERE r.number = request;
    IF hits IS NULL THEN
        audit_number := pipeline.search_person(why, $2, $3, $4, coalesce($5, false), $6, wanted, request);
        SELECT r.report_ids INTO hits FROM pipeline.access_requests r WHERE r.number = audit_number;
        note := CASE cardinality(hits) WHEN 0 THEN 'Nobody was found.' ELSE
            'Found: ' || cardinality(hits) || '; row ' || audit_number || ' of the audit trail says which. Commit, then run the'
            ' same statement again within 15 minutes: it shows them.' END;
        RAISE NOTICE '%', note;
        RETURN NEXT;
        RETURN;
    END IF;
    audit_number := pipeline.append_audit(
        'person.searched', $6, NULL, NULL, why, jsonb_build_object('step', 'shown', 'asked_as', request)
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
COMMENT ON FUNCTION compliance.find_person IS 'Workflows of a person, by name, date of birth (born) and document number; all that are given must fit. Exact: case and order of names, blanks and dashes in numbers do not matter. Close: nor do accents, typing errors, missing names, and a wrong day, month or year. At most 100, the best first. Call it three times, each after the commit of the one before and within 15 minutes: the first call writes who, when, why and by what into the audit trail; the second searches, writes which workflows were found, and says how many; the third shows them. So neither a rollback nor an error hides a search.';

-- Logins: whoever may act as one of our roles is one, also by way of a group; who may only hand a role on is none.
CREATE FUNCTION pipeline.acts_as(login name, part name) RETURNS boolean LANGUAGE sql STABLE
RETURN CASE WHEN current_setting('server_version_num')::integer >= 160000
    THEN pg_has_role(login, part, 'USAGE') OR pg_has_role(login, part, 'SET')
    ELSE pg_has_role(login, part, 'MEMBER') END;

CREATE OR REPLACE FUNCTION pipeline.change_login(change text, login text, part text, verifier text, reason text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    parts CONSTANT text[] := ARRAY[
        'jumio_receiver', 'jumio_relay', 'jumio_worker', 'jumio_feed', 'jumio_admin',
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
        SELECT string_agg(held, ', ') INTO part FROM pg_roles l
        CROSS JOIN LATERAL unnest(parts) AS held
        WHERE l.rolname = login AND l.rolname <> ALL (parts) AND NOT l.rolsuper AND pipeline.acts_as(l.rolname, held);
        IF part IS NULL THEN
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
REVOKE ALL ON FUNCTION pipeline.says_why, pipeline.acts_as FROM PUBLIC;

-- The operator changes what his commands change, and no word of a verdict, a workflow or a callback.
REVOKE UPDATE ON pipeline.callbacks, pipeline.images, pipeline.reports, pipeline.tokens, pipeline.workflows FROM jumio_admin;
GRANT UPDATE (last_sequence) ON pipeline.workflows TO jumio_admin;
GRANT UPDATE (sealed) ON pipeline.reports TO jumio_admin;
GRANT UPDATE (sealed_token) ON pipeline.tokens TO jumio_admin;
GRANT UPDATE (
    state, forgiven, next_attempt_at, leased_until, claimed_until, last_error, finished_at, requeued_at, source_evidence,
    sealed_body, sealed_head
) ON pipeline.callbacks TO jumio_admin;
GRANT UPDATE (
    state, forgiven, next_attempt_at, leased_until, claimed_until, last_error, finished_at, requeued_at, sha256, stored_at,
    store, blob_key, key_id
) ON pipeline.images TO jumio_admin;

-- An erasure and retention take the workflow as well; looked at when they commit.
CREATE FUNCTION pipeline.refuse_forgetting() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT FROM pipeline.workflows w
        WHERE w.tenant = OLD.tenant AND w.family = OLD.family AND w.workflow_key = OLD.workflow_key
    ) THEN
        RAISE EXCEPTION 'a verdict goes only with its workflow' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION pipeline.refuse_forgetting FROM PUBLIC;
CREATE CONSTRAINT TRIGGER verdicts_go_with_their_workflow AFTER DELETE ON pipeline.verdicts
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION pipeline.refuse_forgetting();

-- Nor does a workflow go without a word: what deletes people (an erasure, retention) has put it on record in the same
-- transaction. Whoever owns the tables could switch this off, and is not asked.
CREATE FUNCTION pipeline.refuse_silence() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pipeline.audit_unsealed u JOIN pipeline.audit a ON a.number = u.number
        WHERE a.who = session_user AND a.happened_at >= now()
            AND a.action IN ('workflow.erased', 'account.erased', 'reference.erased', 'retention.ran')
    ) AND NOT pg_has_role(session_user, (SELECT c.relowner FROM pg_class c WHERE c.oid = TG_RELID), 'MEMBER') THEN
        RAISE EXCEPTION 'a workflow goes only by an erasure or by retention, which put it on record'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION pipeline.refuse_silence FROM PUBLIC;
CREATE CONSTRAINT TRIGGER workflows_go_on_record AFTER DELETE ON pipeline.workflows
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION pipeline.refuse_silence();

-- What a verdict rests on is as old as its report.
CREATE FUNCTION pipeline.refuse_losing() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM pipeline.reports r WHERE r.id = OLD.report_id) THEN
        RAISE EXCEPTION 'a check or a step goes only with its report' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION pipeline.refuse_losing FROM PUBLIC;
CREATE CONSTRAINT TRIGGER checks_go_with_their_report AFTER DELETE ON pipeline.checks
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION pipeline.refuse_losing();
CREATE CONSTRAINT TRIGGER steps_go_with_their_report AFTER DELETE ON pipeline.steps
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION pipeline.refuse_losing();

-- Of the trail only what is linked, because that was committed: a transaction sees its own rows, and what a search found
-- could be read here and rolled back. And what retention has deleted is not told as kept.
CREATE OR REPLACE FUNCTION compliance.timeline(workflow_key text, only_tenant text DEFAULT NULL, only_family text DEFAULT NULL)
RETURNS TABLE (at timestamptz, what text, words text, details jsonb, tenant text, family text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
WITH own_callbacks AS (
    SELECT c.*, coalesce('Callback ' || c.status, 'A callback') AS name FROM pipeline.callbacks c
    WHERE c.workflow_key = timeline.workflow_key AND (only_tenant IS NULL OR c.tenant = only_tenant)
        AND (only_family IS NULL OR c.family = only_family)
), own_workflows AS (
    SELECT w.* FROM pipeline.workflows w
    WHERE w.workflow_key = timeline.workflow_key AND (only_tenant IS NULL OR w.tenant = only_tenant)
        AND (only_family IS NULL OR w.family = only_family)
), own_events AS (
    SELECT e.* FROM own_workflows w
    JOIN pipeline.events e
        ON e.workflow_key = w.workflow_key AND e.tenant = w.tenant AND e.family = w.family
), own_images AS (
    SELECT i.* FROM own_workflows w
    JOIN pipeline.images i ON i.workflow_key = w.workflow_key AND i.tenant = w.tenant AND i.family = w.family
), own_verdicts AS (
    SELECT v.*, lag(v.outcome) OVER (PARTITION BY v.tenant, v.family ORDER BY v.version) AS before,
        (
            SELECT string_agg(concat_ws(' ', r.reason ->> 'check', r.reason ->> 'label'), ', ' ORDER BY r.place)
            FROM jsonb_array_elements(v.reasons) WITH ORDINALITY AS r (reason, place)
        ) AS because
    FROM own_workflows w
    JOIN pipeline.verdicts v
        ON v.workflow_key = w.workflow_key AND v.tenant = w.tenant AND v.family = w.family
), story (at, rank, what, words, details, tenant, family) AS (
    SELECT w.started_at, 1, 'journey.started', 'The person opened the journey, by Jumio''s clock', '{}'::jsonb, w.tenant,
        w.family
    FROM own_workflows w
    UNION ALL
    SELECT w.completed_at, 2, 'journey.finished', 'Jumio finished: ' || w.status || ', by Jumio''s clock', '{}', w.tenant,
        w.family
    FROM own_workflows w
    UNION ALL
    SELECT c.received_at, 3, 'callback.arrived',
        c.name || ' arrived from ' || coalesce(host(c.client_address), 'an unreadable address')
            || CASE c.source_evidence ->> 'rule'
                WHEN 'dns' THEN ', which is ' || coalesce(c.source_evidence ->> 'name', 'Jumio''s') || ' by DNS'
                WHEN 'extra' THEN ', which is configured as Jumio''s'
                WHEN 'observe' THEN ', admitted because nobody was refused then'
                WHEN 'unverified' THEN ', kept to be judged by the first DNS answer'
                WHEN 'refused' THEN ', which is not Jumio''s'
                ELSE '' END
            || CASE WHEN octet_length(c.sealed_body) > 0 OR c.bytes = 0 THEN ''
                ELSE '; its body was kept until retention deleted it' END,
        jsonb_build_object('callback_id', c.id, 'status', c.status, 'source_ip', host(c.client_address),
            'source_evidence', c.source_evidence, 'bytes', c.bytes, 'sha256', encode(c.sha256, 'hex'), 'state', c.state,
            'kept', octet_length(c.sealed_body) > 0),
        c.tenant, c.family
    FROM own_callbacks c
    UNION ALL
    SELECT (c.source_evidence ->> 'judged_at')::timestamptz, 4, 'callback.judged',
        'Its source was judged by a DNS answer: '
            || coalesce('an address of ' || (c.source_evidence ->> 'name'), 'no address of Jumio''s by name'),
        jsonb_build_object('callback_id', c.id), c.tenant, c.family
    FROM own_callbacks c
    UNION ALL
    SELECT (c.source_evidence ->> 'vouched_at')::timestamptz, 5, 'callback.vouched',
        'An operator vouched for its source', jsonb_build_object('callback_id', c.id), c.tenant, c.family
    FROM own_callbacks c
    UNION ALL
    SELECT r.fetched_at, 6, 'report.fetched',
        'What Jumio says was fetched' || CASE WHEN octet_length(r.sealed) > 0 THEN ' and kept: ' || r.bytes || ' bytes, sealed'
            ELSE ': ' || r.bytes || ' bytes, kept until retention deleted them' END,
        jsonb_build_object('report_id', r.id, 'callback_id', r.callback_id, 'sha256', encode(r.digest, 'hex'),
            'kept', octet_length(r.sealed) > 0),
        r.tenant, r.family
    FROM own_workflows w
    JOIN pipeline.reports r ON r.workflow_key = w.workflow_key AND r.tenant = w.tenant AND r.family = w.family
    UNION ALL
    SELECT v.recorded_at, 7, CASE v.version WHEN 1 THEN 'verdict.decided' ELSE 'verdict.revised' END,
        CASE v.version WHEN 1 THEN 'Decided: ' ELSE 'Revised, version ' || v.version || ': ' END || v.outcome
            || ' (' || v.label || ')' || coalesce(', it was ' || v.before, '')
            || coalesce(', risk score ' || trim_scale(v.risk_score), '') || coalesce('; against it: ' || v.because, '')
            || CASE v.rests_on WHEN 'callback' THEN '; by the word of the callback alone' ELSE '' END,
        jsonb_build_object('version', v.version, 'outcome', v.outcome, 'label', v.label, 'valid_from', v.valid_from,
            'reasons', v.reasons, 'callback_id', v.callback_id, 'report_id', v.report_id),
        v.tenant, v.family
    FROM own_verdicts v
    UNION ALL
    SELECT c.finished_at, 8, 'callback.' || c.state,
        c.name || ' was ' || c.state || coalesce(' (' || c.last_error || ')', ''),
        jsonb_build_object('callback_id', c.id, 'attempts', c.attempts - c.forgiven), c.tenant, c.family
    FROM own_callbacks c
    UNION ALL
    SELECT i.finished_at, 9, 'image.' || i.state,
        'Image ' || i.classifier || coalesce(' of ' || i.category, '')
            || CASE i.state
                WHEN 'stored' THEN ' was stored: ' || coalesce(i.media_type, 'of unknown type') || ', ' || i.bytes || ' bytes'
                WHEN 'missing' THEN ' is not to be had'
                ELSE ' was ' || i.state END
            || coalesce(' (' || i.last_error || ')', ''),
        jsonb_build_object('image_id', i.id, 'credential_id', i.credential_id, 'sha256', encode(i.sha256, 'hex')),
        i.tenant, i.family
    FROM own_images i
    UNION ALL
    SELECT q.requeued_at, 10, q.what || '.requeued', q.name || ' was put back on the line by an operator',
        jsonb_build_object(q.what || '_id', q.id), q.tenant, q.family
    FROM (
        SELECT 'callback' AS what, c.id, c.name, c.requeued_at, c.tenant, c.family FROM own_callbacks c
        UNION ALL
        SELECT 'image', i.id, 'Image ' || i.classifier, i.requeued_at, i.tenant, i.family FROM own_images i
        UNION ALL
        SELECT 'delivery', d.id, 'Event ' || d.sequence, d.requeued_at, d.tenant, d.family
        FROM own_events e
        JOIN pipeline.deliveries d ON d.event_id = e.id
    ) q
    UNION ALL
    SELECT e.occurred_at, 10, 'event.emitted', 'Event ' || e.sequence || ' was written: ' || e.type,
        jsonb_build_object('event_id', e.id, 'sequence', e.sequence), e.tenant, e.family
    FROM own_events e
    UNION ALL
    SELECT d.settled_at, 11, 'event.' || d.state,
        'Event ' || d.sequence || ' was '
            || CASE d.state WHEN 'delivered' THEN 'delivered to ' WHEN 'parked' THEN 'parked for ' ELSE 'cancelled for ' END
            || coalesce(d.subscriber, 'the ' || d.destination) || coalesce(', which answered ' || d.last_status, '')
            || coalesce(' (' || d.reason || ')', ''),
        jsonb_build_object('event_id', d.event_id, 'destination', d.destination, 'attempts', d.attempts),
        d.tenant, d.family
    FROM own_events e
    JOIN compliance.deliveries d ON d.event_id = e.id
    UNION ALL
    SELECT a.happened_at, 12, a.action,
        a.who || CASE a.action
            WHEN 'identity.revealed' THEN CASE a.details ->> 'step' WHEN 'asked' THEN ' asked for' ELSE ' was shown' END
                || ' the identity in the clear'
            WHEN 'image.read' THEN ' read an image'
            WHEN 'bundle.exported' THEN ' exported the evidence'
            ELSE ': ' || a.action END || '; why is in the audit trail, row ' || a.number,
        jsonb_build_object('number', a.number, 'who', a.who, 'application', a.application), a.tenant, a.family
    FROM pipeline.audit a
    JOIN pipeline.audit_links l ON l.number = a.number
    WHERE a.workflow_key = timeline.workflow_key
        AND (only_family IS NULL OR a.family IS NULL OR a.family = only_family)
        AND a.tenant IN (SELECT w.tenant FROM own_workflows w UNION SELECT c.tenant FROM own_callbacks c)
    UNION ALL
    SELECT a.happened_at, 12, a.action,
        a.who || ' searched for a person, and this was found; why is in the audit trail, row ' || a.number,
        jsonb_build_object('number', a.number, 'who', a.who, 'application', a.application), w.tenant, w.family
    FROM own_workflows w
    JOIN pipeline.audit a ON a.action = 'person.searched'
        AND a.details -> 'found' @> jsonb_build_array(jsonb_build_array(w.tenant, w.family, w.workflow_key))
    JOIN pipeline.audit_links l ON l.number = a.number
    UNION ALL
    SELECT moment.at, 12, moment.what, moment.words, jsonb_build_object('hold_id', h.id), w.tenant, w.family
    FROM own_workflows w
    JOIN pipeline.holds h ON h.tenant = w.tenant AND h.subject = CASE h.kind
        WHEN 'workflow' THEN w.workflow_key WHEN 'account' THEN w.account_id ELSE w.user_reference END
    CROSS JOIN LATERAL (
        VALUES (h.placed_at, 'hold.placed', h.placed_by || ' placed a legal hold on its ' || h.kind),
            (h.released_at, 'hold.released', 'The legal hold on its ' || h.kind || ' was released')
    ) AS moment (at, what, words)
)
SELECT s.at, s.what, s.words, jsonb_strip_nulls(s.details), s.tenant, s.family
FROM story s
WHERE s.at IS NOT NULL
ORDER BY s.at, s.rank, s.details ->> 'sequence', s.words
$$;

-- A reason may name the person: whoever keeps the trail reads it, who only asks questions does not. Nor does an auditor read whom
-- a hold is about.
CREATE OR REPLACE VIEW compliance.erasures AS
SELECT e.id AS erasure_id, e.tenant, e.scope,
    CASE WHEN pg_has_role('compliance_auditor', 'USAGE') OR pg_has_role('jumio_admin', 'USAGE') THEN e.reason END AS reason,
    e.erased_by, e.erased_at, e.rows, t.subjects, t.late_callbacks, d.pending AS elsewhere_pending, d.done AS elsewhere_done,
    d.parked AS elsewhere_parked, e.unsearched
FROM pipeline.erasures e
CROSS JOIN LATERAL (
    SELECT count(*) AS subjects, coalesce(sum(hits), 0) AS late_callbacks
    FROM pipeline.tombstones WHERE erasure_id = e.id
) t
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE state = 'wanted') AS pending, count(*) FILTER (WHERE state = 'done') AS done,
        count(*) FILTER (WHERE state = 'parked') AS parked
    FROM pipeline.deletions WHERE erasure_id = e.id
) d;
COMMENT ON COLUMN compliance.erasures.reason IS 'Why, in the words of who did it; empty to analysts and investigators, because a reason may name a person.';
CREATE OR REPLACE VIEW compliance.holds AS
SELECT id AS hold_id, tenant, kind,
    CASE WHEN pg_has_role('compliance_analyst', 'USAGE') OR pg_has_role('compliance_investigator', 'USAGE')
        OR pg_has_role('jumio_admin', 'USAGE') THEN subject END AS subject,
    CASE WHEN pg_has_role('compliance_auditor', 'USAGE') OR pg_has_role('jumio_admin', 'USAGE') THEN reason END AS reason,
    placed_by, placed_at, released_at
FROM pipeline.holds;
COMMENT ON COLUMN compliance.holds.subject IS 'Its id or reference; empty to auditors, because it may be a reference of the person.';
COMMENT ON COLUMN compliance.holds.reason IS 'Why, in the words of who placed it; empty to analysts and investigators, because a reason may name a person.';
REVOKE SELECT (hold_id, tenant, kind, reason, placed_by, placed_at, released_at) ON compliance.holds FROM compliance_auditor;
GRANT SELECT ON compliance.holds TO compliance_auditor;

-- Facts about evidence outlive it, so they say whether it is still there.
CREATE OR REPLACE VIEW compliance.callbacks AS
SELECT id AS callback_id, tenant, family, workflow_key, status, received_at, sent_at, client_address AS source_ip,
    source_evidence, state, last_error AS reason, attempts - forgiven AS attempts, bytes, encode(sha256, 'hex') AS sha256,
    finished_at AS settled_at, octet_length(sealed_body) > 0 AS body_kept
FROM pipeline.callbacks;
COMMENT ON COLUMN compliance.callbacks.bytes IS 'Size of the body as received.';
COMMENT ON COLUMN compliance.callbacks.body_kept IS 'Whether the body is kept here, sealed; retention deletes it and leaves the rest.';
CREATE OR REPLACE VIEW compliance.evidence AS
SELECT v.tenant, v.family, v.workflow_key, v.version, v.outcome, v.label, v.valid_from, v.recorded_at, v.rests_on,
    (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'capability', c.capability, 'outcome', c.outcome, 'label', c.label, 'credential_ids', c.credential_ids
        ) ORDER BY c.position), '[]')
        FROM pipeline.checks c WHERE c.report_id = v.report_id
    ) AS checks,
    r.fetched_at AS report_fetched_at, r.bytes AS report_bytes, encode(r.digest, 'hex') AS report_sha256,
    v.callback_id, c.status AS callback_status, c.received_at AS callback_received_at, c.sent_at AS callback_sent_at,
    encode(c.sha256, 'hex') AS callback_sha256, c.client_address AS source_ip,
    c.source_evidence ->> 'rule' AS source_rule, c.source_evidence ->> 'name' AS source_name,
    octet_length(r.sealed) > 0 AS report_kept, octet_length(c.sealed_body) > 0 AS callback_body_kept
FROM pipeline.verdicts v
LEFT JOIN pipeline.reports r ON r.id = v.report_id
LEFT JOIN pipeline.callbacks c ON c.id = v.callback_id;
COMMENT ON COLUMN compliance.evidence.report_fetched_at IS 'When the report was written here.';
COMMENT ON COLUMN compliance.evidence.report_bytes IS 'Size of the report as fetched.';
COMMENT ON COLUMN compliance.evidence.report_kept IS 'Whether the report is kept here, sealed; retention deletes it and leaves its hash.';
COMMENT ON COLUMN compliance.evidence.callback_body_kept IS 'Whether the callback''s body is kept here, sealed; retention deletes it and leaves its hash.';
-- Images are counted once for both counts, and not at all where neither is asked for.
CREATE OR REPLACE VIEW compliance.workflows AS
SELECT w.tenant, w.family, w.workflow_key, w.account_id, w.user_reference, w.customer_reference, w.status,
    w.outcome, w.label, w.risk_score, w.reject_reasons, w.definition_key, w.started_at, w.completed_at, w.decided_at,
    w.verdict_version,
    -- Two, and no join: they are counted only where they are asked for, and of many only after ORDER BY and LIMIT.
    (SELECT count(*) FILTER (WHERE i.offered) FROM pipeline.images i
        WHERE i.tenant = w.tenant AND i.family = w.family AND i.workflow_key = w.workflow_key) AS images_wanted,
    (SELECT count(*) FILTER (WHERE i.state = 'stored') FROM pipeline.images i
        WHERE i.tenant = w.tenant AND i.family = w.family AND i.workflow_key = w.workflow_key) AS images_stored,
    w.first_seen_at, i.issuing_country AS country
FROM pipeline.workflows w
LEFT JOIN pipeline.identities i ON i.report_id = w.report_id AND i.position = 0;
-- A report of the past asks for the country as it was then.
CREATE OR REPLACE VIEW compliance.verdicts AS
SELECT v.tenant, v.family, v.workflow_key, v.version, v.outcome, v.label, v.risk_score, v.reasons, v.valid_from, v.recorded_at,
    v.callback_id, v.rests_on, i.issuing_country AS country
FROM pipeline.verdicts v
LEFT JOIN pipeline.identities i ON i.report_id = v.report_id AND i.position = 0;
COMMENT ON COLUMN compliance.verdicts.country IS 'Country that issued the first document by the report that it rests on; empty where none was read, or retention has deleted the identity.';
COMMENT ON COLUMN compliance.workflows.country IS 'Country that issued the first document, ISO 3166 alpha-3 or XKX; empty where none was read, or retention has deleted the identity.';
COMMENT ON COLUMN compliance.workflows.decided_at IS 'When the current verdict was recorded here; a revision is a new one. compliance.verdicts has those before.';

-- Key first, tenant after, here too: people look a key up without naming its tenant.
DROP INDEX pipeline.audit_workflow, pipeline.deliveries_workflow;
-- What was done to one workflow.
CREATE INDEX audit_workflow ON pipeline.audit (workflow_key, tenant) WHERE workflow_key IS NOT NULL;
-- What a target had of a workflow: what is put back must not come after it.
CREATE INDEX deliveries_workflow ON pipeline.deliveries (workflow_key, tenant, family, target, sequence);
-- What came, began, ended, was sent, stored or settled from one moment to another. Several intervals a range of pages: a row that
-- takes the place of a dead one does not widen it to all the time between. What is set later is indexed then, not at the door.
DROP INDEX pipeline.callbacks_received;
CREATE INDEX callbacks_received ON pipeline.callbacks USING brin (received_at timestamptz_minmax_multi_ops)
    WITH (autosummarize = on);
CREATE INDEX workflows_completed ON pipeline.workflows (completed_at) WHERE completed_at IS NOT NULL;
CREATE INDEX workflows_begun ON pipeline.workflows
    USING brin (first_seen_at timestamptz_minmax_multi_ops, started_at timestamptz_minmax_multi_ops) WITH (autosummarize = on);
CREATE INDEX verdicts_valid ON pipeline.verdicts USING brin (valid_from timestamptz_minmax_multi_ops) WITH (autosummarize = on);
CREATE INDEX reports_fetched ON pipeline.reports USING brin (fetched_at timestamptz_minmax_multi_ops) WITH (autosummarize = on);
CREATE INDEX images_stored ON pipeline.images USING brin (stored_at timestamptz_minmax_multi_ops) WITH (autosummarize = on)
    WHERE stored_at IS NOT NULL;
CREATE INDEX images_settled ON pipeline.images USING brin (finished_at timestamptz_minmax_multi_ops) WITH (autosummarize = on)
    WHERE finished_at IS NOT NULL;
CREATE INDEX callbacks_sent ON pipeline.callbacks USING brin (sent_at timestamptz_minmax_multi_ops) WITH (autosummarize = on)
    WHERE sent_at IS NOT NULL;
CREATE INDEX callbacks_settled ON pipeline.callbacks
    USING brin (finished_at timestamptz_minmax_multi_ops) WITH (autosummarize = on) WHERE finished_at IS NOT NULL;
CREATE INDEX deliveries_settled ON pipeline.deliveries
    USING brin (finished_at timestamptz_minmax_multi_ops) WITH (autosummarize = on) WHERE finished_at IS NOT NULL;
CREATE INDEX audit_sealed ON pipeline.audit_links USING brin (sealed_at) WITH (autosummarize = on);
ALTER INDEX pipeline.audit_happened SET (autosummarize = on);
