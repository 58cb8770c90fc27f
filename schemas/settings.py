"""The shape of the environment: one frozen class, read once at the start of a process."""

import os
from collections.abc import Mapping
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, ValidationInfo, model_validator

from schemas.images_url import read_images_url
from schemas.sealing import KeyRing
from schemas.tenants import (
    Frozen,
    Reading,
    Region,
    TenantSettings,
    Words,
    insecure,
    read_secret_file,
    read_tenants,
    split,
)

Network = IPv4Network | IPv6Network

# documentation.jumio.ai, Callback. The newer names first; the older ones still resolve and may have addresses of
# their own.
SOURCE_HOSTS = (
    "callback.amer-1.jumio.ai",
    "callback.emea-1.jumio.ai",
    "callback.apac-1.jumio.ai",
    "callback.jumio.com",
    "callback.lon.jumio.com",
    "callback.core-sgp.jumio.com",
)
# retrieval guide: what Jumio recommends to those who read results, as delays between attempts.
JUMIO_RETRY_SECONDS = (40.0, 60.0, 100.0, 160.0, 240.0, 340.0, 460.0, 600.0, 760.0, 940.0)
# Svix's published schedule after the first attempt, then daily to a week.
DELIVERY_RETRY_SECONDS = (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 36000.0, *(86400.0,) * 6)


class SettingsError(Exception):
    """The environment does not describe a process that can run; each line says what to set."""


def _networks(value: object) -> object:
    parts = split(value)
    if not isinstance(parts, tuple):
        return parts
    try:
        return tuple(ip_network(part, strict=False) for part in parts)
    except ValueError:
        # Its text quotes the value.
        raise ValueError("each is a network like 10.0.0.0/8, or an address") from None


def _key_ring(value: object) -> object:
    return KeyRing.parse(value) if isinstance(value, str) else value


def _tenants(value: object, info: ValidationInfo) -> object:
    """The file that is named, read for the role that asks: as with a key ring, the setting is what it stands for."""
    if not isinstance(value, str):
        return value
    reading = info.context if isinstance(info.context, Reading) else Reading()
    # What is wrong itself has been complained about.
    private = bool(info.data.get("source_allow_private", True))
    return read_tenants(Path(value), reading, defaults=info.data, private=private)


Networks = Annotated[tuple[Network, ...], BeforeValidator(_networks)]
Delay = Annotated[float, Field(ge=0, le=31 * 86400, allow_inf_nan=False)]
Seconds = Annotated[tuple[Delay, ...], BeforeValidator(split)]
Bind = Annotated[str, Field(pattern=r"^(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$")]


class Tenant(Frozen):
    """One customer account at Jumio: its region, credentials and path secrets."""

    name: str = "default"
    region: Region = "amer-1"
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
    legacy_rate: float = 15.0


class Settings(TenantSettings):
    """Everything an operator can set. Names are those of the environment, in lower case.

    Those of TenantSettings belong to the tenant `default`, or are what tables of JUMIO_TENANTS_FILE leave out.
    """

    env: str = "development"
    database_url: SecretStr = SecretStr("")
    broker_url: SecretStr = SecretStr("")
    bind: Bind = "127.0.0.1:8080"
    metrics_bind: Bind = "127.0.0.1:9090"
    feed_bind: Bind = "127.0.0.1:8081"
    feed_metrics_bind: Bind = "127.0.0.1:9091"
    trusted_proxies: Networks = ()
    client_address_header: Literal["x-forwarded-for", "forwarded"] = "x-forwarded-for"
    source_check: Literal["enforce", "observe"] = "enforce"
    source_hosts: Words = SOURCE_HOSTS
    source_extra: Networks = ()
    source_allow_private: bool = False
    dns_servers: Words = ()
    max_body_bytes: int = Field(default=1_048_576, ge=1024, le=16 * 1_048_576)
    spool_dir: Path | None = None
    encryption_keys: Annotated[KeyRing | None, BeforeValidator(_key_ring)] = None
    jumio_tenants_file: Annotated[Mapping[str, TenantSettings] | None, BeforeValidator(_tenants)] = None
    jumio_retry_seconds: Seconds = JUMIO_RETRY_SECONDS
    images_url: Annotated[str, BeforeValidator(read_images_url)] = "postgres:"
    aws_access_key_id: str = ""
    aws_secret_access_key: SecretStr = SecretStr("")
    aws_session_token: SecretStr = SecretStr("")
    aws_region: str = ""
    aws_endpoint_url: Annotated[str, Field(pattern=r"^https?://[^\s/?#@]+/?$")] | Literal[""] = ""
    event_source: str = Field(default="/jumio-pipeline", min_length=1, max_length=256)
    subscriber_private_cidrs: Networks = ()
    delivery_retry_seconds: Seconds = DELIVERY_RETRY_SECONDS
    event_stream: str = "jumio:events"
    event_exchange_url: SecretStr = SecretStr("")
    event_exchange: str = Field(default="jumio.events", min_length=1, max_length=255)
    retention_file: Path | None = None
    export_signing_key: SecretStr = SecretStr("")
    worker_processes: int = Field(default=4, ge=1, le=256)
    log_format: Literal["auto", "json", "console"] = "auto"

    @classmethod
    def load(cls, role: str = "", environment: Mapping[str, str] | None = None) -> Self:
        """Read the environment for one role (a key of NEEDED_BY).

        Raises SettingsError with a line for every setting that is missing or wrong, never with a value.
        """
        given = os.environ if environment is None else environment
        found, problems = _read(given, known=tuple(cls.model_fields))
        needed = NEEDED_BY.get(role, ())
        of_tenants = [name for name in needed if name in TenantSettings.model_fields]
        elsewhere = of_tenants if "jumio_tenants_file" in found else ()
        for name in needed:
            if name not in {*found, *elsewhere, *problems}:
                problems[name] = f"{name.upper()} is not set; deploy/env.example says what it means"
        opened = [name for name in TenantSettings.model_fields if name.startswith(OPENED_BY.get(role, ()))]
        try:
            settings = cls.model_validate(found, context=Reading(of_tenants, opened))
        except ValidationError as error:
            raise SettingsError("\n".join([*problems.values(), *_explain(error)])) from None
        if problems:
            raise SettingsError("\n".join(problems.values()))
        return settings

    @model_validator(mode="after")
    def _https_outside_of_development(self) -> Self:
        wrong = (
            () if self.source_allow_private else insecure({name: getattr(self, name) for name in self.model_fields_set})
        )
        if wrong:
            raise ValueError("\n".join(f"{name.upper()} must be https: credentials travel over it" for name in wrong))
        return self

    @model_validator(mode="after")
    def _a_bucket_can_be_reached(self) -> Self:
        if bool(self.aws_access_key_id) != bool(self.aws_secret_access_key.get_secret_value()):
            raise ValueError("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY belong together: set both, or neither")
        if self.images_url.startswith("s3:") and not (self.aws_region or self.aws_endpoint_url):
            raise ValueError("AWS_REGION is not set: the region of the bucket in IMAGES_URL, or AWS_ENDPOINT_URL")
        return self

    @cached_property
    def tenants(self) -> Mapping[str, Tenant]:
        """The tenants by name; one, called default, unless JUMIO_TENANTS_FILE names others."""
        if self.jumio_tenants_file is None:
            return {"default": _tenant("default", self)}
        return {name: _tenant(name, table.over(self)) for name, table in self.jumio_tenants_file.items()}

    @property
    def keys(self) -> KeyRing:
        """The key ring of a role that needs one."""
        if self.encryption_keys is None:
            raise SettingsError("ENCRYPTION_KEYS is not set; deploy/env.example says what it means")
        return self.encryption_keys


