"""The environment is read once, in one place; what is wrong is named and never shown."""

import ast
import re
from pathlib import Path

import pytest

from schemas.sealing import KeyRing
from schemas.settings import NEEDED_BY, Settings, SettingsError

ROOT = Path(__file__).parents[2]
PLANTED = "PLANTED-7431"
HTTPS_URLS = ("AUTH", "ACCOUNT", "API", "RETRIEVAL", "STATUS")
COMPLETE = {
    "DATABASE_URL": "postgresql://jumio@db.example/jumio",
    "BROKER_URL": "redis://redis.example/0",
    "ENCRYPTION_KEYS": KeyRing.generate(),
    "JUMIO_CLIENT_ID": "client",
    "JUMIO_CLIENT_SECRET": "secret",
    "JUMIO_USER_AGENT": "Acme Kyc/1.0",
}


@pytest.mark.parametrize("role", NEEDED_BY)
def test_one_error_names_everything_that_a_role_lacks(role: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.load(role, {})

    assert [line.split()[0] for line in str(caught.value).splitlines()] == [name.upper() for name in NEEDED_BY[role]]


@pytest.mark.parametrize(("role", "name"), [(role, name.upper()) for role in NEEDED_BY for name in NEEDED_BY[role]])
@pytest.mark.parametrize("empty", [True, False])
def test_each_need_of_a_role_is_needed_and_empty_is_not_set(role: str, name: str, empty: bool) -> None:  # noqa: FBT001 - a case
    environment = {needed: value for needed, value in COMPLETE.items() if needed != name}

    with pytest.raises(SettingsError, match=rf"\A{name} is not set"):
        Settings.load(role, {**environment, name: ""} if empty else environment)


@pytest.mark.parametrize(
    ("role", "names"),
    [
        ("migrate", {"DATABASE_URL"}),
        ("receiver", {"DATABASE_URL", "ENCRYPTION_KEYS"}),
        ("relay", {"DATABASE_URL", "BROKER_URL"}),
        ("worker", set(COMPLETE)),
    ],
)
def test_a_role_asks_for_no_more_than_it_uses(role: str, names: set[str]) -> None:
    settings = Settings.load(role, {name: COMPLETE[name] for name in names})

    assert settings.database_url.get_secret_value() == COMPLETE["DATABASE_URL"]


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("MAX_BODY_BYTES", f"{PLANTED}", "valid integer"),
        ("MAX_BODY_BYTES", "12", "greater than or equal to 1024"),
        ("MAX_BODY_BYTES", "999999999", "less than or equal to 16777216"),
        ("WORKER_PROCESSES", "0", "greater than or equal to 1"),
        ("JUMIO_RETRY_SECONDS", f"1,{PLANTED}", "valid number"),
        ("JUMIO_REGION", PLANTED, "'amer-1', 'emea-1' or 'apac-1'"),
        ("SOURCE_CHECK", PLANTED, "'enforce' or 'observe'"),
        ("SOURCE_ALLOW_PRIVATE", PLANTED, "valid boolean"),
        ("CLIENT_ADDRESS_HEADER", PLANTED, "'x-forwarded-for' or 'forwarded'"),
        ("BIND", PLANTED, "match pattern"),
        ("JUMIO_AUTH_URL", PLANTED, "scheme://host"),
        ("JUMIO_AUTH_URL", f"https://jumio.example/{PLANTED}", "scheme://host"),
        ("JUMIO_AUTH_URL", f"ftp://{PLANTED}", "scheme://host"),
        ("JUMIO_AUTH_URL", f"https://user:{PLANTED}@jumio.example", "nothing more"),
        ("JUMIO_AUTH_URL", f"https://jumio.example?{PLANTED}", "nothing more"),
        ("JUMIO_AUTH_URL", f"https://jumio.example#{PLANTED}", "nothing more"),
        ("IMAGES_URL", PLANTED, "postgres:, file:///FOLDER or s3://BUCKET"),
        ("IMAGES_URL", f"postgres:{PLANTED}", "postgres:, file:///FOLDER or s3://BUCKET"),
        ("IMAGES_URL", f"s3:///{PLANTED}", "names a bucket"),
        ("IMAGES_URL", f"s3://{PLANTED}", "names a bucket"),
        ("IMAGES_URL", f"s3://key:{PLANTED}@bucket", "a place and nothing more"),
        ("IMAGES_URL", f"s3://bucket?secret={PLANTED}", "a place and nothing more"),
        ("IMAGES_URL", f"file://{PLANTED}/images", "after three slashes"),
        ("IMAGES_URL", "file:///", "after three slashes"),
        ("IMAGES_URL", f"file:///srv/../{PLANTED}", "without . or .. between slashes"),
        ("IMAGES_URL", f"file:///srv/%2e%2e/{PLANTED}", "letters, digits"),
        ("AWS_ENDPOINT_URL", f"ftp://{PLANTED}", "match pattern"),
        ("AWS_ENDPOINT_URL", f"http://key:{PLANTED}@host", "match pattern"),
        ("ENCRYPTION_KEYS", PLANTED, "a key has|not base64|needs an id"),
        ("ENCRYPTION_KEYS", f"k1:{PLANTED}", "not base64"),
        ("ENCRYPTION_KEYS", "k1:UExBTlRFRC03NDMx", "12 bytes, not 32"),
    ],
)
def test_what_is_wrong_is_named_and_not_shown(name: str, value: str, complaint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.load("", {name: value})

    text = str(caught.value)
    assert text.startswith(f"{name}: ")
    assert re.search(complaint, text)
    assert PLANTED not in text
    assert "UExBTlRFRC03NDMx" not in text


@pytest.mark.parametrize("name", ["TRUSTED_PROXIES", "SOURCE_EXTRA", "SUBSCRIBER_PRIVATE_CIDRS"])
@pytest.mark.parametrize("value", ["10.0.0.0/33", "300.1.1.1", "10.0.0.0/8,fd00::/129"])
def test_a_bad_network_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=rf"\A{name}: .*(IPv4 or IPv6|network)"):
        Settings.load("", {name: value})


