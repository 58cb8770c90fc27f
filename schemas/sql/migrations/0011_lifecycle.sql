-- How long things are kept, who may not be deleted, and what stays when somebody was.

-- Told by the customer's own systems: when the business relationship ended, for policies whose clock starts then.
CREATE TABLE pipeline.relationship_ends (
    tenant text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('workflow', 'account', 'user-reference')),
    subject text NOT NULL,
    ended_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, kind, subject)
);

CREATE TABLE pipeline.holds (
    id uuid PRIMARY KEY,
    tenant text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('workflow', 'account', 'user-reference')),
    subject text NOT NULL,
    reason text NOT NULL,
    placed_by text NOT NULL DEFAULT session_user,
    placed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    released_at timestamptz
);
CREATE UNIQUE INDEX holds_standing ON pipeline.holds (tenant, kind, subject) WHERE released_at IS NULL;

CREATE FUNCTION pipeline.is_held(tenant text, workflow_key text, account_id text, user_reference text) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM pipeline.holds h
        WHERE h.released_at IS NULL AND h.tenant = is_held.tenant AND (
            h.kind = 'workflow' AND h.subject = is_held.workflow_key
            OR h.kind = 'account' AND h.subject = is_held.account_id
            OR h.kind = 'user-reference' AND h.subject = is_held.user_reference
        )
    )
$$;

-- The moments from which a policy may count, one row a workflow; an empty one has not come yet.
CREATE VIEW pipeline.clocks AS
SELECT w.tenant, w.family, w.workflow_key, w.first_seen_at AS received, w.decided_at AS decided,
    coalesce(w.completed_at, w.decided_at) AS completed,
    (
        SELECT max(e.ended_at) FROM pipeline.relationship_ends e
        WHERE e.tenant = w.tenant AND (
            e.kind = 'workflow' AND e.subject = w.workflow_key
            OR e.kind = 'account' AND e.subject = w.account_id
            OR e.kind = 'user-reference' AND e.subject = w.user_reference
        )
    ) AS relationship_ended,
    pipeline.is_held(w.tenant, w.workflow_key, w.account_id, w.user_reference) AS held
FROM pipeline.workflows w;

