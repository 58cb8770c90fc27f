"""(f) dj-stripe's webhook view on Postgres under gunicorn: signature verified, trigger row kept, nothing processed.

Its hook for handing events on (WEBHOOK_EVENT_CALLBACK) does nothing here, which is in its favour. Connections persist.
"""

import os
from typing import Any
from urllib.parse import urlsplit

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.urls import include, path

ENDPOINT = "5b7a5c3e-6a4e-4e0f-9a58-0f2a7f1c9d11"
_url = urlsplit(os.environ["DATABASE_URL"])  # noqa: TID251 - a program of its own


def hand_on(_trigger: Any, **_: Any) -> None:
    """Where users queue."""


settings.configure(
    SECRET_KEY="bench",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "djstripe"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": _url.hostname,
            "PORT": _url.port,
            "USER": _url.username,
            "PASSWORD": _url.password,
            "NAME": _url.path.strip("/"),
            "CONN_MAX_AGE": None,
        }
    },
    DJSTRIPE_FOREIGN_KEY_TO_FIELD="id",
    DJSTRIPE_WEBHOOK_EVENT_CALLBACK=hand_on,
    STRIPE_TEST_SECRET_KEY="sk_test_bench",
    STRIPE_LIVE_MODE=False,
    LOGGING_CONFIG=None,
)
django.setup()
urlpatterns = [path("stripe/", include("djstripe.urls", namespace="djstripe"))]
application = get_wsgi_application()


def prepare(secret: str) -> None:
    """The tables, and one endpoint that may post."""
    from djstripe.models import WebhookEndpoint  # noqa: PLC0415 - models need django.setup

    call_command("migrate", verbosity=0)
    WebhookEndpoint.objects.update_or_create(
        id="we_bench",
        defaults={
            "djstripe_uuid": ENDPOINT, "secret": secret, "livemode": False, "enabled_events": ["*"], "url": "",
            "status": "enabled",
            "djstripe_tolerance": 30_000, "djstripe_validation_method": "verify_signature",
        },
    )  # fmt: skip
