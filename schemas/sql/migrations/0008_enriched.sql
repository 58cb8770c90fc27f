-- A subscription may ask for more than an event tells everybody.

ALTER TABLE pipeline.subscriptions ADD COLUMN enrich text[] CHECK (
    enrich <@ ARRAY['checks', 'identity'] AND cardinality(enrich) > 0
);
-- What an enriched delivery sends, made at its first try: the same bytes at every other, and gone when it is settled.
ALTER TABLE pipeline.deliveries ADD COLUMN sealed_body bytea;

CREATE FUNCTION pipeline.forget_body() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.sealed_body := NULL;
    RETURN NEW;
END
$$;
CREATE TRIGGER deliveries_forget_body BEFORE UPDATE ON pipeline.deliveries
    FOR EACH ROW WHEN (NEW.state IN ('delivered', 'cancelled') AND NEW.sealed_body IS NOT NULL)
    EXECUTE FUNCTION pipeline.forget_body();

-- A worker sees identities only in this way: those of one delivery that is still to be sent, to a subscription that asked
-- for them, and on record.
CREATE FUNCTION pipeline.take_identities(delivery_id uuid) RETURNS TABLE (
    document_type text, document_subtype text, issuing_country text, first_name text, last_name text,
    date_of_birth text, document_number text, issuing_date text, expiry_date text
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    sent record;
BEGIN
    SELECT e.id AS event_id, e.tenant, e.family, e.workflow_key, s.id AS subscription_id, v.report_id INTO sent
    FROM pipeline.deliveries d
    JOIN pipeline.events e ON e.id = d.event_id
    JOIN pipeline.subscriptions s ON s.id = d.subscription_id
    JOIN pipeline.verdicts v ON v.tenant = e.tenant AND v.family = e.family AND v.workflow_key = e.workflow_key
        AND v.version = (e.body::jsonb #>> '{data,verdict_version}')::integer
    WHERE d.id = take_identities.delivery_id AND d.state = 'pending' AND s.removed_at IS NULL
        AND 'identity' = ANY (s.enrich);
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM pipeline.append_audit(
        'event.enriched', sent.tenant, sent.family, sent.workflow_key, 'the subscription asked for it',
        jsonb_build_object('event', sent.event_id, 'subscription', sent.subscription_id, 'with', 'identity')
    );
    RETURN QUERY
    SELECT i.document_type, i.document_subtype, i.issuing_country, i.first_name, i.last_name, i.date_of_birth,
        i.document_number, i.issuing_date, i.expiry_date
    FROM pipeline.identities i WHERE i.report_id = sent.report_id ORDER BY i.position;
END
$$;

REVOKE ALL ON FUNCTION pipeline.forget_body, pipeline.take_identities FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pipeline.take_identities TO jumio_worker;
GRANT SELECT ON pipeline.checks, pipeline.steps TO jumio_worker;
