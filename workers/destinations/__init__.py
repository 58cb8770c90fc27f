"""Where events go: subscribers' webhooks, through a guarded way out, a Redis stream, and a RabbitMQ exchange."""
