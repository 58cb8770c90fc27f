-- What the interface for people is made of, as Postgres's catalog knows it.

-- name: interface_views
SELECT c.relname AS name, coalesce(obj_description(c.oid, 'pg_class'), '') AS comment
FROM pg_class c
WHERE c.relnamespace = 'compliance'::regnamespace AND c.relkind IN ('v', 'm', 'r', 'p')
ORDER BY c.relname;

-- name: interface_columns
-- In the order in which they stand in the view.
SELECT c.relname AS view, a.attname AS name, format_type(a.atttypid, NULL) AS type,
    coalesce(col_description(c.oid, a.attnum), '') AS comment
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'compliance'::regnamespace AND c.relkind IN ('v', 'm', 'r', 'p')
ORDER BY c.relname, a.attnum;

-- name: interface_functions
SELECT p.proname AS name, pg_get_function_arguments(p.oid) AS arguments, pg_get_function_result(p.oid) AS result,
    coalesce(obj_description(p.oid, 'pg_proc'), '') AS comment
FROM pg_proc p
WHERE p.pronamespace = 'compliance'::regnamespace
ORDER BY p.proname, arguments;

-- name: interface_grants
-- Which roles may read a view, or some columns of it, or call a function, besides its owner.
SELECT objects.name, array_agg(DISTINCT r.rolname ORDER BY r.rolname)::text[] AS roles
FROM (
    SELECT c.relname AS name, c.relacl AS acl FROM pg_class c WHERE c.relnamespace = 'compliance'::regnamespace
    UNION ALL
    SELECT c.relname, a.attacl FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'compliance'::regnamespace
    UNION ALL
    SELECT p.proname, p.proacl FROM pg_proc p WHERE p.pronamespace = 'compliance'::regnamespace
) objects
CROSS JOIN LATERAL aclexplode(objects.acl) AS granted
JOIN pg_roles r ON r.oid = granted.grantee
WHERE granted.privilege_type IN ('SELECT', 'EXECUTE') AND r.rolname ~ '^(compliance|jumio)_'
GROUP BY objects.name;
