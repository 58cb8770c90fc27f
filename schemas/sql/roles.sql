-- name: change_login
SELECT pipeline.change_login(%(change)s::text, %(login)s::text, %(part)s::text, %(verifier)s::text, %(reason)s::text);

-- name: list_logins
-- Who may log in as what, and when that was last changed by this command.
SELECT l.rolname AS login, g.rolname AS part, l.rolcanlogin AS enabled, max(a.happened_at) AS changed_at
FROM pg_auth_members m
JOIN pg_roles g ON g.oid = m.roleid AND g.rolname = ANY(%(parts)s)
JOIN pg_roles l ON l.oid = m.member
LEFT JOIN pipeline.audit a ON a.action = 'role.changed' AND a.details ->> 'login' = l.rolname
WHERE l.rolname <> ALL(%(parts)s) AND NOT l.rolsuper
GROUP BY 1, 2, 3 ORDER BY 2, 1;
