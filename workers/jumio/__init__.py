"""The client of Jumio's retrieval API."""
