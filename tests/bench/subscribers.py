"""`python -m tests.bench.subscribers COUNT DEAD FILE`: subscribers that note when what arrived; in the end they say."""

import asyncio
import json
import signal
import sys
import time
from pathlib import Path


class Arrivals:
    """Of all subscribers of this process: who got which event when, the first time."""

    def __init__(self) -> None:
        self.first: dict[str, float] = {}

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                arrived = time.time()
                headers = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:] if line)
                await reader.readexactly(int(headers[b"content-length"]))
                self.first.setdefault(f"{number}/{headers.get(b'webhook-id', b'').decode()}", arrived)
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def serve(count: int, dead: int, file: Path) -> None:
    """The ports on stdout; those that are dead take connections and never answer."""
    arrivals, ended = Arrivals(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)

    async def hang(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await ended.wait()

    def answering(number: int) -> object:
        return lambda reader, writer: arrivals.answer(reader, writer, number)

    servers = [
        await asyncio.start_server(hang if number < dead else answering(number), "127.0.0.1", 0, backlog=512)  # type: ignore[arg-type]
        for number in range(count)
    ]
    sys.stdout.write(" ".join(str(server.sockets[0].getsockname()[1]) for server in servers) + "\n")
    sys.stdout.flush()
    await ended.wait()
    file.write_text(json.dumps(arrivals.first), encoding="utf-8")  # noqa: ASYNC240 - nothing else is left to do


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))
