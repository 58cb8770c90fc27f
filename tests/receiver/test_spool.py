"""What Postgres does not take is kept in files, and drained exactly once, whatever ends in between."""

import asyncio
import contextlib
import os
import random
import resource
import signal
import stat
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from receiver.arrival import Row
from receiver.inbox import ANSWER_SECONDS, SPOOL_SECONDS, Inbox
from receiver.metrics import Metrics
from receiver.spool.depth import measure
from receiver.spool.drain import Contents, Drain
from receiver.spool.folder import read_name
from receiver.spool.line import DamagedError, read_line, write_line
from receiver.spool.segment import Segment
from receiver.spool.spool import Spool
from tests.receiver.faults import frozen, setting, terminate
from tests.receiver.serving import Served, serve
from tests.receiver.test_inbox import RING, arrival, kept, rows
from tests.waiting import eventually, until

NOWHERE = "postgresql://nobody@127.0.0.1:1/none"
# How long a caller waits for a Postgres that does not answer: whoever knows that it is away waits less.
POSTGRES_SECONDS = ANSWER_SECONDS - SPOOL_SECONDS


@contextlib.asynccontextmanager
async def opened(url: str, folder: Path, *, draining: bool = True) -> AsyncIterator[tuple[Inbox, Spool]]:
    """An inbox with a spool, as the application opens them."""
    metrics = Metrics()
    spool = Spool(folder, RING, metrics=metrics)
    inbox = Inbox(url, RING, process="receiver/test", metrics=metrics, spool=spool)
    parts: list[Any] = [
        spool,
        inbox,
        *([Drain(url, spool, away=lambda: inbox.away, metrics=metrics)] if draining else []),
    ]
    for part in parts:
        await part.open()
    try:
        yield inbox, spool
    finally:
        for part in reversed(parts):
            await part.close()


def row(body: bytes = b"{}") -> Row:
    return arrival(body).sealed(RING)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def test_a_row_comes_back_from_its_line_as_it_was() -> None:
    for one in (
        row(),
        row(bytes(range(256)) * 40),
        row()._replace(peer=None, last_error="oversize: x", state="parked"),
    ):
        assert read_line(write_line(one)) == one


def test_every_flipped_bit_of_a_line_is_noticed() -> None:
    chance = random.Random(4)
    line = write_line(row(b"some body"))
    for _ in range(2000):
        place = chance.randrange(len(line) - 1)
        flipped = bytearray(line)
        flipped[place] ^= 1 << chance.randrange(8)
        with pytest.raises(DamagedError):
            read_line(bytes(flipped))


def test_a_folder_and_its_files_are_nobody_elses_and_hold_no_body_in_clear(folder: Path) -> None:
    segment = Segment.create(folder)
    segment.append([write_line(row(b"a passport number"))])

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(segment.path.stat().st_mode) == 0o600
    assert b"passport" not in segment.path.read_bytes()


def test_a_segment_belongs_to_one_at_a_time(folder: Path) -> None:
    segment = Segment.create(folder)
    assert Segment.adopt(segment.path) is None
    segment.close()
    adopted = Segment.adopt(segment.path)
    assert adopted is not None
    adopted.remove(read_bytes=0)
    adopted.close()
    assert Segment.adopt(segment.path) is None


@pytest.mark.parametrize("cut", [1, 20, 300])
def test_a_torn_last_line_costs_nothing_that_was_acknowledged(folder: Path, cut: int) -> None:
    kept_rows = [row(), row()]
    segment = Segment.create(folder)
    segment.append([write_line(one) for one in kept_rows])
    segment.append([write_line(row())[:-cut]])

    contents = Contents(segment)

    # What is missing nothing but its end is a callback all the same.
    assert contents.take()[:2] == kept_rows
    assert contents.damaged == []
    assert contents.torn == (cut > 1)


def test_damage_in_the_middle_costs_no_neighbour(folder: Path) -> None:
    lines = [write_line(row()) for _ in range(5)]
    segment = Segment.create(folder)
    segment.append([*lines[:2], lines[2].replace(b"default", b"defaulT"), b"\n", *lines[3:]])

    contents = Contents(segment)

    assert [write_line(one) for one in contents.take()] == [*lines[:2], *lines[3:]]
    assert len(contents.damaged) == 1


