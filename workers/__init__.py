"""Everything after the 200: stored -> queued -> fetched -> decided -> emitted."""
