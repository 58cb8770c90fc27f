-- What an analyst may try, each with the SQLSTATE that it ends in; none: it runs, and shows nothing of anyone.
-- (0A000: a Postgres without libxml.)
-- The tables.

-- 42501
SELECT * FROM pipeline.identities

-- 42501
SELECT name_folded, number_folded FROM pipeline.identities

-- 42501
SELECT count(*) FROM pipeline.identities

-- 42501
SELECT * FROM compliance.identities v JOIN pipeline.identities t ON true

-- 42501
SELECT convert_from(sealed, 'UTF8') FROM pipeline.reports

-- 42501
TABLE pipeline.access_requests

-- 42501
SELECT NULL::pipeline.identities

-- 42501
CREATE TEMP TABLE mine (LIKE pipeline.identities INCLUDING ALL)

-- 42501
CREATE TEMP TABLE mine () INHERITS (pipeline.identities)

-- 42501
CREATE TEMP TABLE mine (id uuid, position integer, FOREIGN KEY (id, position) REFERENCES pipeline.identities)

-- 42501
CREATE TEMP VIEW mine AS SELECT * FROM pipeline.identities

-- 42501
LOCK TABLE pipeline.identities

-- 42501
ANALYZE pipeline.identities

-- 42501
CREATE STATISTICS mine ON first_name, last_name FROM pipeline.identities

-- 42501
CREATE INDEX mine ON pipeline.identities (first_name)

-- 42501
CREATE TRIGGER mine BEFORE INSERT ON pipeline.identities FOR EACH ROW
EXECUTE FUNCTION suppress_redundant_updates_trigger()

-- 42501
PREPARE mine AS SELECT first_name FROM pipeline.identities; EXECUTE mine

-- 42501
DECLARE mine CURSOR FOR SELECT first_name FROM pipeline.identities

-- 42501
EXPLAIN (ANALYZE, VERBOSE) SELECT first_name FROM pipeline.identities

-- 42501
COPY pipeline.identities TO STDOUT

-- 42501
COPY (SELECT * FROM pipeline.identities) TO STDOUT

-- 42501
COPY (SELECT * FROM compliance.identities) TO '/tmp/mine'

-- 42501
COPY (SELECT 1) TO PROGRAM 'cat'

-- 42501
DO $$
DECLARE
    r record;
BEGIN
    FOR r IN EXECUTE 'SELECT * FROM pipeline.identities' LOOP RAISE NOTICE '%', r; END LOOP;
END
$$

-- 42501
SELECT query_to_xml('SELECT * FROM pipeline.identities', true, false, '')

-- 42501
SELECT table_to_xml('pipeline.identities', true, false, '')

-- 42501
SELECT cursor_to_xml('mine', 10, true, false, '') FROM query_to_xml('TABLE pipeline.identities', true, false, '')

-- 42501
SELECT * FROM ts_stat('SELECT to_tsvector(first_name) FROM pipeline.identities')

-- The views, in every shape.

-- none
SELECT i, i::text, row_to_json(i), to_jsonb(i), hashtext(first_name), length(last_name), ascii(first_name),
    pg_column_size(document_number), encode(convert_to(last_name, 'UTF8'), 'hex'), reverse(first_name), md5(document_number)
FROM compliance.identities i

-- none
SELECT jsonb_agg(i), array_agg(first_name), string_agg(document_number, ','), min(last_name), max(date_of_birth),
    percentile_disc(0.5) WITHIN GROUP (ORDER BY document_number), count(*) FILTER (WHERE first_name LIKE 'Can%')
FROM compliance.identities i

-- none
SELECT rank() OVER (ORDER BY document_number), lag(first_name) OVER (ORDER BY last_name) FROM compliance.identities

-- none|0A000
SELECT query_to_xml('SELECT * FROM compliance.identities', true, false, '')

-- none|0A000
SELECT schema_to_xml('compliance', true, false, '')

-- none
COPY (SELECT * FROM compliance.identities) TO STDOUT

-- none
PREPARE mine AS SELECT * FROM compliance.identities WHERE first_name <> $1; EXECUTE mine('x')

-- 54000
SELECT repeat(first_name, 500000000) FROM compliance.identities