def test_while_postgres_is_away_callbacks_are_kept_and_answers_are_quick(folder: Path) -> None:
    async def test() -> None:
        async with opened(NOWHERE, folder) as (inbox, _):
            await eventually(lambda: inbox.away)
            began = time.monotonic()
            assert all(await kept(inbox, *(arrival() for _ in range(500))))
            assert time.monotonic() - began < POSTGRES_SECONDS
        assert measure(folder).rows == 500

    asyncio.run(test())


def test_what_was_spooled_is_drained_once_when_postgres_is_back(database: str, folder: Path) -> None:
    async def test() -> None:
        async with opened(NOWHERE, folder) as (inbox, _):
            assert all(await kept(inbox, *(arrival() for _ in range(700))))
        async with opened(database, folder) as (inbox, spool):
            await eventually(lambda: rows(database) == 700 and measure(folder).rows == 0)
            assert all(await kept(inbox, arrival()))
            await eventually(lambda: spool.depth.rows == 0)

    asyncio.run(test())
    assert rows(database) == 701
    assert list(folder.iterdir()) == []


def test_a_frozen_postgres_costs_one_deadline_and_no_callback(database: str, folder: Path) -> None:
    async def test() -> None:
        async with opened(database, folder) as (inbox, _):
            assert all(await kept(inbox, arrival()))
            with frozen(database):
                began = time.monotonic()
                assert all(await kept(inbox, *(arrival() for _ in range(10))))
                assert time.monotonic() - began < ANSWER_SECONDS
                began = time.monotonic()
                assert all(await kept(inbox, *(arrival() for _ in range(10))))
                assert time.monotonic() - began < POSTGRES_SECONDS
            await eventually(lambda: rows(database) == 21 and not inbox.away)
            assert all(await kept(inbox, arrival()))

    asyncio.run(test())
    assert rows(database) == 22


def test_a_postgres_that_only_reads_is_away(database: str, folder: Path) -> None:
    async def test() -> None:
        async with opened(database, folder) as (inbox, _):
            assert all(await kept(inbox, arrival()))
            with setting(database, "default_transaction_read_only", "on"):
                terminate(database)
                assert all(await kept(inbox, *(arrival() for _ in range(20))))
                await asyncio.sleep(0.5)
                assert inbox.away
                assert measure(folder).rows == 20
            await eventually(lambda: rows(database) == 21)

    asyncio.run(test())


def test_a_table_that_is_locked_makes_callers_wait_once(database: str, folder: Path) -> None:
    async def test() -> None:
        async with opened(database, folder) as (inbox, _):
            assert all(await kept(inbox, arrival()))
            with psycopg.connect(database) as conn:
                conn.execute("LOCK TABLE pipeline.callbacks IN ACCESS EXCLUSIVE MODE")
                assert all(await kept(inbox, arrival()))
                for _ in range(20):
                    began = time.monotonic()
                    assert all(await kept(inbox, arrival()))
                    assert time.monotonic() - began < POSTGRES_SECONDS
                    await asyncio.sleep(0.2)
            await eventually(lambda: rows(database) == 22)

    asyncio.run(test())


def test_a_cut_connection_costs_no_callback_and_doubles_none(database: str, folder: Path) -> None:
    async def test() -> None:
        async with opened(database, folder) as (inbox, _):
            for _ in range(5):
                terminate(database)
                assert all(await kept(inbox, *(arrival() for _ in range(20))))
            await eventually(lambda: rows(database) == 100)

    asyncio.run(test())


def test_a_row_that_postgres_refuses_is_set_aside_and_its_neighbours_are_drained(database: str, folder: Path) -> None:
    async def test() -> None:
        async with opened(database, folder) as (inbox, _):
            good = [arrival() for _ in range(4)]
            assert all(await kept(inbox, *good[:2], arrival(peer="not an address"), *good[2:]))
            await eventually(lambda: measure(folder).damaged_files == 1)
            await eventually(lambda: measure(folder).rows == 0)
            # A new connection begins with a beat, which tells of the folder by its own name.
            while told(database) != [(1, read_name(folder))]:
                terminate(database)
                await asyncio.sleep(0.1)

    with capture_logs() as logs:
        asyncio.run(test())

    assert rows(database) == 4
    assert read_name(folder)
    assert "spool.damaged" in {line["event"] for line in logs}


