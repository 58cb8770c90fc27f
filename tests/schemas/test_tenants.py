"""Several tenants from one file: what each of them is, and what is wrong by tenant and key, never by value."""

from pathlib import Path

import pytest

from schemas.sealing import KeyRing
from schemas.settings import NEEDED_BY, Settings, SettingsError

PLANTED = "PLANTED-7431"
BASE = {
    "DATABASE_URL": "postgresql://jumio@db.example/jumio",
    "BROKER_URL": "redis://redis.example/0",
    "ENCRYPTION_KEYS": KeyRing.generate(),
}
ACCOUNT = 'jumio_client_id = "id"\njumio_client_secret = "word"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tenants.toml"


def load(file: Path, text: str, role: str = "", **environment: str) -> Settings:
    file.write_text(text, encoding="utf-8")
    return Settings.load(role, {**BASE, "JUMIO_TENANTS_FILE": str(file), **environment})


def complaints(file: Path, text: str, role: str = "", **environment: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(file, text, role, **environment)
    assert PLANTED not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    return str(caught.value).splitlines()


def test_every_key_of_a_table_is_the_tenants_own(file: Path) -> None:
    text = """
    [acme]
    callback_secrets = ["new", " old "]
    jumio_region = "emea-1"
    jumio_client_id = "acme id"
    jumio_client_secret = "acme word"
    jumio_user_agent = "Acme/1"
    jumio_auth_url = "https://auth.test"
    jumio_account_url = "https://account.test"
    jumio_api_url = "https://api.test"
    jumio_retrieval_url = "https://retrieval.test:8443/"
    jumio_status_url = "https://status.test"
    jumio_legacy_url = "https://legacy.test"
    jumio_legacy_documents_url = "https://documents.test"
    jumio_legacy_token = "token"
    jumio_legacy_secret = "legacy word"
    jumio_retrieval_rate = "2/s"
    """

    [(name, acme)] = load(file, text, "worker").tenants.items()

    assert (name, acme.name, acme.region, acme.retrieval_rate) == ("acme", "acme", "emea-1", 2.0)
    assert (acme.client_id, acme.user_agent, acme.legacy_token) == ("acme id", "Acme/1", "token")
    assert acme.client_secret.get_secret_value() == "acme word"
    assert acme.legacy_secret.get_secret_value() == "legacy word"
    assert [each.get_secret_value() for each in acme.callback_secrets] == ["new", "old"]
    assert [acme.auth_url, acme.account_url, acme.api_url, acme.retrieval_url, acme.status_url] == [
        "https://auth.test", "https://account.test", "https://api.test", "https://retrieval.test:8443",
        "https://status.test",
    ]  # fmt: skip
    assert (acme.legacy_url, acme.legacy_documents_url) == ("https://legacy.test", "https://documents.test")


def test_what_a_table_leaves_out_the_environment_says(file: Path) -> None:
    environment = {"JUMIO_USER_AGENT": "All/1", "JUMIO_RETRIEVAL_RATE": "7/s", "CALLBACK_SECRETS": "one,two"}
    text = (
        f'[acme]\n{ACCOUNT}callback_secrets = "three, four"\n'
        f'[globex]\n{ACCOUNT}jumio_region = "apac-1"\njumio_retrieval_rate = 1\n'
    )

    tenants = load(file, text, "worker", **environment).tenants

    acme, globex = tenants["acme"], tenants["globex"]
    assert list(tenants) == ["acme", "globex"]
    assert (acme.user_agent, globex.user_agent) == ("All/1", "All/1")
    assert (acme.retrieval_rate, globex.retrieval_rate) == (7.0, 1.0)
    assert [each.get_secret_value() for each in acme.callback_secrets] == ["three", "four"]
    assert [each.get_secret_value() for each in globex.callback_secrets] == ["one", "two"]
    assert (acme.auth_url, globex.auth_url) == ("https://auth.amer-1.jumio.ai", "https://auth.apac-1.jumio.ai")
    assert globex.legacy_documents_url == "https://retrieval.core-sgp.jumio.com"


def test_an_empty_text_is_none_and_not_the_environments(file: Path) -> None:
    environment = {"JUMIO_API_URL": "https://api.test", "JUMIO_LEGACY_TOKEN": "t", "JUMIO_LEGACY_SECRET": "s"}
    text = f'[acme]\n{ACCOUNT}[globex]\n{ACCOUNT}jumio_api_url = ""\njumio_legacy_token = ""\njumio_legacy_secret = ""'

    tenants = load(file, text, **environment).tenants

    assert (tenants["acme"].api_url, tenants["acme"].legacy_token) == ("https://api.test", "t")
    assert (tenants["globex"].api_url, tenants["globex"].legacy_token) == ("https://api.amer-1.jumio.ai", "")


def test_a_default_tenant_is_there_only_where_the_file_has_it(file: Path) -> None:
    assert list(load(file, "[acme]", JUMIO_CLIENT_ID="id").tenants) == ["acme"]
    assert list(load(file, "[acme]\n[default]").tenants) == ["acme", "default"]
    assert list(Settings.load("", BASE).tenants) == ["default"]


def test_secrets_are_files_beside_this_one(file: Path) -> None:
    (file.parent / "word").write_text("of the file\n")
    (file.parent / "paths").write_text("new,old\n")

    text = f'[acme]\njumio_client_secret_file = "word"\ncallback_secrets_file = "{file.parent}/paths"'
    acme = load(file, text).tenants["acme"]

    assert acme.client_secret.get_secret_value() == "of the file"
    assert [each.get_secret_value() for each in acme.callback_secrets] == ["new", "old"]


def test_a_role_opens_only_the_secret_files_it_has_a_use_for(file: Path) -> None:
    (file.parent / "paths").write_text("path word")
    text = (
        '[acme]\njumio_client_id = "id"\njumio_user_agent = "A/1"\n'
        'jumio_client_secret_file = "not mounted"\ncallback_secrets_file = "paths"'
    )

    acme = load(file, text, "receiver").tenants["acme"]

    assert [each.get_secret_value() for each in acme.callback_secrets] == ["path word"]
    assert load(file, text.replace('"paths"', '"not mounted"'), "operator").tenants.keys() == {"acme"}
    assert complaints(file, text, "worker") == [
        "JUMIO_TENANTS_FILE: acme.jumio_client_secret_file: cannot be read: No such file or directory"
    ]


@pytest.mark.parametrize("role", sorted(set(NEEDED_BY) - {"worker"}))
def test_only_a_worker_needs_credentials_of_each(file: Path, role: str) -> None:
    assert list(load(file, '[acme]\n[globex]\njumio_client_id = "half"', role).tenants) == ["acme", "globex"]


def test_all_that_workers_lack_is_in_one_error(file: Path) -> None:
    text = '[acme]\njumio_user_agent = ""\n[globex]\njumio_client_id = "id"\njumio_client_secret = "word"'

    lacking = complaints(file, text, "worker", JUMIO_USER_AGENT="All/1", DATABASE_URL="")

    unset = "is not set, here or in the environment"
    assert lacking == [
        "DATABASE_URL is not set; deploy/env.example says what it means",
        f"JUMIO_TENANTS_FILE: acme.jumio_client_id: {unset}",
        f"JUMIO_TENANTS_FILE: acme.jumio_client_secret: {unset}",
        f"JUMIO_TENANTS_FILE: acme.jumio_user_agent: {unset}",
    ]


@pytest.mark.parametrize(
    ("have", "lack"),
    [
        ("jumio_client_id", "jumio_client_secret"),
        ("jumio_client_secret", "jumio_client_id"),
        ("jumio_legacy_token", "jumio_legacy_secret"),
        ("jumio_legacy_secret", "jumio_legacy_token"),
    ],
)
def test_half_a_credential_is_not_completed_by_the_environment(file: Path, have: str, lack: str) -> None:
    environment = {
        name.upper(): "x" for name in ("jumio_client_id", "jumio_client_secret", "jumio_user_agent", lack, have)
    }

    [complaint] = complaints(file, f'[acme]\n{have} = "{PLANTED}"', "worker", **environment)

    assert complaint.startswith(f"JUMIO_TENANTS_FILE: acme.{lack}: is not set beside its other half")


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        (f'jumio_client_idd = "{PLANTED}"', "jumio_client_idd: no such key; did you mean jumio_client_id?"),
        (f'JUMIO_REGION = "{PLANTED}"', "JUMIO_REGION: no such key; did you mean jumio_region?"),
        (
            f'client_secret_file = "{PLANTED}"',
            "client_secret_file: no such key; did you mean jumio_client_secret_file?",
        ),
        (f'database_url = "{PLANTED}"', "database_url: no such key"),
        (f'"x y" = "{PLANTED}"', "'x y': no such key; deploy/env.example lists them"),
        (f'eu.jumio_region = "{PLANTED}"', "eu: no such key"),
        (f'jumio_region = "{PLANTED}"', "jumio_region: Input should be 'amer-1', 'emea-1' or 'apac-1'"),
        ("jumio_client_id = 7431", "jumio_client_id: Input should be a valid string"),
        (f'jumio_retrieval_rate = "{PLANTED}"', "jumio_retrieval_rate: Input should be a valid number"),
        ("jumio_retrieval_rate = nan", "jumio_retrieval_rate: Input should be greater than 0"),
        (f'jumio_api_url = "https://api.test/{PLANTED}"', "jumio_api_url: a base URL is scheme://host[:port]"),
        (f'jumio_api_url = "http://{PLANTED}"', "jumio_api_url: must be https: credentials travel over it"),
        (f'callback_secrets = ["{PLANTED}", " "]', "callback_secrets: one of the secrets is empty"),
        (f'callback_secrets = ["{PLANTED}", 1]', "callback_secrets: Input should be a valid string"),
        (f'callback_secrets = {{ a = "{PLANTED}" }}', "callback_secrets: Input should be a valid tuple"),
        ("jumio_client_secret_file = 1", "jumio_client_secret_file: not the path of a file"),
        ('jumio_client_secret_file = "."', "jumio_client_secret_file: cannot be read: Is a directory"),
        ('jumio_client_secret_file = "empty"', "jumio_client_secret_file: names an empty file"),
        ('jumio_client_secret_file = "binary"', "jumio_client_secret_file: cannot be read: not UTF-8"),
        (
            f'jumio_client_secret = "{PLANTED}"\njumio_client_secret_file = "empty"',
            "jumio_client_secret_file: jumio_client_secret is set as well; keep one",
        ),
    ],
)
def test_what_is_wrong_is_named_by_tenant_and_key_and_not_shown(file: Path, table: str, complaint: str) -> None:
    (file.parent / "empty").write_text("\n")
    (file.parent / "binary").write_bytes(b"\xff")

    [line] = complaints(file, f"[acme]\n{table}")

    assert line.startswith(f"JUMIO_TENANTS_FILE: acme.{complaint}")