-- 42703
SELECT tableoid::regclass, ctid FROM compliance.identities

-- 42501
SELECT * FROM compliance.identities FOR UPDATE

-- 55000
UPDATE compliance.identities SET first_name = first_name RETURNING *

-- 42501
UPDATE compliance.callbacks SET status = status RETURNING *

-- 55000
DELETE FROM compliance.verdicts RETURNING *

-- 42501
CREATE OR REPLACE VIEW compliance.identities AS SELECT 1 AS one

-- 42501
ALTER VIEW compliance.identities RESET (security_barrier)

-- Functions of one's own, cheaper than the view's, operators whose estimates look into statistics, names that shadow.

-- none
CREATE FUNCTION pg_temp.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
BEGIN
    RAISE NOTICE 'leaked %', $1;
    RETURN true;
END
$$;
SELECT * FROM compliance.identities i
WHERE pg_temp.leak(first_name) AND pg_temp.leak(document_number || date_of_birth) AND pg_temp.leak(i::text);
SELECT * FROM compliance.workflows w WHERE pg_temp.leak(w::text);
SELECT * FROM compliance.callbacks c WHERE pg_temp.leak(c::text);
SELECT count(*) FROM compliance.identities GROUP BY first_name HAVING pg_temp.leak(first_name)

-- none
CREATE FUNCTION pg_temp.leak(text, text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RAISE NOTICE 'leaked % %', $1, $2;
    RETURN true;
END
$$;
CREATE OPERATOR pg_temp.=== (
    LEFTARG = text, RIGHTARG = text, FUNCTION = pg_temp.leak, RESTRICT = eqsel, JOIN = eqjoinsel
);
EXPLAIN SELECT * FROM compliance.identities a JOIN compliance.identities b
ON a.last_name OPERATOR(pg_temp.===) b.first_name WHERE a.first_name OPERATOR(pg_temp.===) 'x'

-- 42501
CREATE FUNCTION pg_temp.leak(text) RETURNS boolean LANGUAGE plpgsql LEAKPROOF AS $$ BEGIN RETURN true; END $$

-- none
CREATE FUNCTION pg_temp.masked(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION pg_temp."left"(text, integer) RETURNS text LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION pg_temp.joined(text, text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RAISE NOTICE 'leaked %', $1;
    RETURN $1;
END
$$;
CREATE OPERATOR pg_temp.|| (LEFTARG = text, RIGHTARG = text, FUNCTION = pg_temp.joined);
SET search_path = pg_temp, pipeline, compliance, pg_catalog;
SELECT * FROM compliance.identities

-- none
CREATE FUNCTION scratch.same(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE OPERATOR scratch.= (LEFTARG = text, RIGHTARG = text, FUNCTION = scratch.same);
SET search_path = scratch, pg_catalog;
SELECT * FROM compliance.identities; SELECT * FROM compliance.identities WHERE last_name OPERATOR(pg_catalog.<>) '***'

-- none
CREATE FUNCTION scratch.same(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE FUNCTION scratch.shown(text, text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RAISE NOTICE 'leaked % %', $1, $2;
    RETURN $1;
END
$$;
CREATE FUNCTION scratch."left"(text, integer) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION scratch.upper(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION scratch.masked(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE OPERATOR scratch.~ (LEFTARG = text, RIGHTARG = text, FUNCTION = scratch.same);
CREATE OPERATOR scratch.|| (LEFTARG = text, RIGHTARG = text, FUNCTION = scratch.shown);
SET search_path = scratch, pipeline, compliance, pg_catalog;
SELECT * FROM identities; SELECT first_name, date_of_birth, document_number FROM compliance.identities

-- none
CREATE FUNCTION scratch.later(timestamptz, timestamptz) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR scratch.<= (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = scratch.later);
SET search_path = scratch, pg_catalog;
SELECT * FROM compliance.verdicts_as_of(now()); SELECT t FROM compliance.workflows w, compliance.timeline(w.workflow_key) t;
SELECT * FROM compliance.deliveries, compliance.evidence, compliance.events

-- none
SELECT * FROM compliance.holds, compliance.erasures

-- none
SELECT reason, length(reason), subject FROM compliance.holds WHERE reason IS NOT NULL OR reason ~ 'Can';
SELECT reason || 'x', e::text FROM compliance.erasures e

-- 23514
CREATE DOMAIN pg_temp.loud AS text CHECK (VALUE = 'no');
SELECT first_name::pg_temp.loud FROM compliance.identities

-- none
CREATE FUNCTION pg_temp.loud(text) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    RAISE NOTICE 'leaked %', $1;
    RETURN 1;
END
$$;
CREATE AGGREGATE pg_temp.louder(text) (SFUNC = pg_catalog.text_larger, STYPE = text);
SELECT pg_temp.louder(last_name), sum(pg_temp.loud(first_name)) FROM compliance.identities

-- none
CREATE TEMP TABLE mine AS SELECT * FROM compliance.identities;
CREATE INDEX ON mine (first_name);
ANALYZE mine;
SELECT * FROM pg_stats WHERE tablename = 'mine'

-- 42501
CREATE FUNCTION pipeline.mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'

-- 42501
CREATE FUNCTION compliance.mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'

-- The functions that show, and what they are made of.

-- 42501
SELECT * FROM compliance.reveal_identity('default', (SELECT min(workflow_key) FROM compliance.workflows), 'I am curious')

-- 42501
SELECT * FROM compliance.find_person('I am curious', born => '1980-01-01', close => true)

-- 42501
SELECT pipeline.search_person('I am curious', '', NULL, '', true, '', '{}', 1)

-- 42501
SELECT pipeline.folded_name('x')

-- 42501
SELECT pipeline.append_audit('image.read', NULL, NULL, NULL, NULL, NULL)

-- 42501
SELECT * FROM compliance.audit_trail

-- Statistics, plans, other people's sessions.

-- none
SELECT * FROM pg_stats WHERE schemaname IN ('pipeline', 'compliance')

-- none
SELECT * FROM pg_stats_ext, pg_stats_ext_exprs

-- 42501
SELECT * FROM pg_statistic

-- 42501
SELECT * FROM pg_statistic_ext_data

-- none
SELECT a, b FROM pg_stat_activity a, pg_stat_get_activity(NULL) b

-- none
SELECT pg_stat_get_backend_activity(id) FROM pg_stat_get_backend_idset() id

-- none
EXPLAIN (ANALYZE, VERBOSE, BUFFERS, SETTINGS) SELECT * FROM compliance.identities WHERE first_name > 'A'

-- none
SET client_min_messages = debug5; SET debug_print_plan = on; SET debug_print_parse = on;
SELECT * FROM compliance.identities

-- The server.

-- 42501
SELECT pg_read_file('postgresql.conf')

-- 42501
SELECT pg_ls_dir('.')

-- 42501
SELECT lo_export(1, '/tmp/mine')

-- 42501
SELECT lo_import('/etc/passwd')

-- 42501
SELECT * FROM pg_largeobject

-- 42501
SELECT * FROM pg_authid

-- 42501
CREATE EXTENSION dblink

-- 42501
CREATE EXTENSION pageinspect

-- 42501
SELECT * FROM pg_create_logical_replication_slot('mine', 'test_decoding')

-- 42501
SET session_replication_role = replica

-- 42501
SET ROLE jumio_worker

-- 42501
GRANT compliance_investigator TO CURRENT_USER

-- 42501
GRANT SELECT ON pipeline.identities TO CURRENT_USER

-- 42501
ALTER ROLE CURRENT_USER SUPERUSER

-- 42501
CREATE PUBLICATION mine FOR ALL TABLES

-- What is beside the tables: large objects, notifications, locks, sequences, catalogs, other people's transactions.

-- none
SELECT * FROM pg_locks l LEFT JOIN pg_class c ON c.oid = l.relation

-- none
SELECT * FROM pg_cursors, pg_prepared_statements, pg_prepared_xacts

-- none
LISTEN relay; SELECT * FROM pg_listening_channels()

-- 42501
SELECT last_value FROM pipeline.audit_number_seq

-- 42501
SELECT setval('pipeline.audit_number_seq', 1)

-- none
SELECT pg_get_viewdef(oid), obj_description(oid), relacl, reloptions FROM pg_class WHERE relnamespace::regnamespace::text
IN ('pipeline', 'compliance') AND relkind = 'v'

-- none
SELECT prosrc, pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace::regnamespace::text IN ('pipeline', 'compliance')

-- none
SELECT * FROM pg_stat_all_tables, pg_statio_all_indexes LIMIT 100

-- none
SELECT * FROM pg_stat_user_functions, pg_stat_progress_copy, pg_stat_progress_analyze

-- 42P01
SELECT * FROM pg_stat_statements

-- 42501
SELECT pg_current_logfile(), pg_ls_logdir()

-- 42501
SELECT pg_read_binary_file('postgresql.auto.conf')

-- 42501
SELECT * FROM pg_stat_file('PG_VERSION')

-- 42501
SELECT * FROM pg_hba_file_rules

-- 42501
SET log_statement = 'all'

-- 42501
LOAD 'auto_explain'

-- Views from within: column names of their owners' tables, rules, inlined functions, sampling, whole rows.

-- 42703
SELECT i.name_folded, i.number_folded FROM compliance.identities i

-- 0A000
SELECT * FROM compliance.identities TABLESAMPLE system (100)

-- 42501
CREATE RULE mine AS ON SELECT TO compliance.identities DO INSTEAD SELECT * FROM pipeline.identities

-- 42501
CREATE TRIGGER mine INSTEAD OF UPDATE ON compliance.identities FOR EACH ROW
EXECUTE FUNCTION suppress_redundant_updates_trigger()

-- 42501
COMMENT ON COLUMN compliance.identities.first_name IS 'mine'

-- 42501
CREATE FUNCTION pg_temp.shown() RETURNS SETOF pipeline.identities LANGUAGE sql SECURITY DEFINER
AS 'SELECT * FROM pipeline.identities'; SELECT * FROM pg_temp.shown()

-- none
CREATE FUNCTION pg_temp.noisy(text, text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$
BEGIN
    RAISE NOTICE 'leaked % %', $1, $2;
    RETURN false;
END
$$;
CREATE OPERATOR pg_temp.<<< (LEFTARG = text, RIGHTARG = text, FUNCTION = pg_temp.noisy);
SELECT t FROM compliance.workflows w CROSS JOIN LATERAL compliance.timeline(w.workflow_key) t
WHERE t.words OPERATOR(pg_temp.<<<) t.details::text;
SELECT v FROM compliance.verdicts_as_of(now()) v WHERE v.label OPERATOR(pg_temp.<<<) v.reasons::text;
SELECT e FROM compliance.evidence e WHERE e.label OPERATOR(pg_temp.<<<) e.checks::text

-- none
CREATE FUNCTION pg_temp.word(i compliance.identities) RETURNS text LANGUAGE sql AS 'SELECT i::text';
SELECT pg_temp.word(i), (i).first_name, (i.*)::text FROM compliance.identities i

-- none
DECLARE mine SCROLL CURSOR FOR SELECT * FROM compliance.identities ORDER BY document_number;
FETCH ALL FROM mine; MOVE BACKWARD ALL FROM mine; FETCH FORWARD 3 FROM mine

-- 22012
SELECT 1 / (position('C' IN first_name)) FROM compliance.identities

-- none
SELECT i.* FROM compliance.identities i WHERE first_name ~ '^C.*a$' OR document_number SIMILAR TO 'P%' OR last_name ILIKE 'plan%'

-- none
SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_hashjoin = off;
EXPLAIN (VERBOSE) SELECT * FROM compliance.identities WHERE document_number = 'PLANTED'

-- 42501
SELECT * FROM pipeline.exported_identities('default', 'kyx', (SELECT min(workflow_key) FROM compliance.workflows))

-- 42501
SELECT pipeline.ask_export('default', 'kyx', 'x', 'I am curious')

-- 42501
SELECT * FROM compliance.open_images('default', (SELECT min(workflow_key) FROM compliance.workflows), 'I am curious')

-- 42501
SELECT pipeline.note_settings('worker', '{}')

-- 42501
SELECT compliance.find_person(reason => 'I am curious', name => (SELECT min(first_name) FROM compliance.identities))
