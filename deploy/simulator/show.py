"""One play: callbacks are posted, and results corrected, in the simulator's loop."""

import asyncio
import time
from collections.abc import Collection, Sequence

import structlog

from deploy.simulator.callbacks import corrected_post, plan
from deploy.simulator.caller import Caller
from deploy.simulator.family import Transaction
from deploy.simulator.report import Played, Report
from deploy.simulator.world import World

log = structlog.get_logger()

# After the first read the rest of that read (steps, images) should still see the first result.
CORRECTION_DELAY = 0.5


class Show:
    """Of one customer, to one callback URL."""

    def __init__(
        self, world: World, callback_url: str, *, sources: Sequence[str], intermediate: bool, correct_within: float
    ) -> None:
        self._world = world
        self._caller = Caller(callback_url)
        self._intermediate, self._correct_within = intermediate, correct_within
        self._sources = sources

    async def run(self, transactions: Sequence[Transaction], rate: float | None) -> Report:
        started = time.monotonic()
        async with self._caller, asyncio.TaskGroup() as group:
            tasks = []
            for place, each in enumerate(transactions):
                if rate:
                    await asyncio.sleep(max(0.0, started + place / rate - time.monotonic()))
                tasks.append(group.create_task(self._tell(each)))
        played = tuple(task.result() for task in tasks)
        return Report(tuple(self._caller.sent), played, time.monotonic() - started)

    async def _tell(self, transaction: Transaction) -> Played:
        faults = self._world.faults.of(transaction.key)
        late = self._world.faults.late_seconds
        first = transaction.befall(faults)
        before = transaction.expectation
        for post in plan(transaction, faults, self._sources, late_seconds=late, intermediate=self._intermediate):
            await asyncio.sleep(post.after)
            await self._caller.post(post)
        if "corrected" in faults and await self._correct(transaction, faults):
            first = before
        return Played(
            family=transaction.family,
            key=transaction.key,
            account_id=transaction.account_id,
            user_reference=transaction.user_reference,
            customer_reference=transaction.customer_reference,
            expectation=transaction.expectation,
            faults=tuple(sorted(faults)),
            revised_from=first,
        )

    async def _correct(self, transaction: Transaction, faults: Collection[str]) -> bool:
        try:
            async with asyncio.timeout(self._correct_within):
                await self._world.read(transaction.key)
        except TimeoutError:
            log.warning("simulator.result.unread", key=transaction.key)
            return False
        await asyncio.sleep(CORRECTION_DELAY)
        transaction.correct()
        log.info("simulator.result.corrected", key=transaction.key)
        await self._caller.post(corrected_post(transaction, faults, self._sources))
        return True
