"""A TCP proxy that misbehaves on demand: it delays, falls silent, refuses, resets, and cuts at chosen bytes."""

import asyncio
import contextlib
import socket
import struct
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from deploy.simulator.loop import LoopThread

Way = Literal["up", "down"]
_CHUNK = 65_536


@dataclass(frozen=True)
class Cut:
    """Ends the one connection on which these bytes go by, before or after the other side gets them.

    `up` is from the client to the server. `then` runs at that instant, in the proxy's loop.
    """

    pattern: bytes
    way: Way
    when: Literal["before", "after"]
    then: Callable[[], None] = lambda: None


class Pair:
    """One connection of a client and the one to the server that belongs to it."""

    def __init__(self, client: StreamWriter, server: StreamWriter) -> None:
        self.client, self.server = client, server

    def reset(self) -> None:
        for side in (self.client, self.server):
            _reset(side)

    def cut(self, cut: Cut) -> None:
        """What was forwarded must arrive, so its receiver gets an orderly end; everyone else gets a reset."""
        receiver = {"up": self.server, "down": self.client}[cut.way]
        for side in (self.client, self.server):
            if cut.when == "after" and side is receiver:
                side.close()
            else:
                _reset(side)


class Proxy:
    """Listens on a free port; its faults may be set from any thread and hold for connections old and new."""

    def __init__(self, loop: LoopThread, port: int) -> None:
        """`port`: where the server is, on loopback."""
        self._loop, self._upstream = loop, port
        self.port = 0
        self._pairs: set[Pair] = set()
        self._cut: Cut | None = None
        self.delay = 0.0
        self.refusing = False
        self._speaks = asyncio.Event()
        self._speaks.set()
        self.cuts = 0

    def start(self) -> None:
        """From now on `port` is where to connect to."""
        self._loop.run(self._listen())

    def stop(self) -> None:
        self._loop.run(self._close())

    def cut(self, cut: Cut | None) -> None:
        """Once, at the next time that the bytes go by; None: no more."""
        self._cut = cut

    def silence(self) -> None:
        """A black hole, for connections old and new."""
        self._loop.run(_now(self._speaks.clear))

    def speak(self) -> None:
        """All that was held back arrives."""
        self._loop.run(_now(self._speaks.set))

    def reset_all(self) -> None:
        self._loop.run(_now(self._reset_all))

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._listener.close()
        self._reset_all()

    def _reset_all(self) -> None:
        for pair in tuple(self._pairs):
            pair.reset()

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            if not self.refusing:
                await self._connect(reader, writer)
        _reset(writer)

    async def _connect(self, reader: StreamReader, writer: StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._upstream)
        pair = Pair(writer, up_writer)
        self._pairs.add(pair)
        pumps = [
            asyncio.create_task(self._pump(pair, reader, up_writer, "up")),
            asyncio.create_task(self._pump(pair, up_reader, writer, "down")),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._pairs.discard(pair)
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            up_writer.close()
            writer.close()

    async def _pump(self, pair: Pair, reader: StreamReader, writer: StreamWriter, way: Way) -> None:
        tail = b""
        while data := await reader.read(_CHUNK):
            if self.delay:
                await asyncio.sleep(self.delay)
            await self._speaks.wait()
            cut = self._cut
            if cut is not None and cut.way == way and cut.pattern in tail + data:
                self._cut = None
                if cut.when == "after":
                    writer.write(data)
                cut.then()
                pair.cut(cut)
                self.cuts += 1
                return
            tail = data[-64:]
            writer.write(data)
            await writer.drain()


async def _now(act: Callable[[], None]) -> None:
    """In the loop, where its objects may be touched."""
    act()


def _reset(writer: StreamWriter) -> None:
    """With RST, not FIN: as a machine that is gone answers."""
    found = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
