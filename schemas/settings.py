"""The shape of the environment: one frozen class, read once at the start of a process."""

import os
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, model_validator

from schemas.sealing import KeyRing

Network = IPv4Network | IPv6Network

# protocol.md B: the newer names first; the older ones still resolve and may hold addresses of their own.
SOURCE_HOSTS = (
    "callback.amer-1.jumio.ai",
    "callback.emea-1.jumio.ai",
    "callback.apac-1.jumio.ai",
    "callback.jumio.com",
    "callback.lon.jumio.com",
    "callback.core-sgp.jumio.com",
)
# protocol.md C.5: what Jumio recommends to those who read results, as delays between attempts.
JUMIO_RETRY_SECONDS = (40.0, 60.0, 100.0, 160.0, 240.0, 340.0, 460.0, 600.0, 760.0, 940.0)
# Svix's published schedule after the first attempt, then daily to a week.
DELIVERY_RETRY_SECONDS = (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 36000.0, *(86400.0,) * 6)


class SettingsError(Exception):
    """The environment does not describe a process that can run; each line says what to set."""


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _networks(value: object) -> object:
    parts = _split(value)
    return tuple(ip_network(part, strict=False) for part in parts) if isinstance(parts, tuple) else parts


def _key_ring(value: object) -> object:
    return KeyRing.parse(value) if isinstance(value, str) else value


def _base_url(value: object) -> object:
    """Scheme and host with an optional port: paths are built here, never configured."""
    if not isinstance(value, str):
        return value
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path not in {"", "/"}:
        raise ValueError("a base URL is scheme://host[:port], nothing more")
    if parts.username or parts.query or parts.fragment:
        raise ValueError("a base URL holds no user, query or fragment")
    return value.rstrip("/")


def _rate(value: object) -> object:
    """Requests a second, written as 15/s."""
    return value.removesuffix("/s").strip() if isinstance(value, str) else value


Rate = Annotated[float, BeforeValidator(_rate), Field(gt=0, le=1000)]
Words = Annotated[tuple[str, ...], BeforeValidator(_split)]
Networks = Annotated[tuple[Network, ...], BeforeValidator(_networks)]
Seconds = Annotated[tuple[float, ...], BeforeValidator(_split)]
BaseUrl = Annotated[str | None, BeforeValidator(_base_url)]
Bind = Annotated[str, Field(pattern=r"^(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$")]


class _Frozen(BaseModel):
    # A validation error would otherwise print the value, and most values here are secrets.
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True, arbitrary_types_allowed=True)


class Tenant(_Frozen):
    """One customer account at Jumio: its region, credentials and path secrets."""

    name: str = "default"
    region: Literal["amer-1", "emea-1", "apac-1"] = "amer-1"
    client_id: str = ""
    client_secret: SecretStr = SecretStr("")
    user_agent: str = ""
    auth_url: str
    account_url: str
    api_url: str
    retrieval_url: str
    status_url: str
    callback_secrets: tuple[SecretStr, ...] = ()
    legacy_token: str = ""
    legacy_secret: SecretStr = SecretStr("")
    legacy_url: str
    legacy_documents_url: str
    retrieval_rate: float = 15.0


