"""`python -m tests.workers.egress_traps`: every attempt of the table, in a network where every address is a trap."""

import ctypes
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_network
from typing import Any

from schemas.events.signing import new_secret
from tests.workers.egress_table import ALL_FORBIDDEN, BAD_PORTS, FORMS
from workers.destinations.webhook import Webhooks
from workers.errors import SubscriberAddressError, SubscriberAwayError, SubscriberForbiddenError

NO_NETWORK = 77
_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000
_EVERYTHING = (ip_network("0.0.0.0/0"), ip_network("::/0"))
_PUBLIC = ("8.8.8.8", "2600:1f18::1")
_TRAPS = (80, 443, 4443, 6379)
_REDIRECTS = (301, 302, 303, 307, 308)
_SECRET = new_secret()
# Made once: a new one reads every certificate of the system.
_TLS = ssl.create_default_context()


class Traps:
    """Listeners on every address; each connection is counted and closed."""

    def __init__(self) -> None:
        self.caught = 0
        for port in _TRAPS:
            listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=512)
            threading.Thread(target=self._count, args=[listener], daemon=True).start()

    def _count(self, listener: socket.socket) -> None:
        while True:
            listener.accept()[0].close()
            self.caught += 1


def main() -> None:
    """Print what was tried and what came of it."""
    try:
        own_network()
    except (OSError, subprocess.CalledProcessError) as error:
        sys.stderr.write(f"{type(error).__name__}\n")
        sys.exit(NO_NETWORK)
    traps, attempts, other = Traps(), Counter[str](), Counter[str]()
    for kind, url, answers in every_attempt():
        attempts[kind] += 1
        came_to = attempt(url, answers)
        if came_to != "forbidden":
            other[f"{kind} {url}: {came_to}"] += 1
    for status in _REDIRECTS:
        for address in ALL_FORBIDDEN[::4]:
            attempts["redirect"] += 1
            redirect(status, f"http://{bracketed(address)}:4443/")
    through = traps.caught
    with ThreadPoolExecutor(16) as listed:
        listed.map(
            lambda address: attempt(f"http://{bracketed(address)}:4443/", (), private=_EVERYTHING), ALL_FORBIDDEN
        )
    found = {
        "attempts": attempts,
        "through": through,
        "other": other,
        "caught where listed": traps.caught - through,
    }
    sys.stdout.write(json.dumps(found))


def own_network() -> None:
    """Leave the machine's network for one in which every address is local. Raises OSError, CalledProcessError."""
    libc = ctypes.CDLL(None, use_errno=True)
    flags = _NEW_NETWORK if os.geteuid() == 0 else _NEW_USER | _NEW_NETWORK
    if libc.unshare(flags) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    for words in ("link set lo up", "route add local 0.0.0.0/0 dev lo", "-6 route add local ::/0 dev lo"):
        subprocess.run(["ip", *words.split()], check=True, capture_output=True)


def every_attempt() -> Iterator[tuple[str, str, Sequence[str]]]:
    """Kind, URL, and what the resolver answers."""
    for address in ALL_FORBIDDEN:
        host = bracketed(address)
        yield "literal https", f"https://{host}/", (address,)
        yield "literal http", f"http://{host}/", (address,)
        yield "literal, odd port", f"https://{host}:6379/", (address,)
        yield "name", "https://hooks.example:4443/", (address,)
        yield "name http", "http://hooks.example:4443/", (address,)
        yield "public first", "https://hooks.example/", (*_PUBLIC, address)
        yield "public last", "https://hooks.example/", (address, *_PUBLIC)
    for form in FORMS:
        answers = _PUBLIC if form.startswith("http://") else ("127.0.0.1",)
        yield "form", form.format(port=4443), answers
    for port in BAD_PORTS:
        yield "odd port of a public literal", f"https://{_PUBLIC[0]}:{port}/", ()
        yield "odd port of a public name", f"https://hooks.example:{port}/", _PUBLIC


def attempt(url: str, answers: Sequence[str], **options: Any) -> str:
    """What came of it: forbidden, the failure, or the status."""

    def resolve(host: str, _port: int) -> Sequence[str]:
        return answers or [host]

    try:
        sender = Webhooks(**{"private": (), "seconds": 2.0, "resolve": resolve, "tls": _TLS, **options})
        return str(sender.send(url, secrets=[_SECRET], event_id="id", body=b"{}").status)
    except (SubscriberForbiddenError, SubscriberAddressError):
        return "forbidden"
    except SubscriberAwayError as error:
        return str(error)


def redirect(status: int, location: str) -> None:
    """A subscriber inside, that is listed, and points somewhere else."""
    with socket.create_server(("127.0.0.2", 0)) as listener:

        def answer() -> None:
            with listener.accept()[0] as connection:
                connection.recv(65536)
                connection.sendall(f"HTTP/1.1 {status} X\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n".encode())

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"http://127.0.0.2:{listener.getsockname()[1]}/"
        came_to = attempt(url, (), private=(ip_network("127.0.0.2/32"),))
        thread.join()
    if came_to != str(status):
        raise SystemExit(f"{status} came to {came_to}")


def bracketed(address: str) -> str:
    """As it stands in a URL."""
    return f"[{address}]" if ":" in address else address


if __name__ == "__main__":
    main()