# KYX guide: one host a purpose in each region.
JUMIO_HOSTS = ("auth", "account", "api", "retrieval", "status")
# retrieval guide: the data centres of the older generations, documents apart.
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
    "feed": ("database_url",),
    "operator": ("database_url",),
    "subscriptions": ("database_url", "encryption_keys"),
    "images": ("database_url", "encryption_keys"),
    "keys": ("database_url", "encryption_keys"),
    "exporter": ("database_url", "encryption_keys"),
    "eraser": ("database_url", "broker_url", "encryption_keys"),
}
# Which secret files of tenants a role opens, by how their names begin: the others need not be mounted where it runs.
OPENED_BY: Mapping[str, str] = {"": "", "receiver": "callback_", "worker": "jumio_"}


def inherited_environment() -> dict[str, str]:
    """What this process was started with, to hand on to its children."""
    return dict(os.environ)


def _tenant(name: str, given: TenantSettings) -> Tenant:
    hosts = {host: f"https://{host}.{given.jumio_region}.jumio.ai" for host in JUMIO_HOSTS}
    hosts |= LEGACY_HOSTS[given.jumio_region]
    return Tenant(
        name=name,
        region=given.jumio_region,
        client_id=given.jumio_client_id,
        client_secret=given.jumio_client_secret,
        user_agent=given.jumio_user_agent,
        callback_secrets=given.callback_secrets,
        legacy_token=given.jumio_legacy_token,
        legacy_secret=given.jumio_legacy_secret,
        retrieval_rate=given.jumio_retrieval_rate,
        legacy_rate=given.jumio_legacy_rate,
        **{f"{host}_url": getattr(given, f"jumio_{host}_url") or url for host, url in hosts.items()},
    )


def _read(environment: Mapping[str, str], *, known: tuple[str, ...]) -> tuple[dict[str, str], dict[str, str]]:
    """Known names only, and problems by name; NAME_FILE stands for the content of a mounted secret."""
    found: dict[str, str] = {}
    problems: dict[str, str] = {}
    for name in known:
        direct, file = environment.get(name.upper()), environment.get(f"{name.upper()}_FILE")
        if direct is not None and file is not None:
            problems[name] = f"{name.upper()} and {name.upper()}_FILE are both set; keep one"
        elif file is not None:
            try:
                found[name] = read_secret_file(Path(file))
            except ValueError as error:
                problems[name] = f"{name.upper()}_FILE {error}"
        elif direct is not None and (direct != "" or name == "event_stream"):
            found[name] = direct
    return found, problems


def _explain(error: ValidationError) -> list[str]:
    """A line each; a setting that stands for a file has one for each problem in it."""
    lines = []
    for problem in error.errors(include_input=False, include_url=False, include_context=False):
        name = "".join(f"{str(part).upper()}: " for part in problem["loc"][:1])
        lines += [f"{name}{line}" for line in problem["msg"].removeprefix("Value error, ").splitlines()]
    return lines
