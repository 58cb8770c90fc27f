-- name: choose
-- How many workflows deploy/generate.sql invents, and which, until the transaction ends.
SELECT set_config('generate.workflows', %(workflows)s::integer::text, true),
    set_config('generate.seed', %(seed)s::float8::text, true);
