"""What the audit trail notes of the settings of a process: those that evidence depends on, and never a secret."""

from schemas.settings import Settings, Tenant

# Who was let in, and what was kept of what he sent.
_OF_THE_DOOR = (
    *("source_check", "source_hosts", "source_extra", "source_allow_private", "trusted_proxies"),
    *("client_address_header", "dns_servers", "max_body_bytes"),
)
# Where images are, and whom events tell.
_OF_THE_WORK = ("images_url", "event_source", "event_stream", "event_exchange", "subscriber_private_cidrs")
# Whom results are asked of.
_OF_JUMIO = ("auth_url", "api_url", "retrieval_url", "legacy_url", "legacy_documents_url")


def noted_of_receiver(settings: Settings) -> dict[str, str]:
    """By name, in the words of the environment; of path secrets how many there are."""
    noted = {name: _words(getattr(settings, name)) for name in _OF_THE_DOOR}
    secrets = {f"callback_secrets {name}": str(len(each.callback_secrets)) for name, each in settings.tenants.items()}
    return {**noted, **_keys(settings), **secrets}


def noted_of_worker(settings: Settings) -> dict[str, str]:
    """By name, in the words of the environment."""
    noted = {name: _words(getattr(settings, name)) for name in _OF_THE_WORK}
    asked = {f"jumio {name}": _asked(tenant) for name, tenant in settings.tenants.items()}
    return {**noted, **_keys(settings), **asked}


def _keys(settings: Settings) -> dict[str, str]:
    return {"encryption_keys": _words(settings.keys.ids)}


def _asked(tenant: Tenant) -> str:
    return _words(tuple(getattr(tenant, name) for name in _OF_JUMIO))


def _words(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
