"""Events for those who ask: a page after a cursor, at once or as soon as there is one."""
