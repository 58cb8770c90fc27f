"""Several statements under way on one connection, against a real Postgres that breaks in the middle."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable, Sequence

import psycopg
import pytest
import uvloop
from psycopg.pq.abc import PGresult

from receiver.arrival import Row
from receiver.binary import as_columns, as_values
from receiver.inbox import INSERT, INSERT_MANY
from receiver.postgres import connect
from receiver.wire import FrozenError, Statement, Wire
from tests.receiver.faults import frozen, terminate
from tests.receiver.test_inbox import RING, arrival, rows

MANY = 40


@contextlib.asynccontextmanager
async def wired(url: str) -> AsyncIterator[Wire]:
    async with await connect(url, application="jumio-receiver") as connection:
        wire = Wire(connection, answered=lambda: None)
        try:
            yield wire
        finally:
            wire.close()


def row(body: bytes = b"{}", *, peer: str | None = "127.0.0.11") -> Row:
    return arrival(body, peer=peer).sealed(RING)


async def sent(wire: Wire, inserts: Sequence[Row]) -> list[tuple[int, PGresult | Exception]]:
    """What each was answered, in the order of the answers."""
    told: list[tuple[int, PGresult | Exception]] = []
    for number, one in enumerate(inserts):
        wire.send(INSERT, as_values(one), lambda result, number=number: told.append((number, result)))
    await until(lambda: len(told) == len(inserts))
    return told


async def until(what: Callable[[], bool]) -> None:
    for _ in range(500):
        if what():
            return
        await asyncio.sleep(0.01)


def test_many_under_way_are_answered_in_their_order_and_one_rows_fault_is_its_own(database: str) -> None:
    async def test() -> None:
        async with wired(database) as wire:
            inserts = [row(peer="no address" if number == 7 else None) for number in range(MANY)]
            told = await sent(wire, inserts)
            assert [number for number, _ in told] == list(range(MANY))
            assert [number for number, result in told if isinstance(result, Exception)] == [7]
            assert isinstance(told[7][1], psycopg.DataError)
            assert not len(wire)
            assert not wire.lost.done()

    asyncio.run(test())

    assert rows(database) == MANY - 1


def test_what_is_larger_than_the_sockets_buffers_arrives_whole(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("receiver.wire.STATEMENT_SECONDS", 30.0)
    body = os.urandom(8 * 1_048_576)

    async def test() -> None:
        async with wired(database) as wire:
            both = asyncio.gather(
                wire.ask(INSERT_MANY, [*as_columns([row(body), row(body)]).values()]),
                wire.ask(INSERT, as_values(row())),
            )
            await both

    asyncio.run(test())

    assert rows(database, "array_agg(bytes ORDER BY id)") == [len(body), len(body), 2]


def test_a_nul_in_a_text_is_refused_and_not_cut(database: str) -> None:
    async def test() -> None:
        async with wired(database) as wire:
            with pytest.raises(psycopg.DataError):
                await wire.ask(INSERT, as_values(row()._replace(tenant="acme\0x")))

    asyncio.run(test())

    assert rows(database) == 0


def test_a_cut_connection_tells_all_that_were_under_way_the_last_first(database: str) -> None:
    async def test() -> None:
        async with wired(database) as wire:
            await wire.ask(INSERT, as_values(row()))
            with psycopg.connect(database) as locking:
                locking.execute("LOCK TABLE pipeline.callbacks IN ACCESS EXCLUSIVE MODE")
                asyncio.get_running_loop().call_later(0.2, terminate, database)
                told = await sent(wire, [row(), row(), row()])
            assert [number for number, _ in told] == [2, 1, 0]
            assert all(isinstance(result, psycopg.OperationalError) for _, result in told)
            assert wire.lost.result() is told[0][1]
            assert wire.closed

    asyncio.run(test())

    assert rows(database) == 1


def test_what_fails_at_the_commit_was_not_kept(database: str) -> None:
    async def test() -> None:
        async with wired(database) as wire:
            with psycopg.connect(database, autocommit=True) as conn:
                conn.execute(
                    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
                    " $$ BEGIN RAISE EXCEPTION 'not today'; END $$;"
                    "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON pipeline.callbacks"
                    " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()"
                )
            try:
                told = await sent(wire, [row(), row()])
            finally:
                with psycopg.connect(database, autocommit=True) as conn:
                    conn.execute("DROP TRIGGER refuse ON pipeline.callbacks; DROP FUNCTION refuse()")
            assert [number for number, _ in told] == [1, 0]
            assert all(isinstance(result, psycopg.errors.RaiseException) for _, result in told)

    asyncio.run(test())

    assert rows(database) == 0


def test_whoever_asks_after_the_end_is_told_at_once(database: str) -> None:
    async def test() -> None:
        async with wired(database) as wire:
            await asyncio.to_thread(terminate, database)
            await asyncio.wait((wire.lost,), timeout=5)
            with pytest.raises(psycopg.OperationalError):
                await asyncio.wait_for(wire.ask(INSERT, as_values(row())), 1)
            assert not len(wire)

    asyncio.run(test())


def test_what_is_frozen_is_told_so_and_told_again_when_it_was_committed_after_all(database: str) -> None:
    async def test() -> None:
        async with wired(database) as wire:
            await wire.ask(INSERT, as_values(row()))
            with frozen(database):
                told = await sent(wire, [row(), row(peer="no address"), row()])
                assert [number for number, _ in told] == [2, 1, 0]
                assert all(isinstance(result, FrozenError) for _, result in told)
                assert isinstance(wire.lost.result(), FrozenError)
            await until(lambda: wire.closed)
            assert [number for number, _ in told[3:]] == [0, 2]
            assert wire.closed

    asyncio.run(test())

    assert rows(database) == 3


def test_an_idle_connection_that_is_cut_is_noticed_at_once(database: str) -> None:
    async def test() -> None:
        async with wired(database) as wire:
            await wire.ask(INSERT, as_values(row()))
            await asyncio.to_thread(terminate, database)
            await asyncio.wait((wire.lost,), timeout=5)
            assert isinstance(wire.lost.result(), psycopg.OperationalError)

    asyncio.run(test())


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_who_gets_the_number_of_a_socket_that_was_cut_is_heard(
    database: str, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def test() -> None:
        async with wired(database) as wire:
            await asyncio.to_thread(terminate, database)
            await asyncio.wait_for(wire.lost, timeout=5)
            ours, other = socket.socketpair()
            with other:
                reader, writer = await asyncio.open_connection(sock=ours)
                other.sendall(b"heard\n")
                assert await asyncio.wait_for(reader.readline(), timeout=2) == b"heard\n"
                writer.close()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(test())


def test_a_connection_that_was_lost_says_so_at_once(database: str) -> None:
    async def test() -> None:
        async with wired(database) as wire:
            await asyncio.to_thread(terminate, database)
            await asyncio.wait_for(wire.lost, timeout=5)
            with pytest.raises(psycopg.OperationalError):
                await asyncio.wait_for(wire.ask(INSERT, as_values(row())), timeout=2)

    asyncio.run(test())


def test_a_statement_is_read_with_its_parameters_and_with_no_others() -> None:
    assert INSERT.text.count(b"$1,") == 1
    assert b"%(" not in INSERT.text
    with pytest.raises(ValueError, match="not in tuple"):
        Statement.named("callbacks", "insert_callback", "id")