@contextlib.contextmanager
def _full_disk(more_bytes: int) -> Iterator[None]:
    """No file may grow beyond this: to a writer the same as a disk without room, but for the name of the error."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (more_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_not_kept_at_once_an_alarm_and_over_when_there_is_room(folder: Path) -> None:
    async def test() -> None:
        async with opened(NOWHERE, folder, draining=False) as (inbox, spool):
            await eventually(lambda: inbox.away and spool.usable)
            with _full_disk(10_000):
                found = [await kept(inbox, arrival(bytes(2000))) for _ in range(20)]
                assert found[0] == [True]
                assert found[-1] == [False]
                assert not spool.usable
                began = time.monotonic()
                assert not any(await kept(inbox, *(arrival(bytes(2000)) for _ in range(50))))
                assert time.monotonic() - began < POSTGRES_SECONDS
            await eventually(lambda: spool.usable)
            assert all(await kept(inbox, arrival()))
            assert measure(folder).rows == sum(each[0] for each in found) + 1

    with capture_logs() as logs:
        asyncio.run(test())

    assert [line["event"] for line in logs].count("spool.refused") == 1


def test_a_folder_that_cannot_be_made_is_said_and_costs_nothing_while_postgres_is_there(
    database: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()

    async def test() -> None:
        async with opened(database, tmp_path / "file" / "spool") as (inbox, spool):
            assert all(await kept(inbox, arrival()))
            assert not spool.usable

    with capture_logs() as logs:
        asyncio.run(test())

    assert "spool.refused" in {line["event"] for line in logs}


def test_killed_while_it_spools_the_next_receiver_drains(
    environment: dict[str, str], database: str, tmp_path: Path, folder: Path
) -> None:
    with_spool = environment | {"SPOOL_DIR": str(folder)}
    with serve(with_spool | {"DATABASE_URL": NOWHERE}, tmp_path) as receiver:
        until(lambda: receiver.request("GET", "/readyz/door")[0] == 200)
        # No DNS answer can be shared without Postgres, but it is known here.
        assert all(receiver.post() == 200 for _ in range(30))
        receiver.process.kill()
        receiver.process.wait()
    [segment] = folder.glob("*.spool")
    with segment.open("ab") as file:
        file.write(b"0badc0de {torn")

    empty = Segment.create(folder)
    empty.close()

    with serve(with_spool, tmp_path) as receiver:
        until(lambda: rows(database) == 30 and not list(folder.glob("*")))
        until(lambda: _metric(receiver, "spool_rows") == 0)
        assert _metric(receiver, "drained_total") == 30
        assert "spool.torn" in {line["event"] for line in receiver.lines()}


def test_a_receiver_says_what_its_spool_holds(environment: dict[str, str], tmp_path: Path, folder: Path) -> None:
    with serve(environment | {"SPOOL_DIR": str(folder), "DATABASE_URL": NOWHERE}, tmp_path) as receiver:
        until(lambda: receiver.request("GET", "/readyz/door")[0] == 200)
        assert receiver.post() == 200
        until(lambda: _metric(receiver, "spool_rows") == 1)
        assert _metric(receiver, "spool_usable") == 1
        assert _metric(receiver, "spool_free_bytes") > 0
        assert "1 callbacks wait in the spool" in receiver.ready()["parts"]["durable_write"]["reason"]
        os.kill(receiver.process.pid, signal.SIGTERM)
        receiver.process.wait(10)
    assert measure(folder).rows == 1


def told(database: str) -> list[tuple[int, str | None]]:
    """And forgotten, so that the next beat need not wait for its time."""
    with psycopg.connect(database) as conn:
        return conn.execute("DELETE FROM pipeline.pulses RETURNING damaged_files, spool_folder").fetchall()


def _metric(receiver: Served, name: str) -> float:
    [line] = [line for line in receiver.metrics().splitlines() if line.startswith(f"jumio_receiver_{name} ")]
    return float(line.split()[1])