@pytest.mark.parametrize("name", ["ACME", "-acme", "_acme", '"a.b"', '""', '"a/b"', "a" * 64, '"ä"', '"a\\n"'])
def test_a_name_that_cannot_stand_in_a_url_is_refused(file: Path, name: str) -> None:
    [line] = complaints(file, f"[{name}]")

    assert "a tenant's name is a-z, 0-9" in line


def test_names_of_any_length_up_to_63_are_taken(file: Path) -> None:
    assert set(load(file, f"[{'a' * 63}]\n[0]\n[a-b_c]").tenants) == {"a" * 63, "0", "a-b_c"}


def test_every_problem_of_every_tenant_is_in_one_error(file: Path) -> None:
    text = (
        f'jumio_user_agent = "{PLANTED}"\n[acme]\njumio_region = "{PLANTED}"\njumio_api_url = "http://x"\nfoo = 1\n'
        f'[globex]\njumio_retrieval_rate = "{PLANTED}"'
    )

    lines = complaints(file, text, "worker", MAX_BODY_BYTES=PLANTED, JUMIO_USER_AGENT="A/1")

    assert sorted(line.split(": ")[1 if line.startswith("JUMIO") else 0] for line in lines) == [
        "MAX_BODY_BYTES", "acme.foo", "acme.jumio_api_url", "acme.jumio_client_id", "acme.jumio_client_secret",
        "acme.jumio_region", "globex.jumio_client_id", "globex.jumio_client_secret", "globex.jumio_retrieval_rate",
        "jumio_user_agent",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "names no tenant; each is a table: [name]"),
        (b"# nothing yet\n", "names no tenant; each is a table: [name]"),
        (b'[acme]\njumio_client_id = "PLANTED-7431', "is not TOML"),
        (b"[acme]\nPLANTED-7431 oops\n", "is not TOML (at line 2, column "),
        (b"[acme]\n[acme]", "is not TOML (at line 2, column 6)"),
        (b"[acme]\nx = '\xff'", "is not UTF-8"),
    ],
)
def test_a_file_that_is_none_of_tenants_is_named(file: Path, content: bytes, complaint: str) -> None:
    file.write_bytes(content)

    with pytest.raises(SettingsError) as caught:
        Settings.load("", {"JUMIO_TENANTS_FILE": str(file)})

    assert str(caught.value).startswith(f"JUMIO_TENANTS_FILE: {complaint}")
    assert PLANTED not in str(caught.value)


def test_a_file_that_is_not_there_is_named(file: Path) -> None:
    with pytest.raises(SettingsError, match=r"\AJUMIO_TENANTS_FILE: cannot be read: No such file or directory\Z"):
        Settings.load("", {"JUMIO_TENANTS_FILE": str(file)})


def test_http_is_for_the_simulator(file: Path) -> None:
    text = '[acme]\njumio_api_url = "http://127.0.0.1:8000"'

    assert load(file, text, SOURCE_ALLOW_PRIVATE="true").tenants["acme"].api_url == "http://127.0.0.1:8000"


def test_tenants_are_put_together_once(file: Path) -> None:
    settings = load(file, "[acme]")
    file.unlink()

    assert settings.tenants is settings.tenants
    assert list(settings.tenants) == ["acme"]


def test_secrets_of_tenants_are_in_no_repr(file: Path) -> None:
    text = "".join(
        f'{name} = "{PLANTED}"\n' for name in ("callback_secrets", "jumio_client_secret", "jumio_legacy_secret")
    )
    settings = load(file, f"[acme]\n{text}", CALLBACK_SECRETS=PLANTED)

    assert PLANTED not in f"{settings!r} {settings!s} {settings.tenants!r} {settings.jumio_tenants_file!r}"
