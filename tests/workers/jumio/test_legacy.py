"""Basic authentication, the host and paths of each family, what is missing and what is refused."""

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from psycopg import Connection
from pydantic import SecretStr

from schemas.callbacks.callback import Callback
from schemas.callbacks.family import Form, Host
from schemas.report import Family, Report
from schemas.settings import Tenant
from tests.workers.jumio.scripted import Asked, Script, Server, reply, tenant_at
from workers.errors import (
    JumioAnswerError,
    JumioAwayError,
    JumioNotFoundError,
    JumioRefusedError,
    LineError,
    UnreadableError,
    WithheldError,
)
from workers.jumio.breaker import STORM, Breaker, ClosedError
from workers.jumio.legacy import Legacy
from workers.jumio.transport import Http

Serve = Callable[[Callable[[Asked], Script]], Server]
FIXTURES = Path("tests/fixtures/retrieval/legacy")
KEY = "085f4bc0-2132-4f32-9747-d1dfafee2375"


@dataclass
class Scans:
    """A family with two documents and a few images."""

    NAME: Family = "netverify"
    HOST: Host = "legacy"
    paths: Mapping[str, str] = field(
        default_factory=lambda: {"status": "/scans/{key}", "data": "/scans/{key}/data", "images": "/scans/{key}/images"}
    )

    def recognises(self, form: Form) -> bool:
        raise NotImplementedError

    def read(self, form: Form) -> Callback:
        raise NotImplementedError

    def report(self, documents: Mapping[str, bytes | None], key: str) -> Report:
        raise NotImplementedError

    def reads(self, key: str) -> Mapping[str, str]:
        return {name: path.format(key=key) for name, path in self.paths.items()}

    def image_path(self, key: str, classifier: str) -> str:
        if classifier == "../front":
            raise ValueError("no classifier")
        return f"/scans/{key}/images/{classifier}"


class FakeV2:
    """Answers each path below /api/netverify/v2 as told, everything else with 404."""

    def __init__(self, **answers: bytes) -> None:
        self.answers = {f"/api/netverify/v2/scans/{KEY}{path}": answer for path, answer in answers.items()}

    def __call__(self, asked: Asked) -> Script:
        missing = reply(404, Path("tests/fixtures/errors/legacy_404.json").read_bytes())
        return [self.answers.get(asked.path, missing)]


def whole() -> dict[str, bytes]:
    return {
        "": reply(200, (FIXTURES / "scan_status_done.json").read_bytes()),
        "/data": reply(200, (FIXTURES / "scan_data_approved.json").read_bytes()),
        "/images": reply(200, (FIXTURES / "scan_images_list.json").read_bytes()),
        "/images/front": reply(200, b"\xff\xd8\xff"),
    }


def tenant_of(server: Server, **changes: str) -> Tenant:
    given = {"legacy_token": "token", "legacy_secret": SecretStr("s\xe9cret")}
    return tenant_at(server.url, **changes).model_copy(update=given)


@pytest.fixture
def unbroken(conn: Connection) -> Iterator[Connection]:
    conn.execute("DELETE FROM pipeline.breakers")
    yield conn
    conn.execute("DELETE FROM pipeline.breakers")


def legacy_at(server: Server, http: Http, *, breaker: bool = False) -> Legacy:
    tenant = tenant_of(server)
    return Legacy(tenant, http, None, Breaker(tenant, http, "legacy credentials") if breaker else None)


def test_each_document_and_image_has_its_path_and_headers(serve: Serve, http: Http, conn: Connection) -> None:
    server = serve(FakeV2(**whole()))
    legacy = legacy_at(server, http)

    documents = legacy.documents(conn, Scans(), KEY)
    image = legacy.image(conn, Scans(), KEY, "front")

    assert documents == {
        "status": (FIXTURES / "scan_status_done.json").read_bytes(),
        "data": (FIXTURES / "scan_data_approved.json").read_bytes(),
        "images": (FIXTURES / "scan_images_list.json").read_bytes(),
    }
    assert image == b"\xff\xd8\xff"
    assert [asked.line for asked in server.asked] == [
        f"GET /api/netverify/v2/scans/{KEY} HTTP/1.1",
        f"GET /api/netverify/v2/scans/{KEY}/data HTTP/1.1",
        f"GET /api/netverify/v2/scans/{KEY}/images HTTP/1.1",
        f"GET /api/netverify/v2/scans/{KEY}/images/front HTTP/1.1",
    ]
    assert [asked.headers["accept"] for asked in server.asked] == ["application/json"] * 3 + ["image/jpeg, image/png"]
    for asked in server.asked:
        assert asked.headers["authorization"] == "Basic " + base64.b64encode("token:s\xe9cret".encode()).decode()
        assert asked.headers["user-agent"] == "Acme Kyc/1.0"


def test_documents_are_on_a_host_of_their_own(serve: Serve, http: Http, conn: Connection) -> None:
    scans, documents = serve(FakeV2()), serve(FakeV2(**whole()))
    legacy = Legacy(tenant_of(scans, legacy_documents_url=documents.url), http)

    legacy.documents(conn, Scans(HOST="legacy_documents"), KEY)

    assert (len(scans.asked), len(documents.asked)) == (0, 3)


