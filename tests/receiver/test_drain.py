"""What was spooled gets to Postgres, all of it: no file is removed while a byte of it was not looked at."""

import asyncio
import contextlib
import os
import signal
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from receiver.arrival import Row
from receiver.metrics import Metrics
from receiver.spool import spool as spool_module
from receiver.spool.depth import measure
from receiver.spool.drain import BATCH_BYTES, Contents, Drain
from receiver.spool.line import DamagedError, read_line, write_line
from receiver.spool.segment import DAMAGED_SUFFIX, SUFFIX, Segment, UnreadError
from receiver.spool.spool import Spool
from receiver.waiting import NotKeptError
from tests.receiver.faults import setting
from tests.receiver.serving import serve
from tests.receiver.test_inbox import RING, arrival, rows
from tests.receiver.test_spool import row
from tests.waiting import eventually

GOOD = 500
MIB = 1_048_576


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def write(folder: Path, *lines: bytes) -> Path:
    """A segment that nobody holds."""
    with contextlib.closing(Segment.create(folder)) as segment:
        segment.append(lines)
        return segment.path


def damaged(body_bytes: int, count: int = 1) -> list[bytes]:
    """Lines as they were acknowledged, but for one letter each."""
    line = write_line(row(bytes(body_bytes))).replace(b"default", b"defaulT")
    return [line] * count


async def drain_until(database: str, folder: Path, holds: Callable[[], bool]) -> None:
    """As a receiver drains."""
    metrics = Metrics()
    spool = Spool(folder, RING, metrics=metrics)
    drain = Drain(database, spool, away=lambda: False, metrics=metrics)
    await spool.open()
    await drain.open()
    try:
        await eventually(holds)
    finally:
        await drain.close()
        await spool.close()


def test_damage_of_any_size_costs_itself_alone(database: str, folder: Path) -> None:
    good = [write_line(row()) for _ in range(GOOD)]
    bad = {
        write(folder, *lines, *(write_line(row()) for _ in range(GOOD))).stem: len(lines)
        for lines in (
            damaged(BATCH_BYTES),
            damaged(MIB, 3),
            [bytes(BATCH_BYTES) + b"\n"],
            # 4 MiB of a bad extent, and no end of a line in it: the row behind it is on the same line.
            [bytes(BATCH_BYTES) + good[0]],
            damaged(2000, 1600),
        )
    }

    asyncio.run(drain_until(database, folder, lambda: not list(folder.glob(f"*{SUFFIX}"))))

    assert rows(database) == len(bad) * GOOD
    aside = {path.stem: len(path.read_bytes().splitlines()) for path in folder.glob(f"*{DAMAGED_SUFFIX}")}
    assert aside == bad


def test_lines_are_set_aside_once_however_often_a_drain_begins_anew(folder: Path) -> None:
    aside = write(folder, b"").with_suffix(DAMAGED_SUFFIX)
    aside.write_bytes(b"one\ntw")
    segment = Segment.adopt(aside.with_suffix(SUFFIX))
    assert segment is not None

    with contextlib.closing(segment):
        for _ in range(2):
            segment.set_aside([b"one\n", b"two\n", b"three\n"])

    assert aside.read_bytes() == b"one\ntw\ntwo\nthree\n"


def test_a_segment_of_which_something_was_not_read_is_not_removed(folder: Path) -> None:
    path = write(folder, write_line(row()))
    segment = Segment.adopt(path)
    assert segment is not None

    with contextlib.closing(segment):
        with pytest.raises(UnreadError):
            segment.remove(read_bytes=path.stat().st_size - 1)
        assert path.exists()
        segment.remove(read_bytes=path.stat().st_size)
    assert not path.exists()


