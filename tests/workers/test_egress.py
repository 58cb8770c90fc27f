"""Where events may go: 0 connections to anything else, by any spelling."""

import itertools
import json
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from schemas.events.signing import new_secret
from tests.workers import egress_traps
from tests.workers.egress_table import ALL_FORBIDDEN, BAD_PORTS, FORMS
from workers.destinations.egress import Endpoint, judge
from workers.destinations.webhook import Answer, Webhooks
from workers.errors import SubscriberAddressError, SubscriberAwayError, SubscriberForbiddenError

LOCAL = (ip_network("127.0.0.0/8"),)
SECRET = new_secret()
# Made once: a new one reads every certificate of the system.
TLS = ssl.create_default_context()

PUBLIC = [
    "34.202.241.227",
    "8.8.8.8",
    "2600:1f18::1",
    "2a00:1450:4001::5",
    "2600:1f18::5efe:808:808",
    "::ffff:34.202.241.227",
]


class Trap:
    """Listens where no event may go, on every address of this machine."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        self._listener.settimeout(0)
        self.port: int = self._listener.getsockname()[1]

    def caught(self) -> bool:
        """Whether anyone connected."""
        try:
            self._listener.accept()[0].close()
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def trap() -> Iterator[Trap]:
    trap = Trap()
    yield trap
    assert not trap.caught()
    trap.close()


def answers(*addresses: str) -> Callable[[str, int], Sequence[str]]:
    return lambda _host, _port: addresses


def send(url: str, **options: Any) -> Answer:
    options = {"private": (), "seconds": 2.0, "tls": TLS, **options}
    return Webhooks(**options).send(url, secrets=[SECRET], event_id="id", body=b"{}")


@pytest.mark.parametrize("address", ALL_FORBIDDEN)
def test_a_forbidden_address_is_not_connected_to(trap: Trap, address: str) -> None:
    host = f"[{address}]" if ":" in address else address

    with pytest.raises(SubscriberForbiddenError):
        send(f"https://{host}:{trap.port}/")
    with pytest.raises(SubscriberAddressError):
        send(f"https://hooks.example:{trap.port}/", resolve=answers(address))
    with pytest.raises(SubscriberAddressError):
        send(f"https://hooks.example:{trap.port}/", resolve=answers("8.8.8.8", address))
    with pytest.raises(SubscriberAddressError):
        send(f"https://hooks.example:{trap.port}/", resolve=answers(address, "2600:1f18::1"))
    with pytest.raises(SubscriberAddressError):
        send(f"http://hooks.example:{trap.port}/", resolve=answers(address))


@pytest.mark.parametrize("form", FORMS)
def test_an_odd_form_is_not_connected_to(trap: Trap, form: str) -> None:
    with pytest.raises((SubscriberForbiddenError, SubscriberAddressError)):
        send(form.format(port=trap.port), resolve=answers("8.8.8.8") if "http://" in form else answers("127.0.0.1"))


def test_a_port_of_another_service_is_not_connected_to() -> None:
    """Nor where the address is public, or listed."""
    for port in BAD_PORTS:
        for options in ({"resolve": answers("8.8.8.8")}, {"resolve": answers("127.0.0.1"), "private": LOCAL}):
            with pytest.raises(SubscriberForbiddenError, match="is another service's"):
                send(f"https://hooks.example:{port}/", **options)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_allowed_over_https_only(address: str) -> None:
    secure, clear = Endpoint.read("https://hooks.example/"), Endpoint.read("http://hooks.example/")

    assert judge(secure, [address], private=()) == [address.removeprefix("::ffff:")]
    with pytest.raises(SubscriberForbiddenError, match="http is for"):
        judge(clear, [address], private=LOCAL)


@pytest.mark.skipif(sys.platform != "linux", reason="a network of its own")
def test_nothing_reaches_a_trap_where_every_address_is_one() -> None:
    """In a network in which every address is this machine, so that whatever is connected to answers."""
    command = [sys.executable, "-m", "tests.workers.egress_traps"]
    run = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    if run.returncode == egress_traps.NO_NETWORK:
        pytest.skip("no network of its own here: " + run.stderr.strip())

    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["through"] == 0
    assert found["other"] == {}
    assert sum(found["attempts"].values()) > 600
    # Where they are listed, the same attempts do reach the traps.
    assert found["caught where listed"] >= 60


def test_the_table_covers_every_special_block() -> None:
    """The first and last address of what IANA keeps for itself."""
    blocks = "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.168.0.0/16 224.0.0.0/3"
    endpoint = Endpoint.read("https://hooks.example/")

    for block in map(ip_network, f"{blocks} ::/3 fc00::/7 fe80::/10 fec0::/10 ff00::/8 2001::/32".split()):
        for address in (block[0], block[-1]):
            with pytest.raises(SubscriberForbiddenError):
                judge(endpoint, [str(address)], private=())


def test_an_allowed_private_address_is_connected_to(subscriber: Any) -> None:
    assert send(subscriber.url(), private=LOCAL).taken
    assert send(f"http://hooks.example:{subscriber.port}/x", private=LOCAL, resolve=answers("127.0.0.1")).taken
    assert send(f"http://hooks.example:{subscriber.port}/x", private=LOCAL, resolve=answers("::ffff:127.0.0.1")).taken

    assert subscriber.requests[1].headers["host"] == f"hooks.example:{subscriber.port}"


def test_a_name_is_judged_at_every_connection(trap: Trap) -> None:
    """Rebinding: the first answer is allowed, the next one is not."""
    turns = itertools.cycle([("127.0.0.2",), ("127.0.0.1",)])
    webhooks = Webhooks(private=(ip_network("127.0.0.2/32"),), resolve=lambda _host, _port: next(turns))
    closed = _closed_port()

    for port, error in itertools.islice(
        itertools.cycle([(closed, SubscriberAwayError), (trap.port, SubscriberAddressError)]), 200
    ):
        with pytest.raises(error):
            webhooks.send(f"http://hooks.example:{port}/", secrets=[SECRET], event_id="id", body=b"{}")


def test_the_next_address_is_tried_when_one_does_not_answer(subscriber: Any) -> None:
    answer = send(f"http://hooks.example:{subscriber.port}/", private=LOCAL, resolve=answers("127.0.0.9", "127.0.0.1"))

    assert answer.taken


def test_a_redirect_is_not_followed(trap: Trap, subscriber: Any) -> None:
    for status in (301, 302, 303, 307, 308):
        answer = send(subscriber.url(f"/status/{status}/location/http:~~127.0.0.1:{trap.port}~"), private=LOCAL)

        assert (answer.status, answer.taken) == (status, False)
    assert subscriber.requests[0].path.startswith("/status/301")


def test_proxies_of_the_environment_are_not_used(trap: Trap, subscriber: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{trap.port}")

    assert send(subscriber.url(), private=LOCAL).taken


def test_a_name_that_does_not_resolve_is_tried_again() -> None:
    def nowhere(_host: str, _port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(SubscriberAwayError, match="ConnectError; gaierror"):
        send("https://hooks.example/", resolve=nowhere)
    with pytest.raises(SubscriberAwayError, match="ConnectError"):
        send("https://hooks.example/", resolve=answers())


def test_a_slow_resolver_counts_against_the_deadline(trap: Trap) -> None:
    def slow(_host: str, _port: int) -> Sequence[str]:
        time.sleep(0.2)
        return ["127.0.0.1"]

    with pytest.raises(SubscriberAwayError, match="ConnectTimeout"):
        send(f"http://hooks.example:{trap.port}/", private=LOCAL, resolve=slow, seconds=0.1)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("HTTPS://Hooks.Example:443", "https://hooks.example/"),
        ("https://hooks.example/In/Box?Key=V", "https://hooks.example/In/Box?Key=V"),
        ("https://hooks.example?key=v", "https://hooks.example/?key=v"),
        ("http://127.0.0.1:80/a@b", "http://127.0.0.1/a@b"),
        ("https://[2600:1F18:0::1]:8443/x", "https://[2600:1f18::1]:8443/x"),
        ("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example/"),
    ],
)
def test_one_endpoint_has_one_text(typed: str, kept: str) -> None:
    assert Endpoint.read(typed).url == kept
    assert Endpoint.read(kept).url == kept


def _closed_port() -> int:
    with socket.create_server(("127.0.0.2", 0)) as listener:
        return int(listener.getsockname()[1])
