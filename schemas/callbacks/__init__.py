"""From the bytes of a callback to what it is about; one module a family."""
