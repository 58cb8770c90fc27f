"""Two network namespaces with a wire between them: in one the receiver, in the other whoever owns an address there."""

import contextlib
import ctypes
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

_Result = TypeVar("_Result")
_CLONE_NEWNET = 0x40000000


def obstacle() -> str | None:
    """Why there are no namespaces here, if so."""
    if shutil.which("ip") is None:
        return "ip is not installed: apt-get install iproute2"
    made = subprocess.run(["ip", "netns", "add", _name("probe")], capture_output=True, text=True, check=False)
    if made.returncode:
        return f"network namespaces are not permitted here: {made.stderr.strip()}"
    _ip("netns", "del", _name("probe"))
    return None


@contextlib.contextmanager
def wired(near: Sequence[str], far: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Two namespaces, each with these addresses (CIDR) on its end of the wire."""
    names = _name("near"), _name("far")
    with contextlib.ExitStack() as stack:
        for name in names:
            _ip("netns", "add", name)
            stack.callback(_ip, "netns", "del", name)
            _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", names[0], "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", names[1])
        for name, addresses in zip(names, (near, far), strict=True):
            for address in addresses:
                # An IPv6 address is of use at once only where nobody first asks whether it is taken.
                _ip("-n", name, "address", "add", address, "dev", "wire", *(("nodad",) if ":" in address else ()))
            _ip("-n", name, "link", "set", "wire", "up")
        yield names


def inside(name: str, act: Callable[[], _Result]) -> _Result:
    """Run it in a namespace. Threads, processes and sockets that it makes belong there."""
    done: Future[_Result] = Future()

    def run() -> None:
        try:
            _enter(name)
            done.set_result(act())
        except BaseException as error:  # noqa: BLE001 - it is the caller's
            done.set_exception(error)

    threading.Thread(target=run).start()
    return done.result()


def _enter(name: str) -> None:
    with Path(f"/var/run/netns/{name}").open("rb") as namespace:
        # os.setns is of Python 3.12.
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")


@contextlib.contextmanager
def bridged(folder: Path, host: str, port: int) -> Iterator[None]:
    """`folder` as a host of libpq's leads to this server: sockets in folders know no namespaces."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / f".s.PGSQL.{port}"))
        listener.listen()
        threading.Thread(target=_bridge, args=(listener, host, port), daemon=True).start()
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def _bridge(listener: socket.socket, host: str, port: int) -> None:
    with contextlib.suppress(OSError):
        while True:
            near, _ = listener.accept()
            far = socket.create_connection((host, port))
            for ends in ((near, far), (far, near)):
                threading.Thread(target=_pump, args=ends, daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
    source.close()


def _name(what: str) -> str:
    return f"jumio-{os.getpid()}-{what}"


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
