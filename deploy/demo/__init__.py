"""The whole line in one command, checked."""
