"""The server of every ASGI contender: uvicorn, set as the receiver sets it."""

import os
import sys
from typing import Any

import uvicorn


def setting(name: str) -> str:
    """What the bench gave this process."""
    return os.environ[name]  # noqa: TID251 - a program of its own


def serve(app: Any) -> None:
    """Listen on the port that is the first argument."""
    uvicorn.run(
        app,
        port=int(sys.argv[1]),
        http="httptools",
        loop="uvloop",
        ws="none",
        access_log=False,
        log_level="error",
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=30,
        backlog=2048,
    )
