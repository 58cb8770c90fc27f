"""A tenant's part of the settings: read from the environment, or from one table each of JUMIO_TENANTS_FILE."""

import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

Region = Literal["amer-1", "emea-1", "apac-1"]

# It stands in the callback URL, in keys of Redis and in labels of metrics.
_TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}", re.ASCII)
_PLACE_IN_FILE = re.compile(r"\(at [a-z0-9 ,]+\)\Z")
# Halves of one credential: never one of this file with one of the environment.
_PAIRS = (("jumio_client_id", "jumio_client_secret"), ("jumio_legacy_token", "jumio_legacy_secret"))


def split(value: object) -> object:
    """Text with commas as its parts, blank ones left out."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _secrets(value: object) -> object:
    """An empty one in a list is a template that was not filled in, and would leave the door open."""
    if not isinstance(value, list | tuple):
        return split(value)
    parts = [part.strip() if isinstance(part, str) else part for part in value]
    if "" in parts:
        raise ValueError("one of the secrets is empty")
    return tuple(parts)


def _base_url(value: object) -> object:
    """Scheme and host with an optional port: paths are built here, never configured."""
    if not isinstance(value, str):
        return value
    try:
        parts = urlsplit(value)
        well_formed = parts.scheme in {"http", "https"} and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        # Its text quotes the URL.
        raise ValueError("a base URL is scheme://host[:port], nothing more") from None
    if not well_formed or parts.path not in {"", "/"} or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("a base URL is scheme://host[:port], nothing more")
    return value.rstrip("/")


def _rate(value: object) -> object:
    """Requests a second, written as 15/s."""
    return value.removesuffix("/s").strip() if isinstance(value, str) else value


Rate = Annotated[float, BeforeValidator(_rate), Field(gt=0, le=1000)]
Words = Annotated[tuple[str, ...], BeforeValidator(split)]
Secrets = Annotated[tuple[SecretStr, ...], BeforeValidator(_secrets)]
BaseUrl = Annotated[str | None, BeforeValidator(_base_url)]


class Frozen(BaseModel):
    """A shape that is read once."""

    # A validation error would otherwise print the value, and most values here are secrets.
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True, arbitrary_types_allowed=True)


class TenantSettings(Frozen):
    """What may differ between customer accounts at Jumio. Names are those of a table, and of the environment."""

    callback_secrets: Secrets = ()
    jumio_region: Region = "amer-1"
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
    jumio_legacy_rate: Rate = 15.0

    def over(self, others: "TenantSettings") -> "TenantSettings":
        """What is set here, and where nothing is, what the others say."""
        fields = TenantSettings.model_fields
        sources = {name: self if name in self.model_fields_set else others for name in fields}
        return TenantSettings.model_construct(**{name: getattr(source, name) for name, source in sources.items()})


@dataclass(frozen=True)
class Reading:
    """For whom a file of tenants is read: what each of them has to have, and which secret files are opened."""

    needed: Collection[str] = ()
    opened: Collection[str] = tuple(TenantSettings.model_fields)


def read_tenants(
    path: Path, reading: Reading, *, defaults: Mapping[str, object], private: bool
) -> dict[str, TenantSettings]:
    """The tables by tenant, each with what is set in it.

    Raises ValueError with a line for every problem: its tenant and key, never a value.
    """
    found: dict[str, TenantSettings] = {}
    problems: list[str] = []
    for name, content in _tables(path).items():
        if not _TENANT.fullmatch(name):
            problems.append(
                f"{_shown(name)}: a tenant's name is a-z, 0-9, - and _, at most 63, and begins with no - or _"
            )
        if not isinstance(content, dict):
            problems.append(f"{_shown(name)}: not a table; what holds for every tenant is set in the environment")
            continue
        table = _Table(content, path.parent, reading)
        found[name] = table.read(defaults, private=private)
        problems += [f"{_shown(name)}.{_shown(key)}: {problem}" for key, problem in table.problems.items()]
    if problems:
        raise ValueError("\n".join(problems))
    return found


def read_secret_file(path: Path) -> str:
    """The content of a mounted secret. Raises ValueError, whose text says why it cannot be had."""
    try:
        content = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError("cannot be read: not UTF-8") from None
    if not content:
        raise ValueError("names an empty file")
    return content


def insecure(values: Mapping[str, object]) -> list[str]:
    """Names of base URLs over which credentials would travel in the clear."""
    urls = {name: value for name, value in values.items() if name.endswith("_url") and isinstance(value, str)}
    return [name for name, url in urls.items() if name in TenantSettings.model_fields and not url.startswith("https:")]


def is_set(value: object) -> bool:
    """Whether it says anything."""
    return bool(value.get_secret_value()) if isinstance(value, SecretStr) else bool(value)


class _Table:
    """One tenant's table, and what is wrong with it by key."""

    def __init__(self, content: Mapping[str, Any], folder: Path, reading: Reading) -> None:
        self._content, self._folder, self._reading = content, folder, reading
        self.problems: dict[str, str] = {}

    def read(self, defaults: Mapping[str, object], *, private: bool) -> TenantSettings:
        """What is set, as far as it is well; an empty text stands for none, not for the environment's."""
        values = {}
        for name, value in self._given().items():
            values[name] = TenantSettings.model_fields[name].default if value == "" else value
        try:
            settings = TenantSettings.model_validate(values)
        except ValidationError as error:
            settings = TenantSettings()
            for problem in error.errors(include_input=False, include_url=False, include_context=False):
                self.problems[str(problem["loc"][0])] = problem["msg"].removeprefix("Value error, ")
        if not private:
            self.problems |= dict.fromkeys(
                sorted(set(insecure(values)) - set(self.problems)), "must be https: credentials travel over it"
            )
        self._require({**defaults, **values}, values)
        return settings

    def _given(self) -> dict[str, Any]:
        """Values by name, with `<key>_file` read; files that this role has no use for stay closed."""
        found: dict[str, Any] = {}
        known = TenantSettings.model_fields
        for key, value in self._content.items():
            name = key.removesuffix("_file")
            if name not in known:
                self.problems[key] = f"no such key{_hint(key, known)}"
            elif key == name:
                found[name] = value
            elif name in self._content:
                self.problems[key] = f"{name} is set as well; keep one"
            elif not isinstance(value, str):
                self.problems[key] = "not the path of a file"
            elif name in self._reading.opened:
                try:
                    found[name] = read_secret_file(self._folder / value)
                except ValueError as error:
                    self.problems[key] = str(error)
        return found

    def _require(self, together: Mapping[str, object], own: Mapping[str, object]) -> None:
        needed = self._reading.needed
        lacking = {name: "is not set, here or in the environment" for name in needed if not is_set(together.get(name))}
        if needed:
            for pair in _PAIRS:
                halves = {name: is_set(own.get(name)) for name in pair}
                lacking |= {
                    name: "is not set beside its other half: both belong here, or both into the environment"
                    for name, there in halves.items()
                    if not there and any(halves.values())
                }
        for name, problem in lacking.items():
            if not {name, f"{name}_file"} & set(self.problems):
                self.problems[name] = problem


def _tables(path: Path) -> dict[str, Any]:
    """Raises ValueError; of what tomllib says only the place is kept, because the rest may quote a value."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    except tomllib.TOMLDecodeError as error:
        place = _PLACE_IN_FILE.search(str(error))
        raise ValueError(f"is not TOML {place[0] if place else ''}".rstrip()) from None
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None
    if not tables:
        raise ValueError("names no tenant; each is a table: [name]")
    return tables


def _hint(key: str, known: Collection[str]) -> str:
    close = get_close_matches(key.lower(), [*known, *(f"{name}_file" for name in known)], n=1)
    return f"; did you mean {close[0]}?" if close else "; deploy/env.example lists them"


def _shown(name: str) -> str:
    return name if re.fullmatch(r"[\w-]{1,64}", name, re.ASCII) else ascii(name[:64])