-- What shows a face, or is made from one, is of a special category.
CREATE FUNCTION pipeline.is_biometric(category text, classifier text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(category IN ('SELFIE', 'FACEMAP'), false)
        OR upper(classifier) LIKE ANY (ARRAY['FACE%', 'LIVENESS%', '%SELFIE%'])
$$;

-- `deleted`: retention took the image; the facts about it that are not of the image stay.
ALTER TABLE pipeline.images DROP CONSTRAINT images_state_check, ADD CONSTRAINT images_state_check
    CHECK (state IN ('wanted', 'stored', 'missing', 'refused', 'parked', 'deleted'));
COMMENT ON COLUMN compliance.images.state IS
    'wanted, stored, missing (Jumio has none), refused (not acceptable), parked (gave up; requeue it) or deleted (retention).';
COMMENT ON COLUMN compliance.images.settled_at IS 'When it was stored, known not to come, or deleted; empty while it is wanted.';

-- All that a policy speaks of, by class, with the moments from which it may count. What has lost its workflow, or never
-- had one, has only the moment at which it came. An image, a body or a report that is gone is not here any more.
CREATE VIEW pipeline.retained AS
SELECT 'biometric_images' AS class, 'images' AS place, i.id, i.tenant, i.family, i.workflow_key, i.stored_at AS received,
    c.decided, c.completed, c.relationship_ended, c.held
FROM pipeline.images i JOIN pipeline.clocks c USING (tenant, family, workflow_key)
WHERE i.state = 'stored' AND pipeline.is_biometric(i.category, i.classifier)
UNION ALL
SELECT 'document_images', 'images', i.id, i.tenant, i.family, i.workflow_key, i.stored_at, c.decided, c.completed,
    c.relationship_ended, c.held
FROM pipeline.images i JOIN pipeline.clocks c USING (tenant, family, workflow_key)
WHERE i.state = 'stored' AND NOT pipeline.is_biometric(i.category, i.classifier)
UNION ALL
SELECT 'identities', 'identities', r.id, r.tenant, r.family, r.workflow_key, r.fetched_at, c.decided, c.completed,
    c.relationship_ended, c.held
FROM pipeline.identities JOIN pipeline.reports r ON r.id = report_id JOIN pipeline.clocks c USING (tenant, family, workflow_key)
UNION ALL
SELECT 'raw', 'reports', r.id, r.tenant, r.family, r.workflow_key, r.fetched_at, c.decided, c.completed,
    c.relationship_ended, c.held
FROM pipeline.reports r JOIN pipeline.clocks c USING (tenant, family, workflow_key)
WHERE octet_length(r.sealed) > 0
UNION ALL
SELECT 'raw', 'callbacks', b.id, b.tenant, b.family, b.workflow_key, b.received_at,
    CASE WHEN c.held IS NULL THEN b.received_at ELSE c.decided END,
    CASE WHEN c.held IS NULL THEN b.received_at ELSE c.completed END,
    CASE WHEN c.held IS NULL THEN b.received_at ELSE c.relationship_ended END,
    coalesce(c.held, pipeline.is_held(b.tenant, b.workflow_key, b.account_id, NULL))
FROM pipeline.callbacks b LEFT JOIN pipeline.clocks c
    ON (c.tenant, c.family, c.workflow_key) = (b.tenant, b.family, b.workflow_key)
WHERE b.state IN ('done', 'parked', 'refused') AND octet_length(b.sealed_body) > 0
UNION ALL
SELECT 'events', 'events', e.id, e.tenant, e.family, e.workflow_key, e.occurred_at,
    CASE WHEN c.held IS NULL THEN e.occurred_at ELSE c.decided END,
    CASE WHEN c.held IS NULL THEN e.occurred_at ELSE c.completed END,
    CASE WHEN c.held IS NULL THEN e.occurred_at ELSE c.relationship_ended END, coalesce(c.held, false)
FROM pipeline.events e LEFT JOIN pipeline.clocks c
    ON (c.tenant, c.family, c.workflow_key) = (e.tenant, e.family, e.workflow_key)
WHERE NOT EXISTS (SELECT FROM pipeline.deliveries d WHERE d.event_id = e.id AND d.state = 'pending')
UNION ALL
SELECT 'verdicts', 'workflows', NULL, c.tenant, c.family, c.workflow_key, c.received, c.decided, c.completed,
    c.relationship_ended, c.held
FROM pipeline.clocks c;

-- What an erasure leaves: a certificate without a name, a number or a reference of the person.
CREATE TABLE pipeline.erasures (
    id uuid PRIMARY KEY,
    tenant text NOT NULL,
    scope text NOT NULL CHECK (scope IN ('workflow', 'account', 'user-reference')),
    reason text NOT NULL,
    erased_by text NOT NULL DEFAULT session_user,
    erased_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    rows jsonb NOT NULL
);

-- By which a late callback of an erased subject is known: SHA-256 of `workflow/TENANT/KEY` or `account/TENANT/ID`.
-- Jumio's ids are random numbers of 122 bits, so that nobody finds one by trying.
CREATE TABLE pipeline.tombstones (
    digest bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    erasure_id uuid NOT NULL REFERENCES pipeline.erasures,
    hits integer NOT NULL DEFAULT 0,
    last_hit_at timestamptz
);
CREATE INDEX tombstones_erasure ON pipeline.tombstones (erasure_id);

CREATE FUNCTION pipeline.tombstone(kind text, tenant text, subject text) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT sha256(convert_to(kind || '/' || tenant || '/' || subject, 'UTF8'))
$$;

CREATE FUNCTION pipeline.is_erased(tenant text, workflow_key text, account_id text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM pipeline.tombstones t WHERE t.digest IN (
            pipeline.tombstone('account', is_erased.tenant, is_erased.account_id),
            pipeline.tombstone('workflow', is_erased.tenant, is_erased.workflow_key)
        )
    )
$$;

-- The worker deletes no callback but one of somebody who was erased. Whether this call did; then it is counted.
CREATE FUNCTION pipeline.drop_erased(callback_id uuid, tenant text, workflow_key text, account_id text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    grave bytea := (
        SELECT t.digest FROM pipeline.tombstones t WHERE t.digest IN (
            pipeline.tombstone('account', drop_erased.tenant, drop_erased.account_id),
            pipeline.tombstone('workflow', drop_erased.tenant, drop_erased.workflow_key)
        ) LIMIT 1
    );
BEGIN
    DELETE FROM pipeline.callbacks c
    WHERE c.id = drop_erased.callback_id AND c.tenant = drop_erased.tenant AND grave IS NOT NULL;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE pipeline.tombstones SET hits = hits + 1, last_hit_at = clock_timestamp() WHERE digest = grave;
    RETURN true;
END
$$;

-- Whoever writes a workflow for the first time waits for an erasure that is under way, and loses against it.
CREATE FUNCTION pipeline.refuse_erased() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    account bytea := pipeline.tombstone('account', NEW.tenant, coalesce(NEW.account_id, ''));
    workflow bytea := pipeline.tombstone('workflow', NEW.tenant, NEW.workflow_key);
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended(encode(account, 'hex'), 0));
    PERFORM pg_advisory_xact_lock_shared(hashtextextended(encode(workflow, 'hex'), 0));
    IF pipeline.is_erased(NEW.tenant, NEW.workflow_key, NEW.account_id) THEN
        RAISE EXCEPTION 'this subject was erased' USING ERRCODE = 'JPERA';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER workflows_stay_erased BEFORE INSERT ON pipeline.workflows
    FOR EACH ROW EXECUTE FUNCTION pipeline.refuse_erased();

-- What an erasure has still to do elsewhere; what it needs for that is forgotten when it is done.
CREATE TABLE pipeline.deletions (
    id uuid PRIMARY KEY,
    erasure_id uuid NOT NULL REFERENCES pipeline.erasures,
    place text NOT NULL CHECK (place IN ('jumio', 'stream')),
    tenant text NOT NULL,
    family text NOT NULL CHECK (family ~ '^[a-z][a-z0-9_]*$'),
    account_id text,
    workflow_key text,
    state text NOT NULL CHECK (state IN ('wanted', 'done', 'parked')),
    attempts integer NOT NULL DEFAULT 0,
    forgiven integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    leased_until timestamptz,
    claimed_until timestamptz,
    last_error text,
    finished_at timestamptz,
    requeued_at timestamptz,
    answer text CHECK (answer IN ('deleted', 'unknown')),
    CHECK ((state = 'wanted') = (finished_at IS NULL)),
    CHECK ((state = 'done') = (answer IS NOT NULL)),
    CHECK ((state = 'done') = (account_id IS NULL AND workflow_key IS NULL))
);
CREATE INDEX deletions_due ON pipeline.deletions (next_attempt_at) WHERE state = 'wanted';
CREATE INDEX deletions_aside ON pipeline.deletions (finished_at) WHERE state = 'parked';
CREATE INDEX deletions_erasure ON pipeline.deletions (erasure_id);

-- The event that tells of an erasure outlives what it tells of.
ALTER TABLE pipeline.events DROP CONSTRAINT events_tenant_family_workflow_key_fkey;

-- What refers to a callback or a report that is deleted.
CREATE INDEX reports_of_callback ON pipeline.reports (callback_id);
CREATE INDEX verdicts_of_callback ON pipeline.verdicts (callback_id);
CREATE INDEX verdicts_of_report ON pipeline.verdicts (report_id);

CREATE VIEW compliance.erasures AS
SELECT e.id AS erasure_id, e.tenant, e.scope, e.reason, e.erased_by, e.erased_at, e.rows, t.subjects, t.late_callbacks,
    d.pending AS elsewhere_pending, d.done AS elsewhere_done, d.parked AS elsewhere_parked
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
COMMENT ON VIEW compliance.erasures IS 'Certificate of one erasure: what was deleted, when, by whom and why, without a word about the person.';
COMMENT ON COLUMN compliance.erasures.erasure_id IS 'Our id of the erasure.';
COMMENT ON COLUMN compliance.erasures.tenant IS 'Which Jumio customer account of ours.';
COMMENT ON COLUMN compliance.erasures.scope IS 'What was named: one workflow, an account of Jumio''s, or a user reference.';
COMMENT ON COLUMN compliance.erasures.reason IS 'Why, in the words of who did it.';
COMMENT ON COLUMN compliance.erasures.erased_by IS 'The login that did it.';
COMMENT ON COLUMN compliance.erasures.erased_at IS 'When it was committed here.';
COMMENT ON COLUMN compliance.erasures.rows IS 'How many rows of which kind were deleted, as a JSON object.';
COMMENT ON COLUMN compliance.erasures.subjects IS 'How many workflows and accounts are known as erased since.';
COMMENT ON COLUMN compliance.erasures.late_callbacks IS 'How many callbacks came afterwards and were dropped.';
COMMENT ON COLUMN compliance.erasures.elsewhere_pending IS 'Deletions at Jumio or on the stream that are still to be done.';
COMMENT ON COLUMN compliance.erasures.elsewhere_done IS 'Those that are done: Jumio deleted it, or said that it has nothing of that name.';
COMMENT ON COLUMN compliance.erasures.elsewhere_parked IS 'Those that were given up; status says why.';

CREATE FUNCTION compliance.erasure_of(tenant text, workflow_key text) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT t.erasure_id FROM pipeline.tombstones t
    WHERE t.digest = pipeline.tombstone('workflow', erasure_of.tenant, erasure_of.workflow_key)
$$;
COMMENT ON FUNCTION compliance.erasure_of IS 'Which erasure took a workflow, by its id; empty where none did.';

CREATE VIEW compliance.holds AS
SELECT id AS hold_id, tenant, kind, subject, reason, placed_by, placed_at, released_at FROM pipeline.holds;
COMMENT ON VIEW compliance.holds IS 'One legal hold: while it stands, nothing of its subject is deleted.';
COMMENT ON COLUMN compliance.holds.hold_id IS 'Our id of the hold.';
COMMENT ON COLUMN compliance.holds.tenant IS 'Which Jumio customer account of ours.';
COMMENT ON COLUMN compliance.holds.kind IS 'What the subject is: workflow, account or user-reference.';
COMMENT ON COLUMN compliance.holds.subject IS 'Its id or reference.';
COMMENT ON COLUMN compliance.holds.reason IS 'Why, in the words of who placed it.';
COMMENT ON COLUMN compliance.holds.placed_by IS 'The login that placed it.';
COMMENT ON COLUMN compliance.holds.placed_at IS 'Since when it stands.';
COMMENT ON COLUMN compliance.holds.released_at IS 'When it ended; empty while it stands.';

GRANT SELECT ON compliance.erasures TO compliance_auditor;
-- Not whom a hold is about: it may be a reference of the person.
GRANT SELECT (hold_id, tenant, kind, reason, placed_by, placed_at, released_at) ON compliance.holds
    TO compliance_auditor;
GRANT EXECUTE ON FUNCTION compliance.erasure_of
    TO compliance_analyst, compliance_investigator, compliance_auditor, jumio_admin;
-- The worker knows who was erased, drops what comes late, and asks Jumio to delete.
GRANT EXECUTE ON FUNCTION pipeline.is_erased, pipeline.drop_erased TO jumio_worker;
GRANT SELECT, UPDATE ON pipeline.deletions TO jumio_worker;
GRANT SELECT (state, next_attempt_at) ON pipeline.deletions TO jumio_receiver;
GRANT SELECT (id, state, next_attempt_at, leased_until, claimed_until), UPDATE (leased_until)
    ON pipeline.deletions TO jumio_relay;
-- The operator holds, erases, and tells of it.
GRANT SELECT, INSERT, UPDATE, DELETE ON pipeline.holds, pipeline.relationship_ends TO jumio_admin;
GRANT SELECT, INSERT ON pipeline.erasures, pipeline.tombstones TO jumio_admin;
GRANT SELECT, INSERT, UPDATE ON pipeline.deletions TO jumio_admin;
GRANT INSERT ON pipeline.events, pipeline.deliveries TO jumio_admin;
GRANT SELECT ON pipeline.clocks, pipeline.retained TO jumio_admin;
GRANT EXECUTE ON FUNCTION pipeline.tombstone, pipeline.is_held, pipeline.is_biometric TO jumio_admin;
