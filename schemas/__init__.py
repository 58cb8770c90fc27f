"""The shapes all sides agree on; no I/O."""
