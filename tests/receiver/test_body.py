"""Bodies that end early, late or never, and the room for strangers."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from starlette.types import Message

from receiver.body import Body, IncompleteError, SlowError, read_body
from receiver.room import MOST_BYTES, MOST_ROWS, REFUSED_AT_ONCE, Room
from receiver.ticks import Ticks


def sending(*chunks: bytes, then: str = "end") -> Callable[[], Awaitable[Message]]:
    waiting = list(chunks)

    async def receive() -> Message:
        if waiting:
            chunk = waiting.pop(0)
            return {"type": "http.request", "body": chunk, "more_body": bool(waiting) or then != "end"}
        if then == "silence":
            await asyncio.sleep(30)
        return {"type": "http.disconnect"}

    return receive


def read(receive: Callable[[], Awaitable[Message]], limit: int = 10) -> Body:
    async def test() -> Body:
        return await read_body(receive, limit=limit, seconds=0.2, ticks=Ticks(0.05))

    return asyncio.run(test())


@pytest.mark.parametrize("chunks", [(b"",), (b"0123456789",), (b"01234", b"", b"56789")])
def test_a_body_up_to_the_limit_is_whole(chunks: tuple[bytes, ...]) -> None:
    assert read(sending(*chunks)) == Body(b"".join(chunks))


def test_one_byte_more_is_over_and_cut_at_the_limit() -> None:
    assert read(sending(b"0123456789a")) == Body(b"0123456789", over=True)
    assert read(sending(b"0123456789a", then="silence")) == Body(b"0123456789", over=True, more=True)


def test_what_ends_early_or_never_is_no_body() -> None:
    with pytest.raises(IncompleteError):
        read(sending(b"01", then="disconnect"))
    with pytest.raises(SlowError):
        read(sending(b"01", then="silence"))


def test_the_room_for_strangers_has_caps_of_rows_and_bytes() -> None:
    room = Room()
    room.recount({"refused": (MOST_ROWS - 1, 0), "unverified": (0, MOST_BYTES["unverified"] - 10)})

    assert [room.take("refused", 1), room.take("refused", 1)] == [True, False]
    assert [room.take("unverified", 11), room.take("unverified", 10), room.take("unverified", 1)] == [
        False,
        True,
        False,
    ]
    room.recount({})
    assert room.take("refused", 1)


def test_strangers_leave_a_few_traces_a_second() -> None:
    room = Room()

    assert REFUSED_AT_ONCE <= sum(room.paced() for _ in range(1000)) <= REFUSED_AT_ONCE + 2
