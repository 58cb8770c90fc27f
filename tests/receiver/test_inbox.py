"""Group commit against a real Postgres that breaks."""

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs
from uuid_utils import uuid7

from receiver.arrival import Arrival
from receiver.binary import as_columns, as_values
from receiver.inbox import ANSWER_SECONDS, INSERT, INSERT_MANY, TELL_SECONDS, Inbox
from receiver.link import WORTH_ROWS
from receiver.metrics import Metrics
from receiver.postgres import DurabilityError, check_durability, connect
from receiver.waiting import NotKeptError
from receiver.wire import Wire
from schemas.sealing import KeyRing
from tests.receiver.faults import cancel, frozen, role_setting, setting, terminate
from tests.receiver.serving import KEYS

RING = KeyRing.parse(KEYS)


def arrival(body: bytes = b"{}", *, peer: str | None = "127.0.0.11") -> Arrival:
    return Arrival(
        id=uuid7(),
        tenant="default",
        received_at=datetime.now(UTC),
        peer=peer,
        client_address=peer,
        evidence='{"rule": "dns"}',
        body=body,
        head=b"{}",
    )


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[Inbox]:
    inbox = Inbox(url, RING, process="receiver/test", metrics=Metrics())
    await inbox.open()
    try:
        yield inbox
    finally:
        await inbox.close()


def rows(url: str, what: str = "count(*)") -> Any:
    with psycopg.connect(url) as conn:
        [row] = conn.execute(f"SELECT {what} FROM pipeline.callbacks").fetchall()
        return row[0]


async def kept(inbox: Inbox, *arrivals: Arrival) -> list[bool]:
    results = await asyncio.gather(*(inbox.keep(one) for one in arrivals), return_exceptions=True)
    assert all(result is None or isinstance(result, NotKeptError) for result in results), results
    return [result is None for result in results]


def test_64_at_once_are_all_committed_and_share_commits(database: str) -> None:
    async def test() -> None:
        async with opened(database) as inbox:
            await inbox.keep(arrival())
            assert all(await kept(inbox, *(arrival() for _ in range(64))))

    asyncio.run(test())

    assert rows(database) == 65
    assert rows(database, "count(DISTINCT xmin::text)") < 10


def test_while_one_commit_takes_its_time_the_next_rows_are_already_sent(database: str) -> None:
    async def test() -> None:
        async with opened(database) as inbox:
            await inbox.keep(arrival())
            with psycopg.connect(database) as locking:
                locking.execute("LOCK TABLE pipeline.callbacks IN ACCESS EXCLUSIVE MODE")
                first = asyncio.create_task(inbox.keep(arrival()))
                await asyncio.sleep(0.05)
                others = asyncio.gather(*(inbox.keep(arrival()) for _ in range(WORTH_ROWS * 2)))
                await asyncio.sleep(0.05)
            await first
            await others

    asyncio.run(test())

    assert rows(database) == 2 + WORTH_ROWS * 2
    # One by one: the last two would be in one commit.
    assert rows(database, "count(DISTINCT xmin::text)") == 4


def test_bytes_and_head_come_back_as_they_were_and_are_nowhere_in_clear(database: str) -> None:
    body = bytes(range(256)) * 3
    one = arrival(body, peer=None)

    async def test() -> None:
        async with opened(database) as inbox:
            await inbox.keep(one)

    asyncio.run(test())

    with psycopg.connect(database) as conn:
        [row] = conn.execute("SELECT sealed_body, sealed_head, sha256, bytes, peer FROM pipeline.callbacks").fetchall()
    assert RING.unseal(row[0], place=f"callbacks.body/{one.id}") == body
    assert RING.unseal(row[1], place=f"callbacks.head/{one.id}") == b"{}"
    assert row[2:] == (hashlib.sha256(body).digest(), 768, None)


def test_one_rows_bad_data_does_not_refuse_its_neighbours(database: str) -> None:
    async def test() -> None:
        async with opened(database) as inbox:
            await inbox.keep(arrival())
            good = [arrival() for _ in range(4)]
            found = await kept(inbox, *good[:2], arrival(peer="not an address"), *good[2:])
            assert found == [True, True, False, True, True]

    asyncio.run(test())

    assert rows(database) == 5


