-- name: insert_event
INSERT INTO pipeline.events (id, tenant, family, workflow_key, sequence, type, occurred_at, body)
VALUES (%(id)s, %(tenant)s, %(family)s, %(workflow_key)s, %(sequence)s, %(type)s, %(occurred_at)s, %(body)s);
