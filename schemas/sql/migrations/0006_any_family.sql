-- Which families there are is said by one module each; the database only knows what a name of one looks like.

ALTER TABLE pipeline.callbacks DROP CONSTRAINT callbacks_family_check, ADD CHECK (family ~ '^[a-z][a-z0-9_]*$');
ALTER TABLE pipeline.workflows DROP CONSTRAINT workflows_family_check, ADD CHECK (family ~ '^[a-z][a-z0-9_]*$');
