"""An example for those who take events: Starlette, SQLite, the standard library. README.md says it in words."""
