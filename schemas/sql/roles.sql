-- name: change_login
SELECT pipeline.change_login(%(change)s::text, %(login)s::text, %(part)s::text, %(verifier)s::text, %(reason)s::text);

-- name: list_logins
-- Who may log in as what, also by way of a group, and when that was last changed by this command; those whom it disabled too.
SELECT l.rolname AS login, g.rolname AS part, l.rolcanlogin AS enabled, changed.at AS changed_at
FROM pg_roles l
JOIN pg_roles g ON g.rolname = ANY(%(parts)s) AND pipeline.acts_as(l.rolname, g.rolname)
CROSS JOIN LATERAL (
    SELECT max(a.happened_at) AS at FROM pipeline.audit a
    WHERE a.action = 'role.changed' AND a.details ->> 'login' = l.rolname
) changed
WHERE l.rolname <> ALL(%(parts)s) AND NOT l.rolsuper AND (l.rolcanlogin OR changed.at IS NOT NULL)
ORDER BY 2, 1;
