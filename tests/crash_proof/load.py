"""Callbacks at a steady rate from Jumio's addresses to two receivers in turn: one request each, whatever the answer."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from random import Random

from deploy.simulator.callbacks import plan
from deploy.simulator.caller import Caller, Post
from deploy.simulator.family import Transaction
from deploy.simulator.run import Simulator
from tests.crash_proof.ledger import Ledger

# Mostly what has no images: it is callbacks that are to be many. The rest walks the whole line.
_OUTCOMES = (
    *("session_expired.gone", "token_expired.older", "session_expired.newer", "token_expired.gone") * 4,
    *("passed", "rejected.digital_copy"),
)
_BATCH = len(_OUTCOMES)
# Of ten workflows one comes three times, and one has its earlier statuses told after its final one.
_REPEATS = (("duplicate",), ("out_of_order",), *[()] * 8)


class Load:
    """Runs from `start` to `stop`."""

    def __init__(self, simulator: Simulator, urls: Sequence[str], ledger: Ledger, *, rate: float, seed: int) -> None:
        self._simulator, self._urls, self._ledger, self._rate = simulator, urls, ledger, rate
        self._random = Random(seed)
        self._ended = False
        self._thread = ThreadPoolExecutor(1, "load")
        self._going: Future[None]
        self.transactions: dict[str, Transaction] = {}

    def start(self) -> None:
        self._going = self._thread.submit(lambda: asyncio.run(self._run()))

    def check(self) -> None:
        """Raises what ended it too early."""
        if self._going.done():
            self._going.result()

    def stop(self) -> None:
        """Wait for the last answer."""
        self._ended = True
        self._going.result()
        self._thread.shutdown()

    async def _run(self) -> None:
        started = time.monotonic()
        callers = [Caller(url) for url in self._urls]
        async with callers[0], callers[1], asyncio.TaskGroup() as group:
            for number, post in enumerate(self._posts()):
                await asyncio.sleep(max(0.0, started + number / self._rate - time.monotonic()))
                if self._ended:
                    return
                group.create_task(self._post(callers[number % 2], post))

    async def _post(self, caller: Caller, post: Post) -> None:
        faults = self._ledger.now
        sent = await caller.post(post)
        caller.sent.clear()
        final = post.status == self.transactions[post.key].status
        self._ledger.note(sent, final=final, faults=faults)

    def _posts(self) -> Iterator[Post]:
        sources = self._simulator.dns.addresses()
        while True:
            made = self._simulator.create(_BATCH, outcomes=_OUTCOMES)
            self.transactions |= {each.key: each for each in made}
            posts = [post for each in made for post in plan(each, self._random.choice(_REPEATS), sources)]
            self._random.shuffle(posts)
            yield from posts
