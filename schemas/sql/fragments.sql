-- Conditions that several queries share: {name} in a query is the text of that name here.

-- name: free
-- Of a row `work`: neither its message nor a worker has it.
(work.leased_until IS NULL OR work.leased_until < now()) AND (work.claimed_until IS NULL OR work.claimed_until < now());

-- name: in_order
-- Of a delivery `work`: what comes before, for its target and workflow, is settled. ORDER BY and OFFSET keep it one look-up
-- a row in deliveries_order; as a join it took 77 s with 100,000 rows of one workflow.
NOT EXISTS (
    SELECT FROM pipeline.deliveries earlier
    WHERE earlier.target = work.target AND earlier.tenant = work.tenant AND earlier.family = work.family
        AND earlier.workflow_key = work.workflow_key AND earlier.sequence < work.sequence AND earlier.state = 'pending'
    ORDER BY earlier.sequence OFFSET 0
);
