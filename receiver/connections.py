"""uvicorn's protocol with the limits that it lacks: deadlines, the size of a head, and a share for each peer."""

import asyncio
import socket
import struct
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from receiver.metrics import Counts
from receiver.source import Address, is_in, peer_address
from schemas.settings import Network

# Measured without it: half a head keeps its connection open for ever, and 250 of them end a receiver in silence.
HEAD_SECONDS = 10.0
# The parser collects a head of any size before the guard sees it, and what follows the last chunk just the same.
MOST_HEAD_BYTES = 65_536
# A body in chunks of one byte each has five more of framing to every byte; extensions and trailers are nobody's need.
FRAMING_FACTOR = 8
# How long somebody whose request was too large is listened to, so that the answer is read and not lost in a reset.
LINGER_SECONDS = 2.0
# As long as an idle connection may stay: who does not read what it asked for is no better.
UNREAD_SECONDS = 30.0
# What is half sent when the process must stop has this long to become whole.
STOP_SECONDS = 3.0
# Nobody we know of sends the next request before the answer; without a limit, 12 MB of them took 500 MB of memory.
MOST_AHEAD = 32
# A stranger needs no more; Jumio's three to six addresses send its bursts, and a proxy carries everybody.
MOST_FROM_A_STRANGER, MOST_FROM_THE_KNOWN = 32, 1024


class TooFarAheadError(Exception):
    """The caller sends request after request without waiting for an answer."""


class Peers:
    """How many connections each address holds, and all of them; strangers together at most half of `most`."""

    def __init__(
        self, trusted: Sequence[Network], metrics: Counts, knows: Callable[[Address], bool], *, most: int
    ) -> None:
        self._trusted, self._knows, self._most = trusted, knows, most
        self._held: Counter[Address] = Counter()
        self._all = 0
        self.cut, self.turned_away = metrics.cut.labels, metrics.turned_away.labels

    def enter(self, peer: Address | None) -> bool:
        """Count one more, if there may be one more; without an address (a Unix socket) there is nothing to count."""
        if peer is None:
            return True
        self._held[peer] += 1
        self._all += 1
        if self._held[peer] <= MOST_FROM_A_STRANGER and self._all <= self._most // 2:
            return True
        known = is_in(peer, self._trusted) or self._knows(peer)
        return known and self._held[peer] <= MOST_FROM_THE_KNOWN and self._all <= self._most

    def leave(self, peer: Address | None) -> None:
        """Count one less."""
        if peer is not None:
            self._held[peer] -= 1
            self._all -= 1
            if not self._held[peer]:
                del self._held[peer]


class Connection(HttpToolsProtocol):
    """One connection. The body's deadline is the application's, the head's can only be set here."""

    peers: Peers
    _late: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    _in_head = False
    # Bytes of this request that are not its body's.
    _framing = 0
    _deaf = False
    # The request that is being answered; `cycle` is the last one of those that came together.
    _running: RequestResponseCycle | None = None
    _peer: Address | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._peer = peer_address(self.client[0]) if self.client else None
        if self.peers.enter(self._peer):
            self._expect_head()
        else:
            self._cut("peer")

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        self._was_read()
        self.peers.leave(self._peer)
        self._give_up()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        self._framing += len(data)
        super().data_received(data)
        # A head that came whole, as nearly all do, has cost no timer.
        if self._in_head or self.cycle is None or self.cycle.response_complete:
            self._expect_head()
        if self._framing > MOST_HEAD_BYTES and not self.transport.is_closing():
            self._refuse_the_rest()

    def eof_received(self) -> bool:  # type: ignore[override]
        """A caller that shut its side after the whole request still gets its answer."""
        if not self._owes_an_answer():
            return False
        self._listen_no_more()
        return True

    def send_400_response(self, msg: str) -> None:
        """Garbage after a whole request does not take its answer away; what follows is not listened to."""
        if self._owes_an_answer():
            self._listen_no_more()
        else:
            self.peers.turned_away("400").inc()
            self._give_up()
            super().send_400_response(msg)

    def pause_writing(self) -> None:
        """Its answers pile up here; the next one would wait for ever."""
        super().pause_writing()
        self._unread = self.loop.call_later(UNREAD_SECONDS, self._cut, "unread")

    def resume_writing(self) -> None:
        super().resume_writing()
        self._was_read()

    def shutdown(self) -> None:
        """Who is slow must not hold up a stop; whole requests get their answer."""
        super().shutdown()
        self.loop.call_later(STOP_SECONDS, self._stop_waiting)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= MOST_AHEAD:
            # The parser stops here, as at garbage after a whole request.
            raise TooFarAheadError
        self._head_came()
        super().on_headers_complete()
        # The parser tells trailers as it told headers, and the application holds that list: a trailer is no header, or
        # anyone behind a proxy that hands trailers on writes the last line of X-Forwarded-For.
        self.headers = _TRAILERS

    def on_body(self, body: bytes) -> None:
        self._framing -= FRAMING_FACTOR * len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._framing = 0
        super().on_message_complete()

    def _stop_waiting(self) -> None:
        """Neither half a body nor answers that nobody reads are worth the whole of the server's grace."""
        half_sent = self.cycle is not None and self.cycle.more_body and not self.transport.is_closing()
        if half_sent or self.transport.get_write_buffer_size():
            self._cut("stop")
        elif self in self.connections:
            # Of many requests that came together some are still being answered.
            self.loop.call_later(STOP_SECONDS / 3, self._stop_waiting)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _owes_an_answer(self) -> bool:
        return self._running is not None and not self._running.more_body and not self._running.response_complete

    def _give_up(self) -> None:
        """Let what is being answered know that nobody hears it: to write to what is closed is an error."""
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()

    def _listen_no_more(self) -> None:
        """Answer what is whole, then close."""
        self._deaf = True
        if self.pipeline and self.cycle.more_body:
            self.pipeline.popleft()
        last = self.pipeline[0][0] if self.pipeline else self._running
        if last is not None:
            last.keep_alive = False

    def _expect_head(self) -> None:
        if self._late is None:
            self._late = self.loop.call_later(HEAD_SECONDS, self._cut, "head_seconds")

    def _head_came(self) -> None:
        self._in_head = False
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _was_read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _refuse_the_rest(self) -> None:
        """Say what is wrong, then let what is under way run into nothing for a while."""
        if self._owes_an_answer():
            self._listen_no_more()
            return
        answer = _HEAD_TOO_LARGE
        if self._late is None:
            # Within a body, which is not going to be whole.
            answer = _UNREADABLE
            self._give_up()
        self._head_came()
        self.peers.turned_away(answer[9:12].decode()).inc()
        self.transport.write(answer)
        self._deaf = True
        self._late = self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def _cut(self, reason: str) -> None:
        self.peers.cut(reason).inc()
        # What nobody reads would stay with the system for minutes after us: 4 MB a connection, measured.
        connected = self.transport.get_extra_info("socket")
        if connected and self._running is not None:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

    def _unsupported_upgrade_warning(self) -> None:
        """An upgrade is ignored, and a stranger cannot fill the log with it; the parser is of no more use after it."""
        self._listen_no_more()


def connection_class(peers: Peers) -> type[Connection]:
    """The protocol of one server, with what its connections share."""
    return type("CountedConnection", (Connection,), {"peers": peers})


_RESET = struct.pack("ii", 1, 0)
_TRAILERS: Any = deque(maxlen=0)
_END = b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_HEAD_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large" + _END
_UNREADABLE = b"HTTP/1.1 400 Bad Request" + _END
