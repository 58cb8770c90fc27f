"""A client, a receiver and the samples, for the tests of the simulator."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, Self
from urllib.parse import parse_qsl

import httpx2

from deploy.simulator.run import Simulator
from deploy.simulator.scenarios import Execution
from deploy.simulator.tenant import Tenant

IMAGES = {"accept": "image/jpeg, image/png"}
FIXTURES = Path(__file__).parents[1] / "fixtures"


def fixture(path: str) -> Any:
    return json.loads((FIXTURES / path).read_bytes())


def form_fixture(path: str) -> dict[str, str]:
    return read_form((FIXTURES / path).read_bytes())


def read_form(body: bytes) -> dict[str, str]:
    """Of a repeated field the last value."""
    return dict(parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True))


class Client(httpx2.Client):
    """Reads as the product should: one name, one token, a new one after a 401; the older generations by Basic."""

    def __init__(self, simulator: Simulator, tenant: str = "default") -> None:
        self.simulator = simulator
        self.tenant: Tenant = simulator.tenants[tenant]
        super().__init__(
            base_url=self.tenant.base_url, trust_env=False, headers={"user-agent": "Example Onboarding/1.0"}
        )

    def __enter__(self) -> Self:
        super().__enter__()
        self.authorize()
        return self

    def token(self, **changes: Any) -> httpx2.Response:
        form = {"data": {"grant_type": "client_credentials"}, "auth": self.credentials, **changes}
        return self.post("/oauth2/token", **form)

    @property
    def credentials(self) -> tuple[str, str]:
        return self.tenant.client_id, self.tenant.client_secret

    def authorize(self) -> None:
        self.headers["authorization"] = f"Bearer {self.token().json()['access_token']}"

    def workflow(self, execution: Execution, suffix: str = "") -> httpx2.Response:
        return self.get(f"/api/v1/accounts/{execution.account_id}/workflow-executions/{execution.key}{suffix}")

    def part(self, execution: Execution, credential: str, classifier: str) -> httpx2.Response:
        path = f"/api/v1/accounts/{execution.account_id}/credentials/{credential}/parts/{classifier}"
        return self.get(path, headers=IMAGES)

    def v2(self, path: str, **changes: Any) -> httpx2.Response:
        wanted = {"auth": (self.tenant.legacy_token, self.tenant.legacy_secret), **changes}
        return self.get(f"/api/netverify/v2/{path}", **wanted)


class Handler(BaseHTTPRequestHandler):
    """A receiver that keeps what it gets."""

    got: ClassVar[list[tuple[str, str, bytes]]] = []
    answer = 200

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.got.append((self.client_address[0], self.headers["content-type"], body))
        self.send_response(403 if self.client_address[0] == "127.0.0.66" else self.answer)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


class Receiver:
    def __init__(self, answer: int = 200) -> None:
        self.got: list[tuple[str, str, bytes]] = []
        handler = type("Bound", (Handler,), {"got": self.got, "answer": answer})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/callbacks/default"

    @property
    def statuses(self) -> list[str]:
        return [json.loads(body)["workflowExecution"]["status"] for _, _, body in self.got]


@contextmanager
def receiving(answer: int = 200) -> Iterator[Receiver]:
    receiver = Receiver(answer)
    thread = threading.Thread(target=receiver.server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        receiver.server.server_close()
        thread.join()
