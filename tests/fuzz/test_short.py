"""The fuzz in its short form: a few thousand inputs, and the reader that holds the rows against them."""

import os
import random
from pathlib import Path

import psycopg

from tests.conftest import empty
from tests.fuzz.inputs import drawn, is_whole
from tests.fuzz.play import play
from tests.receiver.catalogue.case import HEAD

SECONDS = 8.0
SEED = int(os.environ.get("FUZZ_SEED", random.randrange(10**6)))  # noqa: TID251 - to repeat a failure


def test_chance_breaks_nothing_and_leaves_no_half_body(database_url: str, tmp_path: Path) -> None:
    found = play(database_url, tmp_path, seconds=SECONDS, seed=SEED)
    with psycopg.connect(database_url, autocommit=True) as conn:
        empty(conn)

    assert found.problems == [], f"FUZZ_SEED={SEED}"
    # It was no walk in the dark: many were kept, many were refused for what they were.
    assert found.sent > 200
    assert {200, 400, 403, 404, 405} <= found.answers.keys()


def test_the_same_seed_draws_the_same() -> None:
    assert [drawn(7, number) for number in range(50)] == [drawn(7, number) for number in range(50)]
    assert drawn(7, 1) != drawn(8, 1)


def test_half_a_body_is_told_from_a_whole_one() -> None:
    with_length = HEAD + b"Content-Length: 4\r\n\r\nabcdefgh"
    in_chunks = HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n"

    assert [is_whole(body, with_length) for body in (b"abcd", b"abc", b"abcde", b"efgh")] == [True, False, False, False]
    assert [is_whole(body, in_chunks) for body in (b"abcd", b"ab", b"2\r\n")] == [True, False, False]
    assert not is_whole(b"abcd", in_chunks[:-2])
