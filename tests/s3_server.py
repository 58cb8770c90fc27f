"""A small S3 server that checks signatures, in a process of its own; its buckets are folders."""

import shutil
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.embedded.leash import Leash
from schemas.settings import inherited_environment

BUCKET = "jumio-images"
ACCESS, SECRET = "tests", "only-for-tests-0123456789"


@dataclass(frozen=True)
class S3Server:
    """Where it listens, and the folder of its buckets."""

    port: int
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """Settings that reach it."""
        return {
            "IMAGES_URL": f"s3://{BUCKET}/images",
            "AWS_ACCESS_KEY_ID": ACCESS,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
        }

    @property
    def objects(self) -> list[Path]:
        """The files of all objects, as the server keeps them."""
        images = self.folder / BUCKET / "images"
        return sorted(path for path in images.rglob("*") if path.is_file() and ".nanio" not in path.name)

    def empty(self) -> None:
        """One bucket, without an object."""
        shutil.rmtree(self.folder / BUCKET, ignore_errors=True)
        (self.folder / BUCKET).mkdir()


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Run it until the end of the block."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with TemporaryDirectory(prefix="jumio-pipeline-s3-") as folder:
        environment = {**inherited_environment(), "NANIO_ACCESS_KEY": ACCESS, "NANIO_SECRET_KEY": SECRET}
        serve = [
            sys.executable,
            "-m",
            "nanio",
            "serve",
            "--data-dir",
            folder,
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ]
        # On a leash: it ends with the tests, also where they are killed.
        running = Leash([*serve, "--log-level", "error", "--no-access-log"], environment=environment, grace=5)
        try:
            wait_for(port)
            yield S3Server(port, Path(folder))
        finally:
            running.let_go()


def wait_for(port: int) -> None:
    """Until it takes connections."""
    for _ in range(400):
        try:
            socket.create_connection(("127.0.0.1", port), 0.1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(port)