class Settings(_Frozen):
    """Everything an operator can set. Names are those of the environment, in lower case."""

    env: str = "development"
    database_url: SecretStr = SecretStr("")
    broker_url: SecretStr = SecretStr("")
    bind: Bind = "127.0.0.1:8080"
    metrics_bind: Bind = "127.0.0.1:9090"
    trusted_proxies: Networks = ()
    client_address_header: Literal["x-forwarded-for", "forwarded"] = "x-forwarded-for"
    source_check: Literal["enforce", "observe"] = "enforce"
    source_hosts: Words = SOURCE_HOSTS
    source_extra: Networks = ()
    source_allow_private: bool = False
    dns_servers: Words = ()
    callback_secrets: Words = ()
    max_body_bytes: int = Field(default=1_048_576, ge=1024, le=16 * 1_048_576)
    encryption_keys: Annotated[KeyRing | None, BeforeValidator(_key_ring)] = None
    jumio_region: Literal["amer-1", "emea-1", "apac-1"] = "amer-1"
    jumio_client_id: str = ""
    jumio_client_secret: SecretStr = SecretStr("")
    jumio_user_agent: str = ""
    jumio_auth_url: BaseUrl = None
    jumio_account_url: BaseUrl = None
    jumio_api_url: BaseUrl = None
    jumio_retrieval_url: BaseUrl = None
    jumio_status_url: BaseUrl = None
    jumio_legacy_url: BaseUrl = None
    jumio_legacy_documents_url: BaseUrl = None
    jumio_legacy_token: str = ""
    jumio_legacy_secret: SecretStr = SecretStr("")
    jumio_retrieval_rate: Rate = 15.0
    jumio_retry_seconds: Seconds = JUMIO_RETRY_SECONDS
    images_url: Literal["postgres:"] = "postgres:"
    event_source: str = Field(default="/jumio-pipeline", min_length=1, max_length=256)
    subscriber_private_cidrs: Networks = ()
    delivery_retry_seconds: Seconds = DELIVERY_RETRY_SECONDS
    event_stream: str = "jumio:events"
    worker_processes: int = Field(default=4, ge=1, le=256)
    log_format: Literal["auto", "json", "console"] = "auto"

    @classmethod
    def load(cls, role: str = "", environment: Mapping[str, str] | None = None) -> Self:
        """Read the environment for one role (a key of NEEDED_BY).

        Raises SettingsError with a line for every setting that is missing or wrong, never with a value.
        """
        found = dict(_read(os.environ if environment is None else environment, known=tuple(cls.model_fields)))
        try:
            settings = cls.model_validate(found)
        except ValidationError as error:
            raise SettingsError("\n".join(_explain(error))) from None
        missing = [name.upper() for name in NEEDED_BY.get(role, ()) if not _is_set(getattr(settings, name))]
        if missing:
            raise SettingsError(
                "\n".join(f"{name} is not set; deploy/env.example says what it means" for name in missing)
            )
        return settings

    @model_validator(mode="after")
    def _https_outside_of_development(self) -> Self:
        for name in (*JUMIO_HOSTS, *LEGACY_HOSTS["amer-1"]):
            url = getattr(self, f"jumio_{name}_url")
            if url and not url.startswith("https://") and not self.source_allow_private:
                raise ValueError(f"JUMIO_{name.upper()}_URL must be https: credentials travel over it")
        return self

    @property
    def tenants(self) -> Mapping[str, Tenant]:
        """The tenants by name; one, called default, unless there are more."""
        urls = {
            f"{name}_url": getattr(self, f"jumio_{name}_url") or f"https://{name}.{self.jumio_region}.jumio.ai"
            for name in JUMIO_HOSTS
        }
        legacy = {
            f"{name}_url": getattr(self, f"jumio_{name}_url") or url
            for name, url in LEGACY_HOSTS[self.jumio_region].items()
        }
        return {
            "default": Tenant(
                region=self.jumio_region,
                client_id=self.jumio_client_id,
                client_secret=self.jumio_client_secret,
                user_agent=self.jumio_user_agent,
                callback_secrets=tuple(SecretStr(secret) for secret in self.callback_secrets),
                legacy_token=self.jumio_legacy_token,
                legacy_secret=self.jumio_legacy_secret,
                retrieval_rate=self.jumio_retrieval_rate,
                **urls,
                **legacy,
            )
        }

    @property
    def keys(self) -> KeyRing:
        """The key ring of a role that needs one."""
        if self.encryption_keys is None:
            raise SettingsError("ENCRYPTION_KEYS is not set; deploy/env.example says what it means")
        return self.encryption_keys


# protocol.md C.1: one host a purpose in each region.
JUMIO_HOSTS = ("auth", "account", "api", "retrieval", "status")
# protocol.md C.7: the data centres of the older generations, documents apart.
LEGACY_HOSTS = {
    "amer-1": {"legacy": "https://netverify.com", "legacy_documents": "https://retrieval.netverify.com"},
    "emea-1": {"legacy": "https://lon.netverify.com", "legacy_documents": "https://retrieval.lon.netverify.com"},
    "apac-1": {"legacy": "https://core-sgp.jumio.com", "legacy_documents": "https://retrieval.core-sgp.jumio.com"},
}

NEEDED_BY: Mapping[str, tuple[str, ...]] = {
    "migrate": ("database_url",),
    "receiver": ("database_url", "encryption_keys"),
    "relay": ("database_url", "broker_url"),
    "worker": (
        "database_url",
        "broker_url",
        "encryption_keys",
        "jumio_client_id",
        "jumio_client_secret",
        "jumio_user_agent",
    ),
    "operator": ("database_url",),
    "subscriptions": ("database_url", "encryption_keys"),
}


def inherited_environment() -> dict[str, str]:
    """What this process was started with, to hand on to its children."""
    return dict(os.environ)


def _read(environment: Mapping[str, str], *, known: tuple[str, ...]) -> dict[str, str]:
    """Known names only; NAME_FILE stands for the content of a mounted secret."""
    found: dict[str, str] = {}
    for name in known:
        direct, file = environment.get(name.upper()), environment.get(f"{name.upper()}_FILE")
        if direct is not None and file is not None:
            raise SettingsError(f"{name.upper()} and {name.upper()}_FILE are both set; keep one")
        if file is not None:
            found[name] = _secret_file(name, Path(file))
        elif direct is not None and (direct != "" or name == "event_stream"):
            found[name] = direct
    return found


def _secret_file(name: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"{name.upper()}_FILE cannot be read: {error.strerror}") from None


def _explain(error: ValidationError) -> list[str]:
    return [
        f"{'.'.join(str(part) for part in problem['loc'][:1]).upper() or 'SETTINGS'}: {problem['msg']}"
        for problem in error.errors(include_input=False, include_url=False, include_context=False)
    ]


def _is_set(value: object) -> bool:
    return bool(value.get_secret_value()) if isinstance(value, SecretStr) else bool(value)