@pytest.mark.parametrize(
    ("end", "torn"),
    [(b"0badc0de {torn", True), (b"0badc0de " + bytes(100), False), (b"0badc0de {\xff", False)],
    ids=["cut short", "zeros", "noise"],
)
def test_only_the_beginning_of_a_line_is_thrown_away(folder: Path, end: bytes, *, torn: bool) -> None:
    segment = Segment.adopt(write(folder, write_line(row()), end))
    assert segment is not None
    with contextlib.closing(segment):
        contents = Contents(segment)
        assert len(contents.take()) == 1
        assert contents.take() == []

    assert (contents.torn, contents.damaged) == (torn, [] if torn else [end])
    assert contents.read_bytes == segment.size


def test_a_line_of_another_release_is_set_aside(folder: Path) -> None:
    known = write_line(row())
    for other in (known.replace(b'"bytes":', b'"octets":'), known.replace(b'"bytes":', b'"more":1,"bytes":')):
        text = other.partition(b" ")[2].rstrip(b"\n")
        with pytest.raises(DamagedError):
            read_line(b"%08x %s\n" % (zlib.crc32(text), text))


def test_a_file_that_cannot_be_read_keeps_no_other_waiting_and_is_told_by_name_once(
    database: str, folder: Path
) -> None:
    """A folder in its place: root, too, cannot read it as a file."""
    (folder / f"20260101T000000.000000Z-00000000{SUFFIX}").mkdir(parents=True)
    write(folder, write_line(row()))

    with capture_logs() as logs:
        asyncio.run(drain_until(database, folder, lambda: rows(database) == 1 and measure(folder).rows == 0))

    told = [line for line in logs if line["event"] == "spool.undrained"]
    assert [(line["segment"], line["error"]) for line in told] == [
        ("20260101T000000.000000Z-00000000.spool", "IsADirectoryError")
    ]
    assert measure(folder).damaged_files == 1


def test_nothing_is_given_to_a_postgres_that_can_lose_it(database: str, folder: Path) -> None:
    path = write(folder, write_line(row()))

    with setting(database, "full_page_writes", "off"), capture_logs() as logs:
        asyncio.run(drain_until(database, folder, lambda: "DurabilityError" in {line.get("error") for line in logs}))

    assert rows(database) == 0
    assert path.exists()


def test_a_disk_that_hangs_holds_up_neither_callback_nor_scrape_nor_stop(
    environment: dict[str, str], tmp_path: Path, folder: Path
) -> None:
    """To open a pipe that nobody writes to takes as long as a network disk whose server is gone."""
    folder.mkdir()
    os.mkfifo(folder / f"20260101T000000.000000Z-00000000{SUFFIX}")
    with serve(environment | {"SPOOL_DIR": str(folder)}, tmp_path) as receiver:
        receiver.until_ready("durable_write", "allowlist")
        began = time.monotonic()
        assert receiver.post() == 200
        assert "jumio_receiver_spool_free_bytes" in receiver.metrics()
        receiver.process.send_signal(signal.SIGTERM)
        assert receiver.process.wait(10) == 0
        assert time.monotonic() - began < 5


class HangingSpool(Spool):
    """On a disk that does not come back from a write."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, RING, metrics=Metrics())
        self.released = threading.Event()

    def _append(self, rows: list[Row]) -> None:
        if rows:
            self.released.wait()
        super()._append(rows)


def test_a_write_that_hangs_is_one_wait_and_then_not_kept_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "HANG_SECONDS", 0.2)

    async def not_kept(spool: Spool, *, seconds: float) -> float:
        now = asyncio.get_running_loop().time()
        with pytest.raises(NotKeptError):
            await spool.keep(arrival(), until=now + seconds)
        return asyncio.get_running_loop().time() - now

    async def test() -> None:
        spool = HangingSpool(folder)
        await spool.open()
        await eventually(lambda: spool.usable)
        assert 0.3 <= await not_kept(spool, seconds=0.3) < 0.6
        assert await not_kept(spool, seconds=10) < 0.1
        assert not spool.usable
        closing = asyncio.get_running_loop().time()
        await spool.close()
        assert asyncio.get_running_loop().time() - closing < 0.5
        spool.released.set()

    asyncio.run(test())
