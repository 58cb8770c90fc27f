"""How each product generation is asked for what a callback is about."""
