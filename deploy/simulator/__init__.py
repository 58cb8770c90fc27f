"""A faithful Jumio for development, demo and tests; the product reaches it by sockets only."""