@pytest.mark.parametrize("missing", ["/data", "/images"])
def test_what_jumio_does_not_have_is_none(serve: Serve, http: Http, conn: Connection, missing: str) -> None:
    answers = whole()
    del answers[missing]

    documents = legacy_at(serve(FakeV2(**answers)), http).documents(conn, Scans(), KEY)

    assert [name for name, body in documents.items() if body is None] == [missing.removeprefix("/")]


def test_without_the_first_there_is_nothing(serve: Serve, http: Http, conn: Connection) -> None:
    answers = whole()
    del answers[""]
    server = serve(FakeV2(**answers))

    with pytest.raises(JumioNotFoundError):
        legacy_at(server, http).documents(conn, Scans(), KEY)

    assert len(server.asked) == 1


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"<html>", b'{"a": NaN}'])
def test_what_is_no_json_object_is_no_answer(serve: Serve, http: Http, conn: Connection, body: bytes) -> None:
    legacy = legacy_at(serve(FakeV2(**{**whole(), "/data": reply(200, body)})), http)

    with pytest.raises(JumioAnswerError):
        legacy.documents(conn, Scans(), KEY)


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, JumioRefusedError), (403, JumioRefusedError), (400, JumioRefusedError), (429, JumioAwayError),
     (500, JumioAwayError), (302, JumioAnswerError)],
)  # fmt: skip
def test_a_failure_is_the_same_error_as_elsewhere(
    serve: Serve, http: Http, conn: Connection, status: int, error: type[LineError]
) -> None:
    server = serve(lambda _: [reply(status)])

    with pytest.raises(error) as raised:
        legacy_at(server, http).documents(conn, Scans(), KEY)

    assert type(raised.value) is error
    assert KEY not in str(raised.value)
    assert len(server.asked) == 1


@pytest.mark.parametrize("bad", ["", "..", "a/b", "a?b", "a\n", "a" * 65])
def test_a_key_that_is_none_never_reaches_the_wire(serve: Serve, http: Http, conn: Connection, bad: str) -> None:
    server = serve(FakeV2())
    legacy = legacy_at(server, http)

    with pytest.raises(UnreadableError):
        legacy.documents(conn, Scans(), bad)
    with pytest.raises(UnreadableError):
        legacy.image(conn, Scans(), bad, "front")

    assert server.asked == []


@pytest.mark.parametrize(
    "bad", ["../front", "front?maskhint=unmasked", "a/../../b", "front\n", "", "/", "%2e%2e", "a.b", "fr\xf6nt"]
)
def test_a_path_is_words_and_slashes(serve: Serve, http: Http, conn: Connection, bad: str) -> None:
    server = serve(FakeV2())

    with pytest.raises(UnreadableError):
        legacy_at(server, http).image(conn, Scans(), KEY, bad)

    assert server.asked == []


@pytest.mark.parametrize(("token", "secret", "enabled"), [("t", "s", True), ("", "s", False), ("t", "", False)])
def test_it_is_enabled_by_credentials(http: Http, token: str, secret: str, enabled: bool) -> None:  # noqa: FBT001
    tenant = tenant_at("http://127.0.0.1:9").model_copy(
        update={"legacy_token": token, "legacy_secret": SecretStr(secret)}
    )

    assert Legacy(tenant, http).enabled is enabled


def test_an_image_that_alone_is_refused_is_withheld_and_closes_nothing(
    serve: Serve, http: Http, unbroken: Connection
) -> None:
    legacy = legacy_at(serve(FakeV2(**{**whole(), "/images/front": reply(403)})), http, breaker=True)

    for _ in range(STORM * 2):
        with pytest.raises(WithheldError):
            legacy.image(unbroken, Scans(), KEY, "front")

    assert legacy.documents(unbroken, Scans(), KEY)


def test_images_that_are_refused_with_everything_else_are_a_matter_of_credentials(
    serve: Serve, http: Http, unbroken: Connection
) -> None:
    legacy = legacy_at(serve(lambda _: [reply(403)]), http, breaker=True)

    for _ in range(STORM - 1):
        with pytest.raises(JumioRefusedError):
            legacy.image(unbroken, Scans(), KEY, "front")
    with pytest.raises(ClosedError, match="legacy credentials"):
        legacy.image(unbroken, Scans(), KEY, "front")


def test_a_storm_closes_the_older_generations_alone(serve: Serve, http: Http, unbroken: Connection) -> None:
    server = serve(lambda _: [reply(401)])
    legacy = legacy_at(server, http, breaker=True)

    for _ in range(STORM - 1):
        with pytest.raises(JumioRefusedError):
            legacy.documents(unbroken, Scans(), KEY)
    for _ in range(3):
        with pytest.raises(ClosedError, match="legacy credentials"):
            legacy.documents(unbroken, Scans(), KEY)

    assert len(server.asked) == STORM
    Breaker(tenant_of(server), http).admit(unbroken)


def test_an_original_is_asked_for_as_what_it_is(serve: Serve, http: Http, conn: Connection) -> None:
    papers = Scans(HOST="legacy_documents")
    server = serve(FakeV2(**{"/images/ORIGINAL": reply(200, b"%PDF-1.4")}))

    legacy_at(server, http).image(conn, papers, KEY, "ORIGINAL")

    assert [asked.headers["accept"] for asked in server.asked] == ["application/pdf"]
