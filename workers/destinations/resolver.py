"""A host's name -> its addresses, in bounded time: the system's own resolver waits for as long as it likes."""

import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import ip_address
from queue import Empty, SimpleQueue

from workers.destinations.egress import Resolve

# A third of what a delivery may take; a name server that is well answers within milliseconds.
SECONDS = 5.0
# Look-ups that nobody waits for any more end by themselves, after 28 s at the worst that was measured.
_MOST_AT_ONCE = 32


def bounded(look_up: Resolve, *, seconds: float = SECONDS, most: int = _MOST_AT_ONCE) -> Resolve:
    """The same look-up, but whoever asks has an answer or an OSError by then. An address is its own answer."""
    free = threading.BoundedSemaphore(most)

    def resolve(host: str, port: int) -> Sequence[str]:
        with suppress(ValueError):
            return [str(ip_address(host))]
        if not free.acquire(timeout=seconds):
            raise TimeoutError
        answers: SimpleQueue[Sequence[str] | OSError] = SimpleQueue()

        def ask() -> None:
            try:
                answers.put(look_up(host, port))
            except OSError as error:
                answers.put(error)
            finally:
                free.release()

        # A daemon: the end of the process does not wait for a name server.
        threading.Thread(target=ask, name="resolver", daemon=True).start()
        try:
            answer = answers.get(timeout=seconds)
        except Empty:
            raise TimeoutError from None
        if isinstance(answer, OSError):
            raise answer
        return answer

    return resolve


def _system(host: str, port: int) -> Sequence[str]:
    """Every address that the system has for a name, by its hosts file too."""
    return [str(answer[4][0]) for answer in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


resolve = bounded(_system)
