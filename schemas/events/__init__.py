"""The events that other systems get."""
