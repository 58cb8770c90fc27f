"""python -m deploy.consumer: runs the example."""

import argparse
import asyncio
import logging
import socket
import sys
from pathlib import Path

import uvicorn

from deploy.consumer.feed import CatchUp, Feed
from deploy.consumer.inbox import Inbox
from deploy.consumer.receive import build_app


async def main() -> None:
    """Take events until SIGTERM; says `ready http://HOST:PORT/events` on stdout."""
    asked = _arguments()
    logging.basicConfig(format="%(levelname)s %(message)s")
    inbox = Inbox(asked.data)
    catch_up = CatchUp(Feed(asked.feed, _read(asked.token_file)), inbox, every=asked.every)
    app = build_app(inbox, catch_up, [_read_secret(path) for path in asked.secret_file])
    host, _, port = asked.bind.rpartition(":")
    with socket.create_server((host, int(port))) as listener:
        sys.stdout.write(f"ready http://{host}:{listener.getsockname()[1]}/events\n")
        sys.stdout.flush()
        await uvicorn.Server(uvicorn.Config(app, log_level="warning")).serve(sockets=[listener])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.consumer", description=__doc__)
    parser.add_argument(
        "--secret-file", type=Path, action="append", required=True, help="whsec_...; twice in a rotation"
    )
    parser.add_argument("--feed", required=True, help="where FEED_BIND is, for example http://127.0.0.1:8081")
    parser.add_argument("--token-file", type=Path, required=True, help="made by: jumio-pipeline consumers add NAME")
    parser.add_argument("--data", type=Path, default=Path("consumer.db"), help="what has been taken")
    parser.add_argument("--bind", default="127.0.0.1:9000")
    parser.add_argument("--every", type=float, default=60.0, help="seconds between looks at the feed without a gap")
    return parser.parse_args()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError as error:
        sys.exit(f"{path}: {error.strerror}")


def _read_secret(path: Path) -> str:
    secret = _read(path)
    if not secret.startswith("whsec_"):
        sys.exit(f"{path}: no whsec_ secret; this example verifies v1, the subscription must be without --ed25519")
    return secret


if __name__ == "__main__":
    asyncio.run(main())
