"""Where events go: subscribers' webhooks, through a guarded way out, and a Redis stream."""
