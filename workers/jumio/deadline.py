"""A total deadline under an HTTP client that has none: each wait on the socket gets no more than what is left."""

import math
import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import httpcore2
import httpx2

# The moment, on the monotonic clock, at which the call of this thread has to be over.
_ends_at: ContextVar[float] = ContextVar("ends_at", default=math.inf)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Everything that is sent and read inside shares these seconds, or what is left of those around it."""
    before = _ends_at.set(min(_ends_at.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _ends_at.reset(before)


@contextmanager
def apart() -> Iterator[None]:
    """What is asked inside is no question of the row's, and shares no seconds with those around it."""
    before = _ends_at.set(math.inf)
    try:
        yield
    finally:
        _ends_at.reset(before)


class DeadlineTransport(httpx2.HTTPTransport):
    """httpx2's own transport over sockets that know the deadline.

    Between the chunks of a body a caller could look at the clock itself, but a server that sends its *headers* one byte
    at a time would hold a worker until the task's hard limit (httpx2#557).
    """

    def __init__(self, *, verify: ssl.SSLContext | bool) -> None:
        context = httpx2.create_ssl_context(verify=verify, trust_env=False)
        super().__init__(verify=context)
        # httpx2 has no argument for it; test_transport.py drips headers to notice when this name changes.
        self._pool = httpcore2.ConnectionPool(
            ssl_context=context,
            network_backend=_Backend(),
            max_keepalive_connections=4,  # one thread asks a few hosts: auth, retrieval, status
        )


class _Backend(httpcore2.SyncBackend):
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        return _Stream(super().connect_tcp(host, port, _left(timeout), local_address, socket_options))


class _Stream(httpcore2.NetworkStream):
    def __init__(self, inner: httpcore2.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, _left(timeout)))

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - httpcore2's own signature
        return self._inner.get_extra_info(info)


def _left(timeout: float | None) -> float:
    left = _ends_at.get() - time.monotonic()
    if left <= 0:
        raise httpcore2.ReadTimeout
    return left if timeout is None else min(timeout, left)