@pytest.mark.parametrize("state", ["stored", "parked", "refused", "unverified"])
@pytest.mark.parametrize("peer", ["127.0.0.11", "2001:db8::7", None])
def test_alone_or_among_others_a_row_is_the_same(database: str, state: str, peer: str | None) -> None:
    error = "oversize: x" if state in {"parked", "refused"} else None
    row = replace(arrival(peer=peer), state=state, last_error=error).sealed(RING)
    rows = [row, row._replace(id=uuid7()), row._replace(id=uuid7())]

    async def test() -> None:
        async with await connect(database, application="test") as connection:
            wire = Wire(connection, answered=lambda: None)
            await wire.ask(INSERT, as_values(rows[0]))
            await wire.ask(INSERT_MANY, [*as_columns(rows[1:]).values()])
            wire.close()

    asyncio.run(test())

    with psycopg.connect(database) as conn:
        kept = conn.execute("SELECT to_jsonb(c) - 'id' - 'next_attempt_at' FROM pipeline.callbacks c").fetchall()
    assert len(kept) == len(rows)
    assert kept[0] == kept[1] == kept[2]
    assert kept[0][0]["received_at"].startswith(row.received_at.strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0"))


def test_what_was_kept_is_logged_once_and_at_the_end_at_the_latest(database: str) -> None:
    async def test() -> None:
        async with opened(database) as inbox:
            await inbox.keep(arrival())
            await inbox.close()
            await asyncio.sleep(TELL_SECONDS * 2)

    with capture_logs() as logs:
        asyncio.run(test())

    assert [len(line["callback_ids"]) for line in logs if line["event"] == "callbacks.kept"] == [1]


def test_the_same_arrival_twice_is_one_row(database: str) -> None:
    one = arrival()

    async def test() -> None:
        async with opened(database) as inbox:
            assert await kept(inbox, one, one) == [True, True]

    asyncio.run(test())

    assert rows(database) == 1


def test_a_cut_connection_costs_no_callback(database: str) -> None:
    async def test() -> None:
        async with opened(database) as inbox:
            await inbox.keep(arrival())
            for _ in range(5):
                terminate(database)
                assert all(await kept(inbox, *(arrival() for _ in range(20))))

    with capture_logs() as logs:
        asyncio.run(test())

    assert rows(database) == 101
    assert {"inbox.disconnected", "inbox.reconnected"} <= {line["event"] for line in logs}


def test_a_statement_that_postgres_ends_costs_no_callback(database: str) -> None:
    async def test() -> None:
        async with opened(database) as inbox:
            await inbox.keep(arrival())
            with psycopg.connect(database) as locking:
                locking.execute("LOCK TABLE pipeline.callbacks IN ACCESS EXCLUSIVE MODE")
                keeping = asyncio.gather(kept(inbox, *(arrival() for _ in range(20))))
                await asyncio.sleep(0.1)
                await asyncio.to_thread(cancel, database)
            [found] = await keeping
            assert all(found)

    asyncio.run(test())

    assert rows(database) == 21


def test_a_frozen_postgres_neither_hangs_an_answer_nor_poisons_what_follows(database: str) -> None:
    async def test() -> None:
        async with opened(database) as inbox:
            await inbox.keep(arrival())
            with frozen(database):
                began = time.monotonic()
                assert not any(await kept(inbox, *(arrival() for _ in range(10))))
                assert time.monotonic() - began < 2 * ANSWER_SECONDS
            began = time.monotonic()
            while not all(await kept(inbox, arrival())):
                assert time.monotonic() - began < 8

    asyncio.run(test())


def test_the_relay_is_woken_a_few_times_for_many_rows_and_the_pulse_beats(database: str) -> None:
    async def test() -> None:
        listener = await psycopg.AsyncConnection.connect(database, autocommit=True)
        async with listener, opened(database) as inbox:
            await listener.execute("LISTEN pipeline_due")
            for _ in range(20):
                await kept(inbox, *(arrival() for _ in range(10)))
            hints = [hint async for hint in listener.notifies(timeout=0.5)]
            beats = await (await listener.execute("SELECT role FROM pipeline.pulses")).fetchall()

        assert 1 <= len(hints) < 20
        assert beats == [("receiver",)]

    asyncio.run(test())


def test_without_postgres_the_answer_is_not_kept_and_in_time() -> None:
    async def test() -> None:
        async with opened("postgresql://nobody@127.0.0.1:1/none") as inbox:
            keeping = asyncio.gather(kept(inbox, *(arrival() for _ in range(2500))))
            # To seal so many takes a time of its own: it is over once each has had its turn.
            for _ in range(3):
                await asyncio.sleep(0)
            began = time.monotonic()
            [found] = await keeping
            assert not any(found)
            assert time.monotonic() - began < ANSWER_SECONDS + 0.5

    asyncio.run(test())


def test_a_postgres_that_may_lose_commits_is_refused(database: str) -> None:
    async def test() -> None:
        connection = await connect(database, application="test")
        async with connection:
            await check_durability(connection)
            with setting(database, "full_page_writes", "off"):
                with pytest.raises(DurabilityError, match="full_page_writes"):
                    await check_durability(connection)
                async with opened(database) as inbox:
                    assert await kept(inbox, arrival()) == [False]

    with capture_logs() as logs:
        asyncio.run(test())

    assert rows(database) == 0
    assert [line["settings_off"] for line in logs if line["event"] == "inbox.disconnected"] == [("full_page_writes",)]


def test_synchronous_commit_is_on_whatever_the_role_says(database: str) -> None:
    async def test() -> None:
        with role_setting(database, "synchronous_commit", "off"):
            connection = await connect(database, application="test")
            async with connection:
                await check_durability(connection)

    asyncio.run(test())
