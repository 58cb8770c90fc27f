"""Where callbacks are kept while Postgres does not take them: files in SPOOL_DIR, fsynced, drained by themselves."""