def test_every_wrong_value_is_in_one_error() -> None:
    wrong = {"MAX_BODY_BYTES": "x", "BIND": "x", "JUMIO_REGION": "x", "SOURCE_EXTRA": "x"}

    with pytest.raises(SettingsError) as caught:
        Settings.load("", wrong)

    assert sorted(line.split(":")[0] for line in str(caught.value).splitlines()) == sorted(wrong)


@pytest.mark.parametrize("host", HTTPS_URLS)
def test_credentials_travel_over_https_outside_of_development(host: str) -> None:
    environment = {f"JUMIO_{host}_URL": "http://127.0.0.1:8000"}

    with pytest.raises(SettingsError, match=rf"JUMIO_{host}_URL must be https"):
        Settings.load("", environment)
    simulated = Settings.load("", {**environment, "SOURCE_ALLOW_PRIVATE": "true"}).tenants["default"]

    assert getattr(simulated, f"{host.lower()}_url") == "http://127.0.0.1:8000"


def test_the_region_names_the_hosts_and_a_url_replaces_one_of_them() -> None:
    tenant = Settings.load("", {"JUMIO_REGION": "emea-1", "JUMIO_API_URL": "https://api.example:8443/"}).tenants[
        "default"
    ]

    assert tenant.auth_url == "https://auth.emea-1.jumio.ai"
    assert tenant.retrieval_url == "https://retrieval.emea-1.jumio.ai"
    assert tenant.api_url == "https://api.example:8443"


