-- name: page_stale
-- A page of the values that another key than this one sealed, in order of their rows; retention leaves empty ones.
SELECT {key} AS row, {own} AS own, {column} AS sealed FROM pipeline.{table}
WHERE octet_length({column}) > 0 AND pipeline.key_id({column}) <> %(key_id)s AND {key} > %(after)s::{key_type}
ORDER BY {key} LIMIT %(batch)s;

-- name: reseal
-- Only what it was when it was read: a newer value stays.
UPDATE pipeline.{table} SET {column} = %(sealed)b WHERE {key} = %(row)s AND {column} = %(was)b;

-- name: count_by_key
SELECT pipeline.key_id({column}) AS key_id, count(*)::bigint AS rows FROM pipeline.{table}
WHERE octet_length({column}) > 0 GROUP BY 1;