def test_a_file_stands_for_a_value(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of the file\n")

    settings = Settings.load("", {"JUMIO_CLIENT_SECRET_FILE": str(tmp_path / "secret")})

    assert settings.jumio_client_secret.get_secret_value() == "of the file"


def test_a_value_and_a_file_at_once_are_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(PLANTED)
    both = {"JUMIO_CLIENT_SECRET": PLANTED, "JUMIO_CLIENT_SECRET_FILE": str(tmp_path / "secret")}

    with pytest.raises(
        SettingsError, match=r"\AJUMIO_CLIENT_SECRET and JUMIO_CLIENT_SECRET_FILE are both set; keep one\Z"
    ):
        Settings.load("", both)


def test_an_empty_file_is_not_taken_for_a_secret(tmp_path: Path) -> None:
    (tmp_path / "paths").touch()

    with pytest.raises(SettingsError, match=r"\ACALLBACK_SECRETS_FILE names an empty file\Z"):
        Settings.load("receiver", COMPLETE | {"CALLBACK_SECRETS_FILE": str(tmp_path / "paths")})


def test_every_problem_with_a_file_and_every_lack_is_in_one_error(tmp_path: Path) -> None:
    environment = {"ENCRYPTION_KEYS_FILE": str(tmp_path / "absent"), "BROKER_URL_FILE": str(tmp_path), "BIND": "x"}

    with pytest.raises(SettingsError) as caught:
        Settings.load("worker", COMPLETE | environment | {"BROKER_URL": "", "JUMIO_CLIENT_ID": ""})

    assert [line.split()[0] for line in str(caught.value).splitlines()] == [
        "BROKER_URL", "ENCRYPTION_KEYS", "JUMIO_CLIENT_ID", "BIND:",
    ]  # fmt: skip


@pytest.mark.parametrize("path", ["absent", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, path: str) -> None:
    with pytest.raises(SettingsError, match=r"\AENCRYPTION_KEYS_FILE cannot be read: \w+"):
        Settings.load("", {"ENCRYPTION_KEYS_FILE": str(tmp_path / path)})


def test_what_is_in_a_file_is_not_shown_when_it_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"k1:{PLANTED}")

    with pytest.raises(SettingsError, match="not base64") as caught:
        Settings.load("", {"ENCRYPTION_KEYS_FILE": str(tmp_path / "keys")})

    assert PLANTED not in str(caught.value)
    assert caught.value.__suppress_context__


def test_an_empty_event_stream_switches_it_off_and_an_absent_one_does_not() -> None:
    assert Settings.load("", {"EVENT_STREAM": ""}).event_stream == ""
    assert Settings.load("", {}).event_stream == "jumio:events"


@pytest.mark.parametrize("name", sorted({name.upper() for name in Settings.model_fields} - {"EVENT_STREAM"}))
def test_an_empty_value_is_the_default(name: str) -> None:
    assert Settings.load("", {name: ""}) == Settings.load("", {})


def test_lists_are_read_with_blanks_and_without_empty_parts() -> None:
    settings = Settings.load(
        "", {"SOURCE_EXTRA": " 10.1.2.3 , fd00::/8,", "DNS_SERVERS": "192.0.2.1:53 ,", "JUMIO_RETRY_SECONDS": "1, 2.5"}
    )

    assert [str(network) for network in settings.source_extra] == ["10.1.2.3/32", "fd00::/8"]
    assert settings.dns_servers == ("192.0.2.1:53",)
    assert settings.jumio_retry_seconds == (1.0, 2.5)


def test_the_environment_of_others_is_not_read() -> None:
    assert Settings.load("", {"PATH": "/bin", "database_url": "lower", "JUMIO_UNKNOWN": "x"}) == Settings.load("", {})


def test_settings_cannot_be_changed_afterwards() -> None:
    settings = Settings.load("", {})

    with pytest.raises(ValueError, match="frozen"):
        settings.env = "production"


@pytest.mark.parametrize("name", ["DATABASE_URL", "BROKER_URL", "JUMIO_CLIENT_SECRET"], ids=lambda name: name.lower())
def test_a_secret_is_in_no_repr(name: str) -> None:
    settings = Settings.load("", {name: f"redis://:{PLANTED}@db"})

    assert PLANTED not in f"{settings!r} {settings!s} {settings.tenants!r}"


def test_path_secrets_are_in_no_repr() -> None:
    settings = Settings.load("", {"CALLBACK_SECRETS": f"{PLANTED},second"})

    tenant = settings.tenants["default"]
    assert [secret.get_secret_value() for secret in tenant.callback_secrets] == [PLANTED, "second"]
    assert PLANTED not in f"{tenant!r} {settings!r}"


def test_a_role_without_keys_is_told_so() -> None:
    with pytest.raises(SettingsError, match=r"\AENCRYPTION_KEYS is not set"):
        _ = Settings.load("relay", COMPLETE | {"ENCRYPTION_KEYS": ""}).keys


def test_only_the_settings_read_the_environment() -> None:
    reading = [
        str(path.relative_to(ROOT))
        for package in ("receiver", "workers", "feed", "schemas", "deploy")
        for path in (ROOT / package).rglob("*.py")
        if any(_reads_environment(node) for node in ast.walk(ast.parse(path.read_text())))
    ]

    assert reading == ["schemas/settings.py"]


def _reads_environment(node: ast.AST) -> bool:
    names = {"environ", "environb", "getenv", "getenvb"}
    if isinstance(node, ast.ImportFrom):
        return node.module == "os" and any(alias.name in names for alias in node.names)
    return isinstance(node, ast.Attribute) and node.attr in names and ast.unparse(node.value) == "os"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("postgres:", "postgres:"),
        ("file:///srv/images/", "file:///srv/images"),
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/a/b//", "s3://bucket/a/b"),
    ],
)
def test_a_store_of_images_is_named_in_one_spelling(given: str, kept: str) -> None:
    assert Settings.load("", {"IMAGES_URL": given, "AWS_REGION": "eu-central-1"}).images_url == kept


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"IMAGES_URL": "s3://bucket"}, "AWS_REGION is not set"),
        ({"AWS_ACCESS_KEY_ID": "id"}, "belong together"),
        ({"AWS_SECRET_ACCESS_KEY": PLANTED}, "belong together"),
    ],
)
def test_what_a_bucket_needs_is_asked_for_at_start(environment: dict[str, str], complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint) as caught:
        Settings.load("", environment)

    assert PLANTED not in str(caught.value)


def test_the_secret_of_a_bucket_is_in_no_repr() -> None:
    given = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": PLANTED, "AWS_SESSION_TOKEN": PLANTED}

    assert PLANTED not in repr(Settings.load("", given))
